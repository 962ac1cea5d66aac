"""The composition root: the only place that wires the parts together.

Imports stand inside the methods where a short command must not pay for what it does not use.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync import settings
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.files import require_writable
from karma_sync.paths import Paths

if TYPE_CHECKING:
    from karma_sync.agents.claude.source import ClaudeSource
    from karma_sync.daemon.wiring import Engine
    from karma_sync.mesh.health.recovery import Recovery
    from karma_sync.redact.custom.redactions_file import RedactionsFile
    from karma_sync.redact.redactor import Redactor
    from karma_sync.runtime.change_log import Journal
    from karma_sync.runtime.event_log import Notes
    from karma_sync.sending.eligibility import Decider, Matcher
    from karma_sync.signing import SigningKey
    from karma_sync.store.database import Database
    from karma_sync.syncthing.client import SyncthingClient
    from karma_sync.syncthing.process import SyncthingProcess


def utc_now() -> datetime:
    """The clock of this program: UTC, aware."""
    return datetime.now(UTC)


class App:
    """One member's parts, each made when it is first asked for."""

    def __init__(self, paths: Paths, environ: Mapping[str, str] = os.environ) -> None:
        self.paths = paths
        self._environ = environ

    @classmethod
    def from_environment(cls) -> "App":
        """The member whose home the environment names."""
        return cls(Paths.from_environment(os.environ))

    @cached_property
    def settings(self) -> settings.Settings:
        """config.toml and the environment; raises NotInitialised before `init`."""
        return settings.load(self.paths, self._environ)

    @cached_property
    def key(self) -> "SigningKey":
        from karma_sync.signing import SigningKey

        return SigningKey.load(self.paths.key)

    @cached_property
    def me(self) -> PairingCode:
        """Who I am; `addresses` are what others are told to dial."""
        from karma_sync.syncthing.home import device_id

        tag = self.settings.tag
        device = device_id(self.paths.syncthing)
        return PairingCode(tag, device, self.key.public, self.settings.dial_addresses)

    @cached_property
    def state(self) -> "Database":
        from karma_sync.store.intent import IntentFile
        from karma_sync.store.state import open_state

        store = open_state(self._database(self.paths.state_db))
        intent = IntentFile(self.paths.intent, utc_now, self._limited)

        def committed() -> None:
            intent.keep(store, self.key.public)
            self.journal.run()

        store.after_commit(committed)
        intent.take_over(store, self.key.public)
        return store

    def _limited(self, why: str) -> None:
        self.notes.fault("limited", self.settings.tag, why)

    @cached_property
    def journal(self) -> "Journal":
        from karma_sync.runtime.change_log import Journal

        return Journal(self.state, self.work, self.settings.tag, utc_now)

    @cached_property
    def work(self) -> "Database":
        from karma_sync.store.work import open_work

        return open_work(self._database(self.paths.work_db))

    @cached_property
    def library(self) -> "Database":
        from karma_sync.store.library import open_library

        return open_library(self._database(self.paths.library_db))

    def open_databases(self) -> None:
        """Open all of them now, so that one that cannot be used stops us before we begin.

        Raises:
            NotWritable: one of them is not ours to write.
            BadInput: config.toml gives us another name than the one that our teams know.
        """
        from karma_sync.service.sessions.choices import withhold_again
        from karma_sync.service.setup import require_known_name

        for store in (self.paths.state_db, self.paths.work_db, self.paths.library_db):
            require_writable(store)
        _ = self.state, self.work, self.library
        require_known_name(self.state, self.me, self.paths.settings)
        for session in withhold_again(self.state, self.work):
            self._limited(f"{session}, the database was older: it is withheld again")

    @cached_property
    def source(self) -> "ClaudeSource":
        from karma_sync.agents.claude.source import ClaudeSource

        return ClaudeSource(self.settings.claude)

    @cached_property
    def notes(self) -> "Notes":
        from karma_sync.runtime.event_log import Notes

        return Notes(self.work, utc_now)

    @cached_property
    def matcher(self) -> "Matcher":
        """Tells sessions' projects; what it reads is remembered in work.db."""
        from karma_sync.sending.eligibility import Matcher

        matcher = Matcher.of(self.source, self.work)
        self.know_roots(matcher)
        return matcher

    @cached_property
    def decider(self) -> "Decider":
        """Tells whether a session leaves."""
        from karma_sync.sending.eligibility import Decider

        return Decider.of(self.matcher, self.state, utc_now)

    def know_roots(self, matcher: "Matcher") -> bool:
        """Tell the matcher which directories belong to projects; whether that is news."""
        from karma_sync.sending.eligibility import known_roots

        return matcher.places.know(*known_roots(self.state))

    def syncthing_process(self) -> "tuple[SyncthingProcess, SyncthingClient]":
        """Our own Syncthing, configured and not yet started, and a client for it.

        Raises:
            SyncthingMissing: there is none to run.
            PortTaken: the port that others dial belongs to another program.
        """
        from karma_sync.syncthing.client import SyncthingClient
        from karma_sync.syncthing.home import Network, configure, gui_port, require_home
        from karma_sync.syncthing.process import SyncthingProcess, free_port, require_free
        from karma_sync.syncthing.program import find_program

        network = self.settings.network
        program = find_program(self.settings.syncthing)
        home, log = self.paths.syncthing, self.paths.syncthing_log
        kept = gui_port(home)
        SyncthingProcess(program, home, kept or 0, log).end_orphan()  # it would hold the port
        port = free_port([kept] if kept else [], but=network.port)
        process = SyncthingProcess(program, home, port, log)
        where = f"network.port, and the port in addresses, in {self.paths.settings}"
        require_free(network.port, where)
        wanted = Network(
            gui_port=port,
            listen=self.settings.listen_addresses,
            discovery=network.discovery,
            relays=network.relays,
            nat=network.nat,
        )
        require_home(program, home)
        api_key = configure(self.paths.syncthing, wanted, self.settings.tag)
        return process, SyncthingClient(f"http://127.0.0.1:{port}", api_key)

    def engine(self, client: "SyncthingClient") -> "Engine":
        """The parts that do the daemon's work."""
        from karma_sync.channel.verify import verify_chunk, verify_item, verify_retraction
        from karma_sync.daemon.wiring import Engine, redactor_or_refusal
        from karma_sync.mesh.connections import Links
        from karma_sync.mesh.health.checker import Checker
        from karma_sync.mesh.health.folder_health import Health
        from karma_sync.mesh.health.override import Overriding
        from karma_sync.mesh.quotas import Quotas
        from karma_sync.mesh.reconciler import Reconciler
        from karma_sync.mesh.transfers import Progress
        from karma_sync.receiving.importer import Importer, Verifier
        from karma_sync.receiving.receiver import Receiver
        from karma_sync.sending.packaging.packager import Packager
        from karma_sync.sending.queue import Outgoing
        from karma_sync.sending.sender import Sender
        from karma_sync.team.context import Context
        from karma_sync.team.receipts import Receipts

        context = Context(self.state, self.paths, self.me, self.key, self.notes, utc_now)

        def redactor() -> "Redactor":
            return redactor_or_refusal(self.redactions.redactor, self.work, self.notes)

        packager = Packager(redactor(), self.key, self.work, lambda: context.now_ms)
        verifier = Verifier(verify_item, verify_chunk, verify_retraction)
        importer = Importer(self.paths.library, self.library, verifier, utc_now)
        links = Links(self.work, utc_now)
        quotas = Quotas(self.work, self.notes, utc_now)
        overriding = Overriding(client, self.recovery, self.notes, utc_now)
        self.recovery.rejected = overriding.rejected
        scan: Callable[[str, Sequence[str]], None] = client.scan
        sender = Sender(self.decider, packager, self.work, self.notes, scan)
        outgoing = Outgoing(sender.left)

        def backlog() -> tuple[int, int]:
            count, left = outgoing.backlog
            return count, max(0, left - packager.cut_bytes)

        progress = Progress(client, self.work, links.connected, backlog, quotas.judge)
        health = Health(client, self.paths, self.recovery, self.work, self.notes)
        health.judges = (quotas.judge, overriding.judge)
        return Engine(
            paths=self.paths,
            state=self.state,
            client=client,
            source=self.source,
            matcher=self.matcher,
            know_roots=lambda: self.know_roots(self.matcher),
            reconciler=Reconciler(
                context,
                client,
                lambda world: replace(
                    world,
                    answered=links.answered(),
                    recovering=self.recovery.remember(world),
                    too_large=quotas.folders(),
                ),
            ),
            sender=sender,
            library=self.library,
            receiver=Receiver(self.me.key, importer, self.library, self.notes),
            links=links,
            health=health,
            quotas=quotas,
            receipts=Receipts(context, self.work, self.library, scan, self.recovery.claimed),
            recovery=self.recovery,
            checker=Checker(health, self.recovery, client),
            journal=self.journal,
            notes=self.notes,
            outgoing=outgoing,
            progress=progress,
            redactor=redactor,
        )

    @cached_property
    def redactions(self) -> "RedactionsFile":
        from karma_sync.redact.custom.redactions_file import RedactionsFile

        return RedactionsFile(self.paths.redactions, self.settings.redaction)

    @cached_property
    def recovery(self) -> "Recovery":
        from karma_sync.mesh.health.integrity import Wholeness
        from karma_sync.mesh.health.recovery import Recovery

        whole = Wholeness(self.paths.library, self.library, self.work)
        recovery = Recovery(self.paths, whole, self.work, self.notes, utc_now)
        recovery.sources = self.source.ids
        return recovery

    def make_whole(self) -> None:
        """Before Syncthing starts: an outbox with a hole in it would delete at every peer."""
        from karma_sync.store.world import read_world
        from karma_sync.syncthing.home import folders

        with self.state.reading() as tx:
            world = read_world(tx, self.me, utc_now(), self.settings.network.discovery)
        self.recovery.before_start(world, folders(self.paths.syncthing))

    def _database(self, path: Path) -> Path:
        """Where a database lies, once there is an identity: before `init` nothing is made."""
        settings.load(self.paths, self._environ)
        return path

    def close(self) -> None:
        """Close the databases that were opened."""
        for name in ("state", "work", "library"):
            if name in self.__dict__:
                self.__dict__[name].close()
