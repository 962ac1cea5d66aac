"""Schedules the work of the sending thread: which session it sends next, and when it runs again.

Any thread adds to `SendRequests`. The sending thread alone runs `Scheduler`: each run carries out
the requests and sends one session, so that a new request waits for one session at most.
"""

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
from karma_sync.sending.queue import Cost, SendQueue
from karma_sync.sending.sender import Sender

# A session of this size takes longer than a moment: people may ask for the progress meanwhile.
_LARGE_BYTES = 50_000_000
# Reading many observations takes a share of a core while they change, and pauses in between.
_OBSERVING_SHARE = 0.2
_LONGEST_REST_S = 5.0


@dataclass
class _Due:
    """The requests since the last run; `everything` asks for a pass over all sessions."""

    everything: bool = False
    tidy: bool = False
    observations: bool = False
    reload: set[str] = field(default_factory=set)
    changed: set[Path] = field(default_factory=set)


class SendRequests:
    """Collects requests for the sending thread; safe to use from several threads.

    `gathered` maps a changed path to the one path that stands for it and its neighbours, so that
    many changes in one directory are one request.
    """

    def __init__(self, wake: Wake, gathered: Callable[[Path], Path]) -> None:
        self._wake = wake
        self._gathered = gathered
        self._lock = threading.Lock()
        self._due = _Due(everything=True)

    def touch(self, path: Path) -> None:
        """Send the sessions of this file: the agent created, changed or deleted it."""
        with self._lock:
            self._due.changed.add(self._gathered(path))
        self._wake.set()

    def touch_observations(self) -> None:
        """Send the observations that changed."""
        with self._lock:
            self._due.observations = True
        self._wake.set()

    def request_pass(self) -> None:
        """Check every session on this machine, the newest first."""
        self.put_back_pass()
        self._wake.set()

    def put_back_pass(self) -> None:
        """Check every session at the next run, without waking the thread now.

        For the sending thread itself: after a failure it pauses before it tries again.
        """
        with self._lock:
            self._due.everything = True

    def reload(self, folders: Collection[str]) -> None:
        """Compare these outboxes with what was packaged: a repair may have changed them."""
        with self._lock:
            self._due.reload |= set(folders)
            self._due.everything = True
        self._wake.set()

    def tidy(self) -> None:
        """Delete dropped chunks that no receiver needs: new receipts may have arrived."""
        with self._lock:
            self._due.tidy = True
        self._wake.set()

    def take(self) -> _Due:
        """The requests since the last call."""
        with self._lock:
            due, self._due = self._due, _Due()
        return due


@dataclass(frozen=True)
class SchedulerHooks:
    """The functions of other parts that a scheduler calls.

    `redactor` makes the redactor for a pass over all sessions. `learn_roots` stores which project
    git reported for each directory; true if a report was new. `covers` is true if every receiver
    has everything in a channel. `on_large_session` is called before a session that takes long.
    `cpu_s` gives the CPU seconds that the sending thread has used.
    """

    redactor: Callable[[], Redactor]
    learn_roots: Callable[[], bool]
    covers: Callable[[Channel], bool] = lambda channel: False
    on_large_session: Callable[[], None] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    cpu_s: Callable[[], float] = time.thread_time


class Scheduler:
    """Has sessions sent, one after the other; only the sending thread uses it."""

    def __init__(
        self,
        requests: SendRequests,
        matcher: ProjectMatcher,
        sender: Sender,
        queue: SendQueue,
        hooks: SchedulerHooks,
    ) -> None:
        self._requests = requests
        self._matcher = matcher
        self._sender = sender
        self._queue = queue
        self._hooks = hooks
        self._observing = False  # whether observations changed and wait for their turn
        self._observe_at = 0.0

    def run(self) -> float | None:
        """Carry out the requests and send one session.

        Returns the seconds until the next run, None if only a new request needs one.
        """
        try:
            self._carry_out(self._requests.take())
            return self._send_one()
        except Exception:
            self._requests.put_back_pass()  # a pass finds the session that failed again
            raise

    def _carry_out(self, due: _Due) -> None:
        for folder in due.reload:
            self._sender.reload(folder)
        if self._sender.try_again() or due.everything:
            self._sender.start_pass(self._hooks.redactor())
            sessions = self._matcher.sessions()
            self._sender.forget_gone(sessions)
            self._queue.replace_backlog(sessions)
            self._sender.read_ahead(sessions)
            due.tidy = due.observations = True
        self._observe(asked=due.observations)
        if due.tidy:
            self._sender.tidy(self._hooks.covers)
        for path in due.changed:
            for found in self._matcher.sessions_at(path):
                self._queue.add_changed(found, self._hooks.monotonic())

    def _observe(self, *, asked: bool) -> None:
        """Send observations if they changed, in proportion to what that costs."""
        self._observing = self._observing or asked
        if not self._observing or self._hooks.monotonic() < self._observe_at:
            return
        self._observing = False
        began_s = self._hooks.cpu_s()
        self._sender.send_observations()
        rest_s = min((self._hooks.cpu_s() - began_s) / _OBSERVING_SHARE, _LONGEST_REST_S)
        self._observe_at = self._hooks.monotonic() + rest_s

    @property
    def _observing_wait(self) -> float | None:
        """Seconds until changed observations are sent; None if none changed."""
        return max(0.0, self._observe_at - self._hooks.monotonic()) if self._observing else None

    def _send_one(self) -> float | None:
        queue = self._queue
        session = queue.next(self._hooks.monotonic())
        if session is None:
            self._sender.repackage_one()
        else:
            self._send(session)
        wait = 0.0 if self._sender.has_stale_items else queue.wait(self._hooks.monotonic())
        if wait == 0.0:
            return wait
        self._sender.rescan()
        if self._hooks.learn_roots():
            # a vanished directory of some session may lie below a directory that was just learned
            self._requests.request_pass()
            return 0.0
        return soonest(wait, self._sender.finish_pass(), self._observing_wait)

    def _send(self, session: SourceSession) -> None:
        """Send one session, and put it back into the queue if it has to be sent again."""
        queue = self._queue
        if session.size > _LARGE_BYTES:
            self._hooks.on_large_session()
        began_s = self._hooks.cpu_s()
        try:
            sent = self._sender.send(session)
        finally:
            queue.finish()
        if sent.vanished:
            self._requests.touch(session.place)
        if sent.left:
            queue.requeue(session, sent.left)
        elif sent.packaged:
            cost = Cost(sent.wire, self._hooks.cpu_s() - began_s)
            queue.record_packaged(session, self._hooks.monotonic(), cost)
        if sent.wait_s is not None:
            queue.schedule(session, self._hooks.monotonic() + sent.wait_s)
