"""Ties the daemon's parts together: the only place that knows them all. Read it top to bottom.

`prepare` makes what is needed before Syncthing starts, `wire` the rest. Each part gets its
collaborators through its constructor; nothing is hung onto a part that is made.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from karma_sync.app import App
from karma_sync.channel.verify import verify_chunk, verify_item, verify_retraction
from karma_sync.daemon.signals import Requests, Signals
from karma_sync.domain.mesh.channels import World
from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.mesh.connections import Connections
from karma_sync.mesh.event_listener import EventListener
from karma_sync.mesh.health.checker import Checker
from karma_sync.mesh.health.folder_health import Faults, FolderHealth
from karma_sync.mesh.health.integrity import OutboxIntegrity
from karma_sync.mesh.health.override import ChangesByOthers, Overrides
from karma_sync.mesh.health.recovery import Recovery, RecoveryHooks
from karma_sync.mesh.quotas import Quotas
from karma_sync.mesh.reconciler import Reconciler
from karma_sync.mesh.transfers import Measured, Transfers, rests
from karma_sync.receiving.importer import Importer, Verifier
from karma_sync.receiving.receiver import Receiver, ReceiverHooks
from karma_sync.redact.custom.ruleset import RefusingRedactor
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import REDACTION, Problems
from karma_sync.runtime.timing import now_ms, utc_now
from karma_sync.sending.held_back import HeldBack
from karma_sync.sending.packaging.packager import Packager
from karma_sync.sending.queue import SendQueue
from karma_sync.sending.recall import Recaller
from karma_sync.sending.scheduler import Scheduler, SchedulerHooks
from karma_sync.sending.sender import Sender, SenderHooks
from karma_sync.store import work
from karma_sync.store.database import Database
from karma_sync.store.world import read_world
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.home import ListenSettings, configure, folders, gui_port, require_home
from karma_sync.syncthing.port import SyncthingPort
from karma_sync.syncthing.process import SyncthingProcess, free_port, require_free
from karma_sync.syncthing.program import find_program
from karma_sync.team.context import TeamContext
from karma_sync.team.exchange import DocumentExchange
from karma_sync.team.receipts import ReceiptHooks, Receipts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Foundation:
    """What is needed before Syncthing starts, and by most other parts."""

    client: SyncthingPort
    requests: Requests
    changes: ChangesByOthers
    recovery: Recovery
    monotonic: Callable[[], float]


@dataclass(frozen=True)
class Parts:
    """What the daemon's threads run: each part is used by one of them."""

    app: App
    foundation: Foundation
    links: Connections
    listener: EventListener
    reconciler: Reconciler
    sender: Sender
    dispatch: Scheduler
    receiver: Receiver
    receipts: Receipts
    checker: Checker
    progress: Transfers


def syncthing_process(app: App) -> tuple[SyncthingProcess, SyncthingClient]:
    """Our own Syncthing, configured and not yet started, and a client for it.

    Raises:
        SyncthingMissing: there is none to run.
        PortTaken: the port that others dial belongs to another program.
    """
    network = app.settings.network
    program = find_program(app.settings.syncthing)
    home, output = app.paths.syncthing, app.paths.syncthing_log
    kept = gui_port(home)
    SyncthingProcess(program, home, kept or 0, output).end_orphan()  # it would hold the port
    port = free_port([kept] if kept else [], but=network.port)
    process = SyncthingProcess(program, home, port, output)
    where = f"network.port, and the port in addresses, in {app.paths.settings}"
    require_free(network.port, where)
    wanted = ListenSettings(
        gui_port=port,
        listen=app.settings.listen_addresses,
        discovery=network.discovery,
        relays=network.relays,
        nat=network.nat,
    )
    require_home(program, home)
    api_key = configure(home, wanted, app.settings.tag)
    return process, SyncthingClient(f"http://127.0.0.1:{port}", api_key)


def prepare(
    app: App, client: SyncthingPort, monotonic: Callable[[], float] = time.monotonic
) -> Foundation:
    """Make what is needed before Syncthing starts; `monotonic` gives the seconds that pass."""
    requests = Requests.of(app.source.gathered)
    changes = ChangesByOthers(client, app.notes)
    integrity = OutboxIntegrity(app.paths.library, app.library, app.work)
    hooks = RecoveryHooks(utc_now, requests.cycle.set, changes.rejected, app.source.ids, monotonic)
    recovery = Recovery(app.paths, integrity, app.work, app.notes, hooks)
    return Foundation(client, requests, changes, recovery, monotonic)


def make_whole(app: App, recovery: Recovery) -> None:
    """Before Syncthing starts: an outbox with a hole in it would delete at every peer."""
    with app.state.reading() as tx:
        world = read_world(tx, app.me, utc_now(), app.settings.network.discovery)
    recovery.before_start(world, folders(app.paths.syncthing))


def wire(app: App, foundation: Foundation) -> Parts:
    """Make all other parts; none of them asks Syncthing anything yet."""
    client, requests, recovery = foundation.client, foundation.requests, foundation.recovery
    monotonic = foundation.monotonic
    context = TeamContext(app.state, app.paths, app.me, app.key, app.notes, utc_now, monotonic)
    problems = Problems(requests.checks.needs_check)
    links = Connections(app.work, utc_now, monotonic)
    quotas = Quotas(app.work, app.notes, utc_now, requests.cycle.set)
    signals = Signals(app.paths, requests, links, recovery)

    receiver = _receiver(app, client, signals, problems)
    receipts = Receipts(
        context,
        app.work,
        app.library,
        client.scan,
        ReceiptHooks(recovery.claimed, receiver.has_strays),
    )

    packager = Packager(_redactor(app), app.key, app.work, now_ms)
    sender = Sender(
        app.decider,
        packager,
        Recaller(packager, app.work, now_ms),
        HeldBack(app.work, app.notes),
        SenderHooks(client.scan, problems, signals.packaged),
    )
    outgoing = SendQueue(sender.left)
    dispatch = Scheduler(
        requests.sends,
        app.matcher,
        sender,
        outgoing,
        SchedulerHooks(
            redactor=lambda: _redactor(app),
            learn_roots=app.roots.learn,
            covers=receipts.covers,
            on_large_session=requests.measuring.set,
            monotonic=monotonic,
        ),
    )

    def backlog() -> tuple[int, int]:
        count, left = outgoing.backlog
        return count, max(0, left - packager.cut_bytes)

    def observed(world: World) -> World:
        return replace(
            world,
            answered=links.incoming(),
            recovering=recovery.remember(world),
            too_large=quotas.folders(),
        )

    override = Overrides(client, recovery, foundation.changes, utc_now)
    faults = Faults(app.work, app.notes, problems)
    health = FolderHealth(client, app.paths, recovery, faults, (quotas.judge, override.judge))
    measured = Measured(links.connected, backlog, quotas.judge)
    return Parts(
        app=app,
        foundation=foundation,
        links=links,
        listener=EventListener(client, signals),
        reconciler=Reconciler(context, client, DocumentExchange(context, problems), observed),
        sender=sender,
        dispatch=dispatch,
        receiver=receiver,
        receipts=receipts,
        checker=Checker(requests.checks, health, recovery, client),
        progress=Transfers(client, app.work, requests.moving, measured),
    )


def _receiver(app: App, client: SyncthingPort, signals: Signals, problems: Problems) -> Receiver:
    verifier = Verifier(verify_item, verify_chunk, verify_retraction)
    importer = Importer(app.paths.library, app.library, verifier, utc_now)
    hooks = ReceiverHooks(problems, signals.refused, lambda folder: rests(client, folder))
    return Receiver(app.me.key, importer, app.library, app.notes, hooks)


def _redactor(app: App) -> Redactor:
    return redactor_or_refusal(app.redactions.redactor, app.work, app.notes)


def redactor_or_refusal(make: Callable[[], Redactor], store: Database, notes: EventLog) -> Redactor:
    """The redactor; one that lets nothing through, and a fault, if the rules cannot be used."""
    try:
        redactor = make()
    except (BadInput, RedactionFailed) as error:
        why = f"nothing is sent: {error}"
        if _known(store) != why:
            log.warning(why)
            with store.transaction() as tx:
                work.faults.put(tx, work.Fault(folder=REDACTION, why=why))
            notes.record_fault("fault", REDACTION, why)
        return RefusingRedactor(why)
    if _known(store):
        with store.transaction() as tx:
            work.faults.drop(tx, folder=REDACTION)
        notes.record_end(REDACTION, "it works again")
    return redactor


def _known(store: Database) -> str:
    with store.reading() as tx:
        fault = work.faults.get(tx, REDACTION)
    return fault.why if fault else ""
