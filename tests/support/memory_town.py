"""Members of whole teams in one process, each with the daemon's own parts and a home on disk.

Between them is the Syncthing in memory. Nothing runs by itself: `settle` has every member do what
there is to do, in the same order each time, until nobody has anything left. Seconds that have to
pass, such as those between two receipts, pass at once: the parts get the town's clock.

What it cannot show is what only processes, networks, disks and Syncthing itself do wrong.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from karma_sync.agents.claude.side_files import REPORTED_DELETIONS, WATCHED
from karma_sync.app import App
from karma_sync.daemon.before_start import before_start
from karma_sync.daemon.lock import announced, locked
from karma_sync.daemon.threads import Duties
from karma_sync.daemon.wiring import prepare, wire
from karma_sync.domain.mesh.plan import FolderType
from karma_sync.errors import KarmaError, SyncthingUnreachable
from karma_sync.files import private_dir
from karma_sync.receiving.receiver import ALL
from karma_sync.runtime.timing import utc_now
from karma_sync.runtime.worker import Wake
from karma_sync.settings import NetworkSettings, claude_dirs
from karma_sync.settings import save as save_settings
from karma_sync.signing import SigningKey
from tests.support.harness import Member, Result, played
from tests.support.memory_member import VERSION
from tests.support.memory_network import Network
from tests.support.memory_syncthing import MemorySyncthing
from tests.support.town import Town
from tests.support.transcripts import Session

_RETRY_S = 5.0  # as a worker of the daemon does
# Longer than anything waits for others or for its turn; what comes later is `an_hour_passes`.
_PATIENCE_S = 15.0
_MOST_S = 120.0  # what is tried again and again all this time will be tried again for ever
_MOST_ROUNDS = 2_000

# Tells its version; nobody starts it.
_PROGRAM = """#!/bin/sh
echo 'syncthing {version} "Memory" (none)'
"""
_CERTIFICATE = """-----BEGIN CERTIFICATE-----
{content}
-----END CERTIFICATE-----
"""


class Clock:
    """Seconds that pass only when somebody has nothing else to do."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class _Work:
    """One worker of a daemon: its duty, what wakes it, and when it is due without that."""

    name: str
    run: Callable[[], float | None]
    wake: Wake
    due: float | None
    awaited: bool = True  # whether time passes for its sake


class MemoryMember(Member):
    """A person on a machine of their own; what a daemon does is done by `MemoryTown.settle`."""

    def __init__(self, town: "MemoryTown", user: str, program: Path) -> None:
        super().__init__(town.folder, user, program)
        self.town = town
        self.syncthing: MemorySyncthing
        self.failures: list[str] = []  # what its workers could not do, oldest first
        self.is_up = False
        self.is_suspended = False
        self._cleanup = ExitStack()
        self._works: list[_Work] = []
        self._state_version = 0
        self._watched: dict[Path, tuple[int, int, int]] = {}
        self._observed: list[object] = []
        self._saved = b""
        self._index = self.paths.syncthing / "index-memory" / "index"
        self.app: App

    def init(self) -> "MemoryMember":
        """Make the home as `init` does, and a Syncthing that has its identity."""
        port = 22_000 + len(self.town.network.members)
        network = NetworkSettings(
            port=port,
            addresses=(f"tcp://127.0.0.1:{port}",),
            discovery=False,
            relays=False,
            nat=False,
        )
        self.paths.create()
        SigningKey.create(self.paths.key)
        _make_syncthing_home(self.paths.syncthing)
        save_settings(self.paths, self.tag, network, claude_dirs(self.environ))
        me = App(self.paths, self.environ).me
        self.syncthing = MemorySyncthing(self.town.network, me.device, me.device_name)
        self.syncthing.shutdown()
        assert me.addresses == (self.syncthing.address,)
        return self

    # ---- commands

    def run(
        self,
        *args: str,
        check: bool = True,
        stdin: str | None = None,
        cwd: Path | None = None,
        real: bool = False,
    ) -> Result:
        """Run a command; those that start and end a daemon do so with the one in memory."""
        if args[:1] == ("up",):
            self.up()
        elif args == ("down",):
            self.down()
        else:
            return super().run(*args, check=check, stdin=stdin, cwd=cwd, real=real)
        return Result(args, 0, "", "")

    def processes(self) -> list[psutil.Process]:
        """None runs for this member."""
        return []

    # ---- the daemon

    def up(self) -> "MemoryMember":
        """Start what a daemon consists of; `settle` has it work."""
        assert not self.is_up
        self._cleanup.enter_context(locked(self.paths))
        self.app = app = App(self.paths, self.environ)
        self._cleanup.callback(app.close)
        app.open_databases()
        foundation = prepare(app, self.syncthing, self.syncthing.greet, self.town.clock)
        self._start_syncthing(lambda: before_start(app, foundation.recovery))
        self._cleanup.enter_context(announced(self.paths, utc_now(), VERSION))
        parts = wire(app, foundation)
        self._cleanup.callback(app.matcher.close)
        duties, requests, now = Duties(parts), foundation.requests, self.town.clock()
        self._works = [
            _Work("listening", duties.listen, Wake(), None),
            _Work("cycle", duties.cycle, requests.cycle, now),
            _Work("sending", duties.send, requests.sending, now),
            _Work("receiving", duties.receive, requests.receiving, now),
            _Work("checking", duties.check, requests.checking, now),
            _Work("measuring", duties.measure, requests.measuring, now, awaited=False),
            _Work("archiving", duties.archive, requests.archiving, now, awaited=False),
            _Work("greeting", duties.greet, requests.greeting, None),
        ]
        self._parts, self._duties, self._requests = parts, duties, requests
        duties.prime()
        self._state_version = app.state.data_version()
        self.is_up = True
        return self

    def kill(self) -> None:
        """End at once: what is on disk stays as it is, all else is lost."""
        assert self.is_up
        self.is_up = False
        self._works = []
        self._cleanup.close()
        if self._syncthing_runs():
            self.syncthing.shutdown()
        self._saved = self.syncthing.saved()
        if self.paths.syncthing.exists():
            self._index.parent.mkdir(exist_ok=True)
            self._index.write_bytes(self._saved)

    def down(self) -> None:
        """Stop the daemon; there is nothing in hand that could be finished first."""
        self._parts.connections.record_all({})
        self.kill()

    def offline(self) -> None:
        """The machine is cut off from all others; its daemon works on."""
        self.town.network.offline(self.syncthing.device)

    def online(self) -> None:
        """The machine is back."""
        self.town.network.online(self.syncthing.device)

    def kill9(self) -> None:
        """Kill the daemon; its Syncthing goes with it."""
        self.kill()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The daemon does nothing meanwhile; its Syncthing goes on."""
        self.is_suspended = True
        try:
            yield
        finally:
            self.is_suspended = False

    @property
    def daemon_pid(self) -> int:
        """The process of this member's daemon: all members in memory share that of the tests.

        It may stand in a file of an agent, but must never get a signal.
        """
        return os.getpid()

    def wake(self) -> None:
        """Do the daemon's work of every minute."""
        self._requests.cycle.set()

    def everything_is_due(self) -> None:
        """Do the daemon's work of every minute and of every ten minutes."""
        self._requests.cycle.set()
        self._requests.request_pass()
        self._requests.checks.check_all()

    # ---- sessions

    def watch(self) -> None:
        """Tell of what the agent wrote since this was called last, as the watcher does."""
        found = {
            path: (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            for folder in WATCHED
            for path in _files_below(self.claude / folder)
            if (stat := path.lstat())
        }
        told = {path for path, stat in found.items() if self._watched.get(path) != stat}
        told |= {
            path
            for path in self._watched.keys() - found.keys()
            if path.relative_to(self.claude).parts[0] in REPORTED_DELETIONS
        }
        for path in sorted(told):
            self._requests.touch(path)
        self._watched = found
        observed = [source.stamp() for source in self.app.observations.sources]
        if observed != self._observed:
            self._observed = observed
            self._requests.sends.touch_observations()

    def holds(self, *sessions: Session) -> bool:
        """Whether these sessions can be read here just as they are on their author's disk."""
        return all(self.peek(session.id) == session.content for session in sessions)

    # ---- Syncthing

    def folders(self) -> dict[str, str]:
        """The type of each folder that Syncthing has now, by id."""
        found = self.syncthing.configuration(self.paths.folders).folders
        return {folder.id: str(folder.type) for folder in found}

    def outboxes(self) -> list[Path]:
        """The folders through which this member sends."""
        kinds = self.folders().items()
        return [self.paths.folder(i) for i, kind in kinds if kind == FolderType.SEND_ONLY]

    def rest(self, path: str) -> Any:
        """Syncthing's answer to a GET of pending devices or folders, or of its configuration."""
        if path == "cluster/pending/devices":
            return {device.id: device for device in self.syncthing.pending_devices()}
        if path == "cluster/pending/folders":
            return {folder.id: folder for folder in self.syncthing.pending_folders()}
        assert path.startswith("config"), path
        tree = json.loads(self.syncthing.configuration(self.paths.folders).write())
        for part in path.split("/")[1:]:
            tree = tree[part]
        return tree

    # ---- for the town

    def work(self) -> bool:
        """Do what was asked for or is due; whether there was anything."""
        if not self._syncthing_runs():
            self._restart_syncthing()
        version = self.app.state.data_version()
        if version != self._state_version:  # a command changed something
            self._state_version = version
            self._requests.cycle.set()
        self._do(self._works[0])
        return any([self._do(each) for each in self._works[1:] if self._is_due(each)])

    def work_off(self) -> None:
        """Work until there is nothing to do at this moment; the network does nothing meanwhile."""
        for _ in range(_MOST_ROUNDS):
            if not self.work():
                return

    @property
    def next_due(self) -> float | None:
        """The time at which this member would do something by itself."""
        due = [each.due for each in self._works if each.awaited and each.due is not None]
        return min(due, default=None)

    def _is_due(self, work: _Work) -> bool:
        is_woken = work.wake.wait(0)
        return is_woken or (work.due is not None and work.due <= self.town.clock())

    def _do(self, work: _Work) -> bool:
        try:
            again = work.run()
        except KarmaError as error:
            self.failures.append(f"{work.name}: {error}")
            again = _RETRY_S
        listens = work is self._works[0]
        work.due = None if again is None or listens else self.town.clock() + again
        return True

    def _syncthing_runs(self) -> bool:
        try:
            self.syncthing.ping()
        except SyncthingUnreachable:
            return False
        return True

    def _start_syncthing(self, prepare_start: Callable[[], None]) -> None:
        """Start it as the daemon does; where its index on disk is lost or older, so it is here."""
        index = self._index.parent
        index.mkdir(exist_ok=True)
        if self._index.exists() and (saved := self._index.read_bytes()) != self._saved:
            self.syncthing.restore(saved)
            self._saved = saved
        config = self.paths.syncthing / "config.xml"
        config.write_bytes(self._remembered())
        prepare_start()
        if not index.exists():
            self.syncthing.forget_index()
        self.syncthing.start()
        self.syncthing.configure_by(config.read_bytes())

    def _remembered(self) -> bytes:
        """The folders as the configuration on disk has them."""
        self.syncthing.start()
        try:
            return self.syncthing.config_xml()
        finally:
            self.syncthing.shutdown()

    def _restart_syncthing(self) -> None:
        parts = self._parts
        self._start_syncthing(lambda: before_start(parts.app, parts.foundation.recovery))
        self._duties.prime()
        for name in parts.receiver.folders():
            self._requests.arrivals.add(name, ALL)
        self._requests.checks.check_all()
        self._requests.cycle.set()


def _files_below(folder: Path) -> Iterator[Path]:
    """All files, also where a link names one; `rglob` takes five times as long."""
    for place, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(place, name)).is_file())


def _make_syncthing_home(home: Path) -> None:
    """Make what `syncthing generate` makes, with a certificate of random bytes."""
    private_dir(home)
    content = base64.encodebytes(os.urandom(300)).decode().strip()
    (home / "cert.pem").write_text(_CERTIFICATE.format(content=content))
    (home / "key.pem").write_text("no key\n")
    (home / "config.xml").write_text('<configuration version="37"/>\n')


class MemoryTown(Town):
    """All members of a test, and the seconds that pass for them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.network = Network()
        self.clock = Clock()
        self.everybody: list[MemoryMember] = []
        self.program = folder / "syncthing"
        self.program.write_text(_PROGRAM.format(version=VERSION))
        self.program.chmod(0o755)
        played.append(self)

    def member(
        self, user: str, program: Path | None = None, kind: type[Member] = Member
    ) -> "MemoryMember":
        """A new member, initialised; its daemon is not up yet."""
        assert kind is Member
        found = MemoryMember(self, user, program or self.program)
        self._members.append(found)
        self.everybody.append(found)
        return found.init()

    def settle(self) -> None:
        """Have everybody work, and the network too, until nobody has anything to do.

        What has to wait for some seconds is waited for, up to two minutes in all.
        """
        for member in self._up():
            member.watch()
        until = self.clock.now + _MOST_S
        while True:
            self._rest()
            due = [m.next_due for m in self._up() if m.next_due is not None]
            soonest = min(due, default=until)
            if soonest >= until or soonest > self.clock.now + _PATIENCE_S:
                return
            self.clock.now = max(self.clock.now, soonest)

    def an_hour_passes(self) -> None:
        """Let an hour pass: the work of the clock is done once."""
        self.clock.now += 3600
        self.network.an_hour_passes()
        for member in self._up():
            member.everything_is_due()
        self.settle()

    def minute_passes(self) -> None:
        """A minute passes in which nothing happens but what is done once a minute."""
        self.clock.now += 60
        for member in self._up():
            member.wake()

    def close(self) -> None:
        """End everything."""
        played.remove(self)
        for member in self._up():
            member.kill()
        super().close()

    def _up(self) -> Sequence[MemoryMember]:
        return [each for each in self.everybody if each.is_up and not each.is_suspended]

    def _rest(self) -> None:
        """Everybody works until nobody has anything to do at this moment."""
        for _ in range(_MOST_ROUNDS):
            self.network.settle()
            if not any([member.work() for member in self._up()]):
                return
        failures = {member.tag: member.failures[-3:] for member in self.everybody}
        raise AssertionError(f"the members of this town never come to rest: {failures}")
