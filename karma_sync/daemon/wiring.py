"""The parts that the daemon's threads run, wired by `app.py`."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.errors import BadInput, RedactionFailed, SyncthingError
from karma_sync.mesh.connections import Links
from karma_sync.mesh.health.checker import Checker
from karma_sync.mesh.health.folder_health import Health
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.mesh.quotas import Quotas
from karma_sync.mesh.reconciler import Reconciler
from karma_sync.mesh.transfers import Progress
from karma_sync.paths import Paths
from karma_sync.receiving.receiver import Receiver
from karma_sync.redact.custom.ruleset import RefusingRedactor
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.change_log import Journal
from karma_sync.runtime.event_log import Notes
from karma_sync.runtime.problems import REDACTION
from karma_sync.sending.eligibility import Matcher
from karma_sync.sending.queue import Outgoing
from karma_sync.sending.sender import Sender
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.team.receipts import Receipts


@dataclass(frozen=True)
class Engine:
    """What the workers run: each part is used by one of their threads."""

    paths: Paths
    state: Database
    library: Database
    client: SyncthingClient
    source: ClaudeSource
    matcher: Matcher
    know_roots: Callable[[], bool]
    reconciler: Reconciler
    sender: Sender
    receiver: Receiver
    receipts: Receipts
    links: Links
    journal: Journal
    notes: Notes
    health: Health
    recovery: Recovery
    checker: Checker
    quotas: Quotas
    outgoing: Outgoing
    progress: Progress
    redactor: Callable[[], Redactor]

    def rests(self, folder: str) -> bool:
        """Whether Syncthing collects nothing in a folder and wants nothing; not if it is mute."""
        try:
            found = self.client.folder_status(folder)
        except SyncthingError:
            return False
        return found.state == "idle" and found.need_items == 0


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
