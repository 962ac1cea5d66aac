"""Makes the daemon's parts and connects them; the only module that knows all of them.

`prepare` makes the parts that are needed before Syncthing starts, `wire` makes the others. Each
part gets its collaborators through its constructor; no attribute is set on a finished part.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from karma_sync.agents.claude.gathering import read_facts
from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.app import App
from karma_sync.archive.archiver import Archiver, ArchiverHooks
from karma_sync.archive.forgetting import Forgetter
from karma_sync.archive.indexing import ArchiveIndexer
from karma_sync.archive.schedule import (
    ArchiveParts,
    ArchiveRequests,
    ArchiveSchedule,
    ScheduleHooks,
)
from karma_sync.archive.store import facts_of_path, session_of_path
from karma_sync.archive.upkeep import Upkeep
from karma_sync.channel.verify import (
    verify_chunk,
    verify_item,
    verify_observations,
    verify_retraction,
)
from karma_sync.daemon.live_facts import LiveFacts
from karma_sync.daemon.observing import observation_sender
from karma_sync.daemon.signals import Requests, Signals
from karma_sync.domain.mesh.channels import Channel, World
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.project import belonging_of
from karma_sync.domain.session.source_files import SourceFile
from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.git.places import Places
from karma_sync.mesh.connections import Connections
from karma_sync.mesh.event_listener import EventListener
from karma_sync.mesh.greetings import Greet, Greetings
from karma_sync.mesh.health.checker import Checker
from karma_sync.mesh.health.folder_health import Faults, FolderHealth, HealthHooks
from karma_sync.mesh.health.integrity import OutboxIntegrity
from karma_sync.mesh.health.override import ChangesByOthers, Overrides
from karma_sync.mesh.health.recovery import Recovery, RecoveryHooks
from karma_sync.mesh.inbox_offers import InboxOffers
from karma_sync.mesh.quotas import Quotas
from karma_sync.mesh.reconciler import Reconciler
from karma_sync.mesh.transfers import Measured, Transfers, is_idle
from karma_sync.paths import user_home
from karma_sync.receiving.importer import Importer, Verifier
from karma_sync.receiving.indexer import Indexer
from karma_sync.receiving.receiver import Receiver, ReceiverHooks
from karma_sync.redact.custom.ruleset import RefusingRedactor
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import REDACTION, Problems
from karma_sync.runtime.timing import now_ms, utc_now
from karma_sync.sending.eligibility import KnownRoots
from karma_sync.sending.held_back import HeldBack
from karma_sync.sending.ledger.taken_back import note_taken_back
from karma_sync.sending.packaging.packager import Packager
from karma_sync.sending.queue import SendQueue
from karma_sync.sending.recall import Recaller
from karma_sync.sending.scheduler import Scheduler, SchedulerHooks
from karma_sync.sending.sender import Sender, SenderHooks
from karma_sync.service.sessions.choices import my_channels
from karma_sync.settings import Keep
from karma_sync.store import packaged, record_ids, work
from karma_sync.store.database import Database
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.home import (
    ListenSettings,
    configure,
    gui_port,
    require_home,
)
from karma_sync.syncthing.port import SyncthingPort
from karma_sync.syncthing.process import SyncthingProcess, free_port, require_free
from karma_sync.syncthing.program import find_program
from karma_sync.syncthing.wire import FolderStatus
from karma_sync.team.context import TeamContext
from karma_sync.team.exchange import DocumentExchange
from karma_sync.team.parting import Parting
from karma_sync.team.receipts import ReceiptHooks, Receipts

log = logging.getLogger(__name__)

ARCHIVE = "archive"  # stands in place of a folder in the fault "something cannot be archived"


@dataclass(frozen=True)
class Foundation:
    """The parts that are needed before Syncthing starts, and by most other parts."""

    client: SyncthingPort
    requests: Requests
    changes: ChangesByOthers
    recovery: Recovery
    greet: Greet
    monotonic: Callable[[], float]


@dataclass(frozen=True)
class Parts:
    """The parts that the daemon's threads run; each part is used by one thread."""

    app: App
    foundation: Foundation
    connections: Connections
    greetings: Greetings
    offers: InboxOffers
    listener: EventListener
    reconciler: Reconciler
    sender: Sender
    scheduler: Scheduler
    receiver: Receiver
    receipts: Receipts
    checker: Checker
    transfers: Transfers
    archiving: ArchiveSchedule | None


def _home() -> Path:
    """The person's home; where nobody knows it, no repository lies there."""
    try:
        return user_home()
    except BadInput:
        return Path("/")


def syncthing_process(app: App) -> tuple[SyncthingProcess, SyncthingClient]:
    """Our own Syncthing, configured and not yet started, and a client for it.

    Raises:
        SyncthingMissing: no Syncthing can be run.
        PortTaken: another program listens on the port that other members dial.
        SyncthingError: Syncthing's key or config.xml cannot be used.
    """
    network = app.settings.network
    program = find_program(app.settings.syncthing)
    home, output = app.paths.syncthing, app.paths.syncthing_log
    kept = gui_port(home)
    SyncthingProcess(program, home, kept or 0, output).end_orphan()  # an orphan would hold the port
    port = free_port([kept] if kept else [], but=network.port)
    process = SyncthingProcess(program, home, port, output)
    setting_name = f"network.port, and the port in addresses, in {app.paths.settings}"
    require_free(network.port, setting_name)
    listen_settings = ListenSettings(
        gui_port=port,
        listen=app.settings.listen_addresses,
        discovery=network.discovery,
        relays=network.relays,
        nat=network.nat,
    )
    require_home(program, home)
    api_key = configure(home, listen_settings, app.me.device_name)
    return process, SyncthingClient(f"http://127.0.0.1:{port}", api_key)


def prepare(
    app: App,
    client: SyncthingPort,
    say_hello: Greet,
    monotonic: Callable[[], float] = time.monotonic,
) -> Foundation:
    """Make the parts that are needed before Syncthing starts.

    `say_hello` greets other machines' Syncthings. `monotonic` returns seconds of a clock that
    nobody can set; a test may pass another one.
    """
    requests = Requests.of(app.source.representative)
    changes = ChangesByOthers(client, app.event_log)
    integrity = OutboxIntegrity(app.paths.library, app.library, app.work)
    hooks = RecoveryHooks(
        utc_now, requests.cycle.set, changes.record_rejected, app.source.ids, monotonic
    )
    recovery = Recovery(app.paths, integrity, app.work, app.event_log, hooks)
    return Foundation(client, requests, changes, recovery, say_hello, monotonic)


def wire(app: App, foundation: Foundation) -> Parts:
    """Make all other parts; none of them sends a request to Syncthing yet."""
    client, requests, recovery = foundation.client, foundation.requests, foundation.recovery
    monotonic = foundation.monotonic
    port = app.settings.network.port
    context = TeamContext(
        app.state, app.paths, app.me, app.key, app.event_log, utc_now, monotonic, port
    )
    problems = Problems(requests.checks.needs_check)
    connections = Connections(app.work, utc_now, monotonic)
    greetings = Greetings(foundation.greet, connections.connected, requests.cycle.set, monotonic)
    offers = InboxOffers(app.paths.folder, monotonic)
    quotas = Quotas(app.work, app.event_log, utc_now, requests.cycle.set)
    signals = Signals(app.paths, requests, connections, recovery)

    receiver = _receiver(app, client, signals, problems)
    receipt_hooks = ReceiptHooks(recovery.revision_claimed, receiver.has_strays)
    receipts = Receipts(context, app.work, app.library, client.scan, receipt_hooks)

    packager = Packager(_redactor(app), app.key, app.work, now_ms)
    observing = observation_sender(app, packager)

    def taken_back(channel: Channel) -> None:
        if note_taken_back(app.state, app.work, channel):
            foundation.requests.cycle.set()

    hooks = SenderHooks(client.scan, problems, signals.packaged, observing, taken_back)
    sender = _sender(app, packager, hooks)
    queue = SendQueue(sender.left)
    scheduler = _scheduler(app, foundation, sender, queue, receipts)

    def backlog() -> tuple[int, int]:
        count, left = queue.backlog
        return count, max(0, left - packager.cut_bytes)

    live = LiveFacts(connections, greetings, offers, recovery, quotas, Parting(utc_now, monotonic))

    def check_status(world: World, folder: str, status: FolderStatus) -> None:
        quotas.check_status(world, folder, status)
        if status.state == "idle" and status.need_items:
            requests.checks.needs_check(folder)  # it may have stalled

    measured = Measured(connections.connected, backlog, check_status)
    return Parts(
        app=app,
        foundation=foundation,
        connections=connections,
        greetings=greetings,
        offers=offers,
        listener=EventListener(client, signals),
        reconciler=Reconciler(
            context, client, DocumentExchange(context, problems, _home()), live.observed
        ),
        sender=sender,
        scheduler=scheduler,
        receiver=receiver,
        receipts=receipts,
        checker=_checker(app, foundation, problems, quotas),
        transfers=Transfers(client, app.work, requests.moving, measured),
        archiving=archive_schedule(app, requests.archives, monotonic),
    )


def archive_schedule(
    app: App, requests: ArchiveRequests, monotonic: Callable[[], float] = time.monotonic
) -> ArchiveSchedule | None:
    """Make the schedule that archives sessions; None if the person turned the archive off.

    It has a source and places of its own, because it has a thread of its own.
    """
    if app.settings.archive.keep is Keep.OFF:
        return None
    places = Places()
    roots = KnownRoots(places, app.state)

    def project_of(cwds: Sequence[str]) -> str:
        return belonging_of({cwd: places.of(cwd) for cwd in cwds}).project

    def shared() -> set[str]:
        channels = {channel.id for channel in my_channels(app.state, app.me)}
        with app.work.reading() as tx:
            packed = packaged.packed_items.all(tx)
        return {item.session for item in packed if item.folder in channels}

    root, database = app.paths.archive, app.archive_store
    known = _ArchivedFacts(database, app.settings.claude_dirs)
    source = ClaudeSource(app.settings.claude_dirs, known.session_named, known.facts)

    def of_others(session: str, numbers: Collection[int]) -> Collection[int]:
        with app.library.reading() as tx:
            return record_ids.of_others(tx, app.me.tag, session, numbers)

    indexer = ArchiveIndexer(root, database, EXTRACTORS, of_others)
    parts = ArchiveParts(
        source,
        Archiver(root, database, source, ArchiverHooks(project_of, now_ms)),
        Forgetter(root, database, indexer),
        Upkeep(root, database, project_of),
        indexer,
    )

    def report(errors: Sequence[str]) -> None:
        app.event_log.record_state(ARCHIVE, _unarchived(errors))

    hooks = ScheduleHooks(shared, roots.refresh, report, roots.learn, monotonic)
    return ArchiveSchedule(requests, app.settings.archive, parts, hooks)


@dataclass(frozen=True)
class _ArchivedFacts:
    """The archive's knowledge of the agent's files, so that no file is read twice."""

    database: Database
    homes: Sequence[Path]

    def session_named(self, path: Path) -> str:
        """The session that a subagent's file belongs to; "" if it never was archived."""
        with self.database.reading() as tx:
            return session_of_path(tx, self._home_of(path), self._below(path))

    def facts(self, file: SourceFile) -> Facts:
        """The facts of one file; reads it if it is not archived as it is now."""
        with self.database.reading() as tx:
            known = facts_of_path(tx, self._home_of(file.path), self._below(file.path))
        if known and known[0].is_current(file.stat):
            return known[1]
        return read_facts(file)

    def _home_of(self, path: Path) -> str:
        return next((str(home) for home in self.homes if path.is_relative_to(home)), "")

    def _below(self, path: Path) -> str:
        home = self._home_of(path)
        return str(path.relative_to(home)) if home else str(path)


def _unarchived(errors: Sequence[str]) -> str:
    """The errors of archiving as the reason of one fault; "" if there are none."""
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{errors[0]}{more}" if errors else ""


def _receiver(app: App, client: SyncthingPort, signals: Signals, problems: Problems) -> Receiver:
    verifier = Verifier(verify_item, verify_chunk, verify_retraction, verify_observations)
    indexer = Indexer(app.paths.library, EXTRACTORS)
    importer = Importer(app.paths.library, app.library, verifier, indexer, utc_now)
    hooks = ReceiverHooks(problems, signals.refused, lambda folder: is_idle(client, folder))
    return Receiver(app.me, importer, app.library, app.event_log, hooks)


def _sender(app: App, packager: Packager, hooks: SenderHooks) -> Sender:
    recaller = Recaller(packager, app.work, now_ms)
    return Sender(app.decider, packager, recaller, HeldBack(app.work, app.event_log), hooks)


def _scheduler(
    app: App, foundation: Foundation, sender: Sender, queue: SendQueue, receipts: Receipts
) -> Scheduler:
    hooks = SchedulerHooks(
        redactor=lambda: _redactor(app),
        learn_roots=app.roots.learn,
        covers=receipts.covers,
        on_large_session=foundation.requests.measuring.set,
        monotonic=foundation.monotonic,
    )
    return Scheduler(foundation.requests.sends, app.matcher, sender, queue, hooks)


def _checker(app: App, foundation: Foundation, problems: Problems, quotas: Quotas) -> Checker:
    client, recovery = foundation.client, foundation.recovery
    override = Overrides(client, recovery, foundation.changes, utc_now)
    faults = Faults(app.work, app.event_log, problems)
    hooks = HealthHooks((quotas.check_status, override.check_status), foundation.monotonic)
    health = FolderHealth(client, app.paths, recovery, faults, hooks)
    return Checker(foundation.requests.checks, health, recovery, client, foundation.monotonic)


def _redactor(app: App) -> Redactor:
    return redactor_or_refusal(app.redactions.redactor, app.work, app.event_log)


def redactor_or_refusal(
    make: Callable[[], Redactor], store: Database, event_log: EventLog
) -> Redactor:
    """The redactor; if its rules cannot be used, one that refuses everything, and a fault.

    Without a redactor nothing leaves this machine, but the daemon goes on with everything else.
    """
    try:
        redactor = make()
    except (BadInput, RedactionFailed) as error:
        why = f"nothing is sent: {error}"
        if _fault_of_redaction(store) != why:
            log.warning(why)
            with store.transaction() as tx:
                work.faults.put(tx, work.Fault(folder=REDACTION, why=why))
            event_log.record_fault("fault", REDACTION, why)
        return RefusingRedactor(why)
    if _fault_of_redaction(store):
        with store.transaction() as tx:
            work.faults.drop(tx, folder=REDACTION)
        event_log.record_end(REDACTION, "it works again")
    return redactor


def _fault_of_redaction(store: Database) -> str:
    with store.reading() as tx:
        fault = work.faults.get(tx, REDACTION)
    return fault.why if fault else ""
