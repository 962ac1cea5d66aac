"""Without a redactor nothing leaves: that is a fault, and the daemon goes on with all else."""

import logging
from collections.abc import Callable

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.custom.ruleset import RefusingRedactor
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.event_log import Notes
from karma_sync.runtime.problems import REDACTION
from karma_sync.store import work
from karma_sync.store.database import Database

log = logging.getLogger(__name__)


def redactor_or_refusal(make: Callable[[], Redactor], store: Database, notes: Notes) -> Redactor:
    """The redactor; one that lets nothing through, and a fault, if the rules cannot be used."""
    try:
        redactor = make()
    except (BadInput, RedactionFailed) as error:
        why = f"nothing is sent: {error}"
        if _known(store) != why:
            log.warning(why)
            with store.transaction() as tx:
                work.faults.put(tx, work.Fault(folder=REDACTION, why=why))
            notes.fault("fault", REDACTION, why)
        return RefusingRedactor(why)
    if _known(store):
        with store.transaction() as tx:
            work.faults.drop(tx, folder=REDACTION)
        notes.over(REDACTION, "it works again")
    return redactor


def _known(store: Database) -> str:
    with store.reading() as tx:
        fault = work.faults.get(tx, REDACTION)
    return fault.why if fault else ""
