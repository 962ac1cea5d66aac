"""The sending thread's work: what changed, what is to be looked at again, one session at a time."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from karma_sync.daemon.wiring import Engine
from karma_sync.runtime.timing import soonest
from karma_sync.sending import eligibility

# What takes longer than a moment: people may ask meanwhile how far it is.
_LARGE_BYTES = 50_000_000


@dataclass
class _Due:
    """What there is to do; `everything` is a pass over all sessions."""

    everything: bool = False
    tidy: bool = False
    mended: set[str] = field(default_factory=set)
    changed: set[Path] = field(default_factory=set)


class Dispatch:
    """Has sessions sent; all but `run` may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sender = engine.sender
        self._lock = threading.Lock()
        self._due = _Due(everything=True)
        self.begins: Callable[[], None] = lambda: None

    def touch(self, path: Path) -> None:
        """A file of an agent's is new, other or gone."""
        with self._lock:
            self._due.changed.add(self._engine.source.gathered(path))

    def look_at_all(self) -> None:
        """Look at every session there is, the newest first."""
        with self._lock:
            self._due.everything = True

    def mended(self, folders: Collection[str]) -> None:
        """What these outboxes hold may be other than what was packaged."""
        with self._lock:
            self._due.mended |= set(folders)
            self._due.everything = True

    def tidy(self) -> None:
        """Receivers may have confirmed what dropped a chunk."""
        with self._lock:
            self._due.tidy = True

    def run(self) -> float | None:
        """Do what is due, and send one session; seconds until more is due, None if nothing is."""
        with self._lock:
            due, self._due = self._due, _Due()
        try:
            self._take_up(due)
            return self._send_one()
        except Exception:
            self.look_at_all()  # what was in hand is found again
            raise

    def _take_up(self, due: _Due) -> None:
        engine = self._engine
        for folder in due.mended:
            self._sender.reload(folder)
        if self._sender.try_again() or due.everything:
            self._sender.begin(engine.redactor())
            sessions = engine.source.sessions()
            self._sender.forget_gone(sessions)
            engine.outgoing.all_of(sessions)
            self._sender.read_ahead(sessions)
            due.tidy = True
        if due.tidy:
            self._sender.tidy(time.time_ns() // 10**6)
        for path in due.changed:
            for found in engine.matcher.at(path):
                engine.outgoing.changed(found, time.monotonic())

    def _send_one(self) -> float | None:
        outgoing = self._engine.outgoing
        session = outgoing.next(time.monotonic())
        if session is None:
            self._sender.renew()
        else:
            if session.size > _LARGE_BYTES:
                self.begins()
            try:
                sent = self._sender.send(session)
            finally:
                outgoing.looked()
            if sent.left:
                outgoing.goes_on(session, sent.left)
            elif sent.packaged:
                outgoing.packaged(session, time.monotonic())
            if sent.wait_s is not None:
                outgoing.again(session, time.monotonic() + sent.wait_s)
        wait = 0.0 if self._sender.renewing else outgoing.wait(time.monotonic())
        if wait == 0.0:
            return wait
        self._sender.tell()
        learned = self._engine.matcher.places.take_news()
        if learned:
            eligibility.learn_roots(self._engine.state, learned)
            self.look_at_all()  # what vanished may lie below what was learned
            return 0.0
        return soonest(wait, self._sender.settle())
