"""Sends sessions: decides for each session and channel, packages it, and has Syncthing rescan it.

Nothing is sent without a redactor. A session that fails is recorded and tried again when it
changes; a channel that cannot be written is tried again within seconds.
"""

import errno
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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
from karma_sync.sending.eligibility import Decider, full_agent_name
from karma_sync.sending.held_back import HeldBack
from karma_sync.sending.observations import ObservationSender
from karma_sync.sending.packaging.packager import Packager, all_or_nothing
from karma_sync.sending.recall import Recaller
from karma_sync.sending.send_result import SendResult
from karma_sync.store.work import Stays
from karma_sync.syncthing.rescan import Rescan, Scan

log = logging.getLogger(__name__)
_RESCAN_EVERY_S = 0.25  # while sessions are sent one after the other, so that peers see progress
OBSERVED = "observations"  # stands in place of a session in the list of failures


@dataclass(frozen=True)
class SenderHooks:
    """The functions of other parts that a sender calls.

    `scan` has Syncthing rescan the files that were written. `packaged` gets the channel and the
    name of each item file that is in its place. `observations` sends those; None if nobody does.
    `taken_back` gets each channel in which something was withdrawn, or is shared again.
    """

    scan: Scan
    problems: Problems
    packaged: Callable[[Channel, str], None] = lambda channel, item: None
    observations: ObservationSender | None = None
    taken_back: Callable[[Channel], None] = lambda channel: None


class Sender:
    """Keeps my outboxes up to date with the sessions on this machine."""

    def __init__(
        self,
        decider: Decider,
        packager: Packager,
        recaller: Recaller,
        held_back: HeldBack,
        hooks: SenderHooks,
    ) -> None:
        self._decider = decider
        self._matcher = decider.matcher
        self._packager = packager
        self._recaller = recaller
        self._held_back = held_back
        self._rescan = Rescan(hooks.scan)
        self._problems = hooks.problems
        self._packaged = hooks.packaged
        self._observing = hooks.observations
        self._taken_back = hooks.taken_back
        self._channels: dict[str, tuple[Channel, Outbox]] = {}
        self._last_rescan = -math.inf
        self._choices = decider.choices()
        self._unplaced: list[tuple[str, str, int]] = []  # folder, item, revision
        self._unshared: frozenset[Unshared] = frozenset()
        self._blocked: set[str] = set()
        self._closed: set[Path] = set()
        self._retry = Retry()

    def send_to(self, channels: Sequence[Channel], folder: Callable[[str], Path]) -> bool:
        """Send into these channels from now on.

        Returns whether the channels, or the person's choices that limit them, changed.
        """
        wanted = {c.id: c for c in channels}
        known = {name: channel for name, (channel, _) in self._channels.items()}
        choices = self._decider.choices()
        if wanted == known and choices == self._choices:
            return False
        self._choices = choices
        for name in wanted.keys() - known.keys():
            self._packager.load(name)
            self._held_back.load(name)
        # an outbox that stays is not made anew: it lists the files that Syncthing must still
        # rescan, and nothing else has them
        kept = {name: outbox for name, (_, outbox) in self._channels.items()}
        for name in known.keys() - wanted.keys():
            with suppress(NotWritable):  # it is packaged again if the channel is opened again
                kept[name].drop_waiting()
        boxes = {name: kept.get(name) or self._outbox(folder(name)) for name in wanted}
        for name in wanted.keys() - known.keys():
            self._packager.forget_missing(name, boxes[name])
        self._channels = {name: (wanted[name], boxes[name]) for name in wanted}
        return True

    def _outbox(self, path: Path) -> Outbox:
        return Outbox(
            path,
            batched=True,
            siblings=lambda: [outbox for _, outbox in self._channels.values()],
        )

    def hold_back(self, unshared: frozenset[Unshared]) -> None:
        """Send none of these from now on; `start_pass` withdraws those that have left."""
        self._unshared = unshared

    def start_pass(self, redactor: Redactor) -> None:
        """Begin a pass over all sessions: first call back what must not be with others.

        Without a redactor nothing is packaged, but unshared sessions are withdrawn.
        """
        self._place()
        self._packager.use_redactor(redactor)
        call_back = self._recaller.withdraw if self._refuses else self._recaller.start_pass
        for channel, outbox in list(self._channels.values()):
            try:
                for name in call_back(channel, outbox, self._unshared):
                    self._packaged(channel, name)
                self._taken_back(channel)
            except NotWritable as error:
                self._block(channel.id, error)
        self.rescan()

    def read_ahead(self, sessions: Sequence[SourceSession]) -> None:
        """Read these sessions in another process if any may leave: `send` needs them soon."""
        if self._channels and not self._refuses:
            self._matcher.read_ahead(sessions)

    @property
    def has_stale_items(self) -> bool:
        """Whether `repackage_one` still has items to check."""
        return self._recaller.has_items and not self._refuses

    @property
    def _refuses(self) -> bool:
        return isinstance(self._packager.redactor, RefusingRedactor)

    def repackage_one(self) -> None:
        """Package one stale item again from what the outbox holds, if its source did not do so.

        After the last item of a channel, its recall ends.
        """
        found = None if self._refuses else self._recaller.next_item()
        if found is None or found[0] not in self._channels:
            return
        folder, row, is_last = found
        channel, outbox = self._channels[folder]
        try:
            if self._recaller.is_due(channel, row.item):
                self._package_again(channel, row.item, outbox)
            if is_last:
                self._place()
                self._recaller.finish_recall(channel, outbox)
        except NotWritable as error:
            self._block(folder, error)
        except DatabaseUnusable:
            raise
        except (KarmaError, OSError) as error:
            self._refuse(channel, row.session, error)
        self._rescan_when_due()

    def _package_again(self, channel: Channel, item: str, outbox: Outbox) -> None:
        revision = self._packager.package_again(channel, item, outbox)
        self._unplaced.append((channel.id, item, revision))

    def reload(self, folder: str) -> None:
        """Compare a channel's outbox with what was packaged: the outbox was repaired."""
        if folder in self._channels:
            self._packager.load(folder)
            self._packager.forget_missing(folder, self._channels[folder][1])

    def left(self, session: SourceSession) -> int:
        """About how many bytes of a session are still to be packaged, for the slowest channel."""
        channels = [channel for channel, _ in list(self._channels.values())]
        return max((self._packager.left(c, session) for c in channels), default=session.size)

    def send(self, session: SourceSession) -> SendResult:
        """Package a session into every channel that it belongs to and that lacks it."""
        if not session.transcript.stat.size:
            return SendResult(False)  # just begun: its first line will name its directory
        self._packager.begin_session()
        done: list[SendResult] = []
        for channel, outbox in () if self._refuses else self._channels.values():
            if channel.id in self._blocked or not channel.subscription.sends_sessions:
                continue
            found = self._matcher.complete(session, channel.profile)
            if not self._packager.is_current(channel, found):
                done.append(self._try_to_send(channel, outbox, session))
        self._rescan_when_due()
        left = max((each.left for each in done), default=0)
        return SendResult(
            packaged=any(each.packaged for each in done),
            wait_s=soonest(*(each.wait_s for each in done)),
            left=left,
            vanished=any(each.vanished for each in done),
            wire=sum(each.wire for each in done),
        )

    def send_observations(self) -> None:
        """Package the observations that changed into every channel that takes them."""
        if self._observing is None or self._refuses:
            return
        self._observing.start_pass()
        for channel, outbox in self._channels.values():
            if channel.id in self._blocked:
                continue
            try:
                for each in self._observing.send(channel, outbox, self._unshared):
                    self._unplaced.append((channel.id, each.item, each.revision))
                    self._held_back.record_ok(channel.id, OBSERVED)
            except NotWritable as error:
                self._block(channel.id, error)
            except DatabaseUnusable:
                raise
            except (KarmaError, OSError) as error:
                self._refuse(channel, OBSERVED, error)
        self._observing.start_pass()  # frees the content that was read
        self._rescan_when_due()

    def _rescan_when_due(self) -> None:
        if time.monotonic() - self._last_rescan > _RESCAN_EVERY_S:
            self.rescan(in_background=True)

    def try_again(self) -> bool:
        """Whether a pass over all sessions should now try again what failed.

        True at most once per retry interval, and only if a channel could not be written, or if a
        file that could not be read now can be, or is gone.
        """
        if not (self._blocked or self._closed) or not self._retry.is_due():
            return False
        opened = {path for path in self._closed if is_readable(path) or not path.exists()}
        tried = bool(self._blocked or opened)
        self._closed -= opened
        self._blocked.clear()
        return tried

    def forget_gone(self, sessions: Iterable[SourceSession]) -> None:
        """Delete the failures of sessions that no longer exist; `sessions` are all that do."""
        self._held_back.forget_gone({session.session_id for session in sessions})

    def finish_pass(self) -> float | None:
        """End the problems of channels that could be written; call it after a pass and `rescan`.

        Returns the seconds until something is to be tried again, None if nothing is.
        """
        for folder in self._problems.reported_by("sending") - self._blocked:
            self._problems.report("sending", folder, "")
        unscanned = any(outbox.written for _, outbox in self._channels.values())
        return RETRY_S if self._blocked or self._closed or unscanned else None

    def rescan(self, *, in_background: bool = False) -> None:
        """Have Syncthing rescan every file written since the last call.

        `in_background` is as for `_place`: files that are not in place yet come with the next call.
        """
        self._place(in_background=in_background)
        self._last_rescan = time.monotonic()
        for name, (_, outbox) in self._channels.items():
            names = outbox.take_written()
            if names and not self._rescan.request(name, names):
                outbox.written[:0] = names  # only we ask for it: Syncthing does not watch outboxes

    def _place(self, *, in_background: bool = False) -> None:
        """Put what was packaged into its place, durably, and report each item that is there.

        With `in_background`, only begin that; a later call reports what is done by then.
        """
        for name, (_, outbox) in self._channels.items():
            try:
                outbox.flush_in_background() if in_background else outbox.flush()
            except NotWritable as error:
                self._block(name, error)
        self._report_placed(in_background=in_background)

    def _report_placed(self, *, in_background: bool) -> None:
        unplaced, self._unplaced = self._unplaced, []
        shared_again: dict[str, Channel] = {}
        for name, item, revision in unplaced:
            if name not in self._channels:
                continue  # we no longer send into this channel
            channel, outbox = self._channels[name]
            if self._packager.revision(channel, item) >= revision:
                self._packaged(channel, item_name(item))
                if self._recaller.is_open(channel):
                    self._recaller.delete_dropped_chunks(channel, outbox)
                if item in channel.subscription.retracted:
                    shared_again[name] = channel
            elif in_background:
                self._unplaced.append((name, item, revision))
        for channel in shared_again.values():
            self._taken_back(channel)

    def _block(self, folder: str, error: NotWritable) -> None:
        """Send nothing more into this channel until the next try, in a few seconds."""
        self._blocked.add(folder)
        if self._problems.report("sending", folder, str(error)):
            log.warning("%s; karma-sync tries again", error)

    def tidy(self, covers: Callable[[Channel], bool]) -> None:
        """Delete chunks that no manifest names and no receiver needs.

        `covers` is true if every receiver has everything in a channel.
        """
        self._place()  # first, so that no chunk of an item that waits counts as unnamed
        self._recaller.delete_unneeded_chunks(self._channels, covers)

    def _try_to_send(self, channel: Channel, outbox: Outbox, session: SourceSession) -> SendResult:
        try:
            return self._send_through(channel, outbox, session)
        except NotWritable as error:
            self._block(channel.id, error)
        except FileNotFoundError as error:
            log.info(
                "session %s changed while it was read: %s; it is read again",
                session.session_id,
                error,
            )
            return SendResult(False, vanished=True)
        except DatabaseUnusable:
            raise  # the session is not at fault, and nothing can be recorded about it
        except (KarmaError, OSError) as error:
            self._refuse(channel, session.session_id, error)
        return SendResult(False)

    def _send_through(self, channel: Channel, outbox: Outbox, session: SourceSession) -> SendResult:
        """Send one session through one channel; `rescan` passes what was written to Syncthing."""
        facts = self._matcher.facts(session)
        decision = self._decide(channel, session, facts)
        if decision.outcome is not Outcome.LEAVES:
            if decision.outcome is not Outcome.WAITING and self._packager.tells_open(
                channel, session
            ):
                # nothing more leaves that would tell when it ends
                self._package_again(channel, self._packager.item_of(channel, session), outbox)
            return SendResult(
                False, decision.wait_s if decision.outcome is Outcome.WAITING else None
            )
        session = self._complete(channel, session)
        with all_or_nothing(outbox):
            cut = self._packager.cut(channel, session, outbox)
            described = self._packager.describe(cut, facts)
            self._packager.write(described, session, outbox)
        self._held_back.record_unknown(channel.id, session.session_id, cut.withheld)
        self._unplaced.append((channel.id, cut.start.item, described.packed.revision))
        return SendResult(True, left=cut.left, wire=len(described.raw))

    def _decide(self, channel: Channel, session: SourceSession, facts: Facts) -> Decision:
        """Whether a session leaves now; the person's choices are read at this very moment.

        So a session that the person withheld a moment ago does not leave.
        """
        decision = self._decider.decide(session, facts, channel)
        leaves = decision.outcome in {Outcome.LEAVES, Outcome.WAITING}
        agent = full_agent_name(session, facts)
        if leaves and self._recaller.is_held_back(channel, session, agent, self._unshared):
            decision = Decision(Outcome.WITHHELD, "you unshared it")
        self._held_back.record_decision(channel.id, session.session_id, decision)
        return decision

    def _complete(self, channel: Channel, session: SourceSession) -> SourceSession:
        """The session with every file that its facts name, such as a plan.

        Raises:
            PermissionError: we may not read a directory of the session.
        """
        session = self._matcher.complete(session, channel.profile)
        for directory in session.closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
        self._held_back.record_left_out(session, channel.profile, self._packager.redactor)
        return session

    def _refuse(self, channel: Channel, session: str, error: Exception) -> None:
        """Record that a session failed; it is tried again when it changes or can be read."""
        if isinstance(error, PermissionError) and error.filename:
            self._closed.add(Path(error.filename))
        # our own errors are sentences; the text of other errors needs their class to be clear
        why = str(error) if isinstance(error, KarmaError) else f"{type(error).__name__}: {error}"
        log.warning("session %s was not packaged: %s", session, why)
        self._held_back.record(channel.id, session, Stays.FAILED, why)
