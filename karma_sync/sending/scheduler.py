"""The sending thread's work: what changed, what is to be looked at again, one session at a time."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.timing import soonest
from karma_sync.runtime.worker import Wake
from karma_sync.sending.eligibility import ProjectMatcher
from karma_sync.sending.queue import SendQueue
from karma_sync.sending.sender import Sender

# What takes longer than a moment: people may ask meanwhile how far it is.
_LARGE_BYTES = 50_000_000


@dataclass
class _Due:
    """What there is to do; `everything` is a pass over all sessions."""

    everything: bool = False
    tidy: bool = False
    mended: set[str] = field(default_factory=set)
    changed: set[Path] = field(default_factory=set)


class SendRequests:
    """What is to be sent or looked at; may be used by several threads.

    `gathered` gives the one path that stands for many changed ones.
    """

    def __init__(self, wake: Wake, gathered: Callable[[Path], Path]) -> None:
        self._wake = wake
        self._gathered = gathered
        self._lock = threading.Lock()
        self._due = _Due(everything=True)

    def touch(self, path: Path) -> None:
        """A file of an agent's is new, other or gone."""
        with self._lock:
            self._due.changed.add(self._gathered(path))
        self._wake.set()

    def look_at_all(self) -> None:
        """Look at every session there is, the newest first."""
        with self._lock:
            self._due.everything = True
        self._wake.set()

    def mended(self, folders: Collection[str]) -> None:
        """What these outboxes hold may be other than what was packaged."""
        with self._lock:
            self._due.mended |= set(folders)
            self._due.everything = True
        self._wake.set()

    def tidy(self) -> None:
        """Receivers may have confirmed what dropped a chunk."""
        with self._lock:
            self._due.tidy = True
        self._wake.set()

    def take(self) -> _Due:
        """What was asked for since the last call."""
        with self._lock:
            due, self._due = self._due, _Due()
        return due


@dataclass(frozen=True)
class SchedulerHooks:
    """What a scheduler calls in other parts.

    `redactor` makes the redactor of a pass over all sessions; `covers` tells whether every
    receiver has all of a channel; `begins` is called before a session that takes a while;
    `learned` keeps what git said of directories, and tells whether it said something new.
    """

    redactor: Callable[[], Redactor]
    learned: Callable[[], bool]
    covers: Callable[[Channel], bool] = lambda channel: False
    begins: Callable[[], None] = lambda: None


class Scheduler:
    """Has sessions sent, one after the other; used by the sending thread alone."""

    def __init__(
        self,
        requests: SendRequests,
        matcher: ProjectMatcher,
        sender: Sender,
        outgoing: SendQueue,
        hooks: SchedulerHooks,
    ) -> None:
        self._requests = requests
        self._matcher = matcher
        self._sender = sender
        self._outgoing = outgoing
        self._hooks = hooks

    def run(self) -> float | None:
        """Do what is due, and send one session; seconds until more is due, None if nothing is."""
        try:
            self._take_up(self._requests.take())
            return self._send_one()
        except Exception:
            self._requests.look_at_all()  # what was in hand is found again
            raise

    def _take_up(self, due: _Due) -> None:
        for folder in due.mended:
            self._sender.reload(folder)
        if self._sender.try_again() or due.everything:
            self._sender.begin(self._hooks.redactor())
            sessions = self._matcher.sessions()
            self._sender.forget_gone(sessions)
            self._outgoing.all_of(sessions)
            self._sender.read_ahead(sessions)
            due.tidy = True
        if due.tidy:
            self._sender.tidy(self._hooks.covers)
        for path in due.changed:
            for found in self._matcher.at(path):
                self._outgoing.changed(found, time.monotonic())

    def _send_one(self) -> float | None:
        outgoing = self._outgoing
        session = outgoing.next(time.monotonic())
        if session is None:
            self._sender.renew()
        else:
            self._send(session)
        wait = 0.0 if self._sender.renewing else outgoing.wait(time.monotonic())
        if wait == 0.0:
            return wait
        self._sender.tell()
        if self._hooks.learned():
            self._requests.look_at_all()  # what vanished may lie below what was learned
            return 0.0
        return soonest(wait, self._sender.settle())

    def _send(self, session: SourceSession) -> None:
        """Have one session sent, and see when it is its turn again."""
        outgoing = self._outgoing
        if session.size > _LARGE_BYTES:
            self._hooks.begins()
        try:
            sent = self._sender.send(session)
        finally:
            outgoing.looked()
        if sent.vanished:
            self._requests.touch(session.transcript.path)
        if sent.left:
            outgoing.goes_on(session, sent.left)
        elif sent.packaged:
            outgoing.packaged(session, time.monotonic())
        if sent.wait_s is not None:
            outgoing.again(session, time.monotonic() + sent.wait_s)
