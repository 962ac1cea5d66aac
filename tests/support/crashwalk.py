"""Kills a member at one point after the other, and looks at what is left each time."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from karma_sync.daemon.lock import running
from tests.support.harness import Member, logs, until
from tests.support.sound import Seen
from tests.support.town import END_S
from tests.support.transcripts import Session

ROOT = Path(__file__).parents[2]
_LONG = "x" * 300_000  # more than a chunk


@dataclass
class Walk:
    """Over all points in a scope, at one member; `victim` is daemon or syncthing.

    The member's clock stands still at `clock`, if that is given.
    """

    member: Member
    scope: str
    victim: str = "daemon"
    clock: datetime | None = None
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        self._points = self.member.folder / f"points-{self.victim}-{abs(hash(self.scope))}"
        self._points.touch()

    @property
    def points(self) -> list[str]:
        """The points at which something was killed, in their order."""
        return self._points.read_text().splitlines()

    def run(
        self, others: list[Member], work: Callable[[], object], done: Callable[[], bool]
    ) -> list[str]:
        """Start the member's daemon until a run is not killed before `done` says so.

        Before each start there is new `work`; after each kill, what it left is looked at. The
        daemon is down at the end. Gives the points.
        """
        process = None
        while True:
            work()
            known = len(self.points)
            process = process or self._start()
            self._wait(process, done)
            self.seen.look(self.member, *others)
            if process.poll() is not None:
                assert process.returncode == -signal.SIGKILL, logs()
                assert running(self.member.paths) is None  # what `status` goes by
                process = None
            elif len(self.points) == known and self._ended(process):
                break
        print(f"{self.victim} killed at {len(self.points)} points:", *self.points, sep="\n  ")
        return self.points

    def appends(self, session: Session, reader: Member, *others: Member) -> list[str]:
        """`run` while a session grows, by more than a chunk each time, until `reader` has it."""
        return self.run(
            list(others),
            lambda: session.append(f"{len(self.points)} {_LONG}"),
            lambda: reader.peek(session.id) == session.content,
        )

    def _ended(self, process: "subprocess.Popen[bytes]") -> bool:
        """Stop it as a person does; False if even that led to a point, and it was killed."""
        process.terminate()
        code = process.wait(END_S)
        assert code in {0, -signal.SIGKILL}, logs()
        return code == 0

    def _wait(self, process: "subprocess.Popen[bytes]", done: Callable[[], bool]) -> None:
        until(lambda: process.poll() is not None or done(), f"what follows {self.points}")

    def _start(self) -> "subprocess.Popen[bytes]":
        return start(
            self.member,
            KARMA_CRASH_POINTS=str(self._points),
            KARMA_CRASH_SCOPE=self.scope,
            KARMA_CRASH_VICTIM=self.victim,
            KARMA_CRASH_CLOCK=self.clock.isoformat() if self.clock else "",
        )


def start(member: Member, **environ: str) -> "subprocess.Popen[bytes]":
    """Start a daemon through `support/crashing.py`, which tells what the variables do."""
    with member.paths.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.crashing", "up", "--log-to-file"],
            env=member.environ | {"PYTHONPATH": str(ROOT)} | environ,
            cwd=member.repo,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
