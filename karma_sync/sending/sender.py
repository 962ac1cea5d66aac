"""What leaves: decides per session and channel, has it packaged, tells Syncthing."""

import errno
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from karma_sync.channel.layout import item_name
from karma_sync.channel.outbox import Outbox
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.selection import Decision, Outcome, Unshared
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import DatabaseUnusable, KarmaError, NotWritable
from karma_sync.files import is_readable
from karma_sync.redact.custom.ruleset import RefusingRedactor
from karma_sync.redact.redactor import Redactor
from karma_sync.runtime.problems import Problems
from karma_sync.runtime.timing import RETRY_S, Retry, soonest
from karma_sync.sending.eligibility import Decider, wrote
from karma_sync.sending.held_back import HeldBack
from karma_sync.sending.packaging.packager import Packager, all_or_nothing
from karma_sync.sending.recall import Recaller
from karma_sync.store.work import Stays
from karma_sync.syncthing.rescan import Rescan, Scan

log = logging.getLogger(__name__)
_TELL_EVERY_S = 0.25


@dataclass(frozen=True)
class SenderHooks:
    """What a sender calls in other parts.

    `scan` has Syncthing look at files that were written; `packaged` gets the channel and the name
    of each file that is in its place.
    """

    scan: Scan
    problems: Problems
    packaged: Callable[[Channel, str], None] = lambda channel, item: None


@dataclass(frozen=True)
class SendResult:
    """Whether a session was packaged, and how many bytes of it are left for the next step.

    `wait_s` is the time until one that must be quiet may leave; `vanished` tells that a file of
    the session was gone when it was to be read.
    """

    packaged: bool
    wait_s: float | None = None
    left: int = 0
    vanished: bool = False


class Sender:
    """Keeps my outboxes up to date with the sessions on this machine."""

    def __init__(
        self,
        decider: Decider,
        packager: Packager,
        recaller: Recaller,
        stayed: HeldBack,
        hooks: SenderHooks,
    ) -> None:
        self._decider = decider
        self._matcher = decider.matcher
        self._packager = packager
        self._recaller = recaller
        self._stayed = stayed
        self._rescan = Rescan(hooks.scan)
        self._problems = hooks.problems
        self._packaged = hooks.packaged
        self._channels: dict[str, tuple[Channel, Outbox]] = {}
        self._told = -math.inf
        self._choices = decider.choices()
        self._unsettled: list[tuple[str, str, int]] = []  # folder, item, revision
        self._unshared: frozenset[Unshared] = frozenset()
        self._blocked: set[str] = set()
        self._closed: set[Path] = set()
        self._retry = Retry()

    def send_to(self, channels: Sequence[Channel], folder: Callable[[str], Path]) -> bool:
        """Send into these channels from now on; whether they, or what limits them, are others."""
        wanted = {c.id: c for c in channels}
        known = {name: channel for name, (channel, _) in self._channels.items()}
        choices = self._decider.choices()
        if wanted == known and choices == self._choices:
            return False
        self._choices = choices
        for name in wanted.keys() - known.keys():
            self._packager.load(name)
            self._stayed.load(name)
        # an outbox that stays keeps what was written and not told yet: nothing else would tell it
        kept = {name: outbox for name, (_, outbox) in self._channels.items()}
        boxes = {name: kept.get(name) or self._outbox(folder(name)) for name in wanted}
        for name in wanted.keys() - known.keys():
            self._packager.forget_missing(name, boxes[name])
        self._channels = {name: (wanted[name], boxes[name]) for name in wanted}
        return True

    def _outbox(self, path: Path) -> Outbox:
        return Outbox(
            path,
            together=True,
            beside=lambda: [outbox for _, outbox in self._channels.values()],
        )

    def hold_back(self, unshared: frozenset[Unshared]) -> None:
        """Send none of these from now on; `begin` withdraws what has left."""
        self._unshared = unshared

    def begin(self, redactor: Redactor) -> None:
        """Before all sessions are looked at: call back what must not be out there.

        Without a redactor nothing is packaged, but what was unshared is withdrawn.
        """
        self._settle()
        self._packager.use(redactor)
        call_back = self._recaller.withdraw if self._refuses else self._recaller.begin
        for channel, outbox in list(self._channels.values()):
            try:
                for name in call_back(channel, outbox, self._unshared):
                    self._packaged(channel, name)
            except NotWritable as error:
                self._block(channel.id, error)
        self.tell()

    def read_ahead(self, sessions: Sequence[SourceSession]) -> None:
        """Have these read on another core, if any may leave: `send` is called with them soon."""
        if self._channels and not self._refuses:
            self._matcher.read_ahead(sessions)

    @property
    def renewing(self) -> bool:
        """Whether `renew` has something to do once all sessions were looked at."""
        return self._recaller.waits and not self._refuses

    @property
    def _refuses(self) -> bool:
        return isinstance(self._packager.redactor, RefusingRedactor)

    def renew(self) -> None:
        """Package once more one item that was not packaged anew from its source."""
        found = None if self._refuses else self._recaller.next()
        if found is None or found[0] not in self._channels:
            return
        folder, row, is_last = found
        channel, outbox = self._channels[folder]
        try:
            if self._recaller.is_due(channel, row.item):
                revision = self._packager.package_again(channel, row.item, outbox)
                self._unsettled.append((folder, row.item, revision))
            if is_last:
                self._settle()
                self._recaller.sweep(channel, outbox)
        except NotWritable as error:
            self._block(folder, error)
        except DatabaseUnusable:
            raise
        except (KarmaError, OSError) as error:
            self._refuse(channel, row.session, error)
        self._tell_now_and_then()

    def reload(self, folder: str) -> None:
        """Look at what was packaged into this channel anew: its outbox was mended."""
        if folder in self._channels:
            self._packager.load(folder)
            self._packager.forget_missing(folder, self._channels[folder][1])

    def left(self, session: SourceSession) -> int:
        """About how many bytes of a session did not leave yet: of the channel that lacks most."""
        channels = [channel for channel, _ in list(self._channels.values())]
        return max((self._packager.left(c, session) for c in channels), default=session.size)

    def send(self, session: SourceSession) -> SendResult:
        """Package a session into every channel that it belongs to and lacks it."""
        if not session.transcript.stat.size:
            return SendResult(False)  # begun this moment: where it works its first line will tell
        self._packager.begin_session()
        done: list[SendResult] = []
        for channel, outbox in () if self._refuses else self._channels.values():
            if channel.id in self._blocked:
                continue
            found = self._matcher.complete(session, channel.profile)
            if not self._packager.is_current(channel, found):
                done.append(self._try_to_send(channel, outbox, session))
        self._tell_now_and_then()
        left = max((each.left for each in done), default=0)
        return SendResult(
            packaged=any(each.packaged for each in done),
            wait_s=soonest(*(each.wait_s for each in done)),
            left=left,
            vanished=any(each.vanished for each in done),
        )

    def _tell_now_and_then(self) -> None:
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self.tell(behind=True)

    def try_again(self) -> bool:
        """Whether what failed is to be tried now, by a pass over all sessions.

        That is: channels that could not be written, files that could not be read and now can be.
        """
        if not (self._blocked or self._closed) or not self._retry.is_due():
            return False
        opened = {path for path in self._closed if is_readable(path) or not path.exists()}
        tried = bool(self._blocked or opened)
        self._closed -= opened
        self._blocked.clear()
        return tried

    def forget_gone(self, sessions: Iterable[SourceSession]) -> None:
        """What did not leave, and is not among these, which are all there are, never will."""
        self._stayed.forget_gone({session.session_id for session in sessions})

    def settle(self) -> float | None:
        """After a pass, and `tell`: what was written is well; seconds until the next try."""
        for folder in self._problems.reported_by("sending") - self._blocked:
            self._problems.report("sending", folder, "")
        untold = any(outbox.written for _, outbox in self._channels.values())
        return RETRY_S if self._blocked or self._closed or untold else None

    def tell(self, *, behind: bool = False) -> None:
        """Have Syncthing look at every file written since the last call (see `_settle`)."""
        self._settle(behind=behind)
        self._told = time.monotonic()
        for name, (_, outbox) in self._channels.items():
            names = outbox.take_written()
            if names and not self._rescan.request(name, names):
                outbox.written[:0] = names  # nothing else would have it look at an outbox

    def _settle(self, *, behind: bool = False) -> None:
        """Have what was packaged put into its place, durably, and say so; or begin to, `behind`."""
        for name, (_, outbox) in self._channels.items():
            try:
                outbox.flush_behind() if behind else outbox.flush()
            except NotWritable as error:
                self._block(name, error)
        unsettled, self._unsettled = self._unsettled, []
        for name, item, revision in unsettled:
            if name not in self._channels:
                continue  # nothing is sent into it any more
            channel, outbox = self._channels[name]
            if self._packager.revision(channel, item) >= revision:
                self._packaged(channel, item_name(item))
                if self._recaller.is_open(channel):
                    self._recaller.drop_chunks(channel, outbox)
            elif behind:
                self._unsettled.append((name, item, revision))

    def _block(self, folder: str, error: NotWritable) -> None:
        """No session gets any further in this channel: try again in a few seconds."""
        self._blocked.add(folder)
        if self._problems.report("sending", folder, str(error)):
            log.warning("%s; it is tried again", error)

    def tidy(self, covers: Callable[[Channel], bool]) -> None:
        """Delete chunks that no manifest names and no receiver needs (`covers` tells)."""
        self._settle()  # what is about to be named is not dropped
        self._recaller.remove_dropped(self._channels, covers)

    def _try_to_send(self, channel: Channel, outbox: Outbox, session: SourceSession) -> SendResult:
        try:
            return self._send_through(channel, outbox, session)
        except NotWritable as error:
            self._block(channel.id, error)
        except FileNotFoundError as error:
            log.info("session %s changed while it was read: %s", session.session_id, error)
            return SendResult(False, vanished=True)
        except DatabaseUnusable:
            raise  # it is not the session's fault, and nothing could be noted of it
        except (KarmaError, OSError) as error:
            self._refuse(channel, session.session_id, error)
        return SendResult(False)

    def _send_through(self, channel: Channel, outbox: Outbox, session: SourceSession) -> SendResult:
        """One session through one channel; `tell` has Syncthing look at what was written."""
        facts = self._matcher.facts(session)
        decision = self._decide(channel, session, facts)
        if decision.outcome is not Outcome.LEAVES:
            return SendResult(
                False, decision.wait_s if decision.outcome is Outcome.WAITING else None
            )
        session = self._complete(channel, session)
        with all_or_nothing(outbox):
            cut = self._packager.cut(channel, session, outbox)
            described = self._packager.describe(cut, facts)
            self._packager.write(described, session, outbox)
        self._unsettled.append((channel.id, cut.item, described.packed.revision))
        return SendResult(True, left=cut.left)

    def _decide(self, channel: Channel, session: SourceSession, facts: Facts) -> Decision:
        """Whether it leaves now; what the person said is read at this moment, so it holds."""
        decision = self._decider.decide(session, facts, channel)
        leaves = decision.outcome in {Outcome.LEAVES, Outcome.WAITING}
        agent = wrote(session, facts)
        if leaves and self._recaller.holds_back(channel, session, agent, self._unshared):
            decision = Decision(Outcome.WITHHELD, "you unshared it")
        self._stayed.decided(channel.id, session.session_id, decision)
        return decision

    def _complete(self, channel: Channel, session: SourceSession) -> SourceSession:
        """The session with every file that its facts name, such as a plan.

        Raises:
            PermissionError: a directory of it is closed to us.
        """
        session = self._matcher.complete(session, channel.profile)
        for directory in session.closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
        self._stayed.left_out(session, channel.profile, self._packager.redactor)
        return session

    def _refuse(self, channel: Channel, session: str, error: Exception) -> None:
        """It did not leave: say so, and try again when it changes, or can be read."""
        if isinstance(error, PermissionError) and error.filename:
            self._closed.add(Path(error.filename))
        # our own errors are sentences; of another one the kind says more than its words
        why = str(error) if isinstance(error, KarmaError) else f"{type(error).__name__}: {error}"
        log.warning("session %s was not packaged: %s", session, why)
        self._stayed.note(channel.id, session, Stays.FAILED, why)
