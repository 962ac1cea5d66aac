"""Sends observations: reads the sources, selects what leaves, and packages it into each outbox."""

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence, Set
from dataclasses import dataclass

from karma_sync.agents.claude.memory import MEMORY
from karma_sync.agents.observations import (
    ObservationFollower,
    ObservationSource,
    PlainFollower,
    SourceChanges,
    SourceContent,
)
from karma_sync.channel.own_items import OutboxFiles
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.observation import SourceObservation
from karma_sync.domain.session.selection import Choices, Unshared, is_unshared
from karma_sync.domain.team.subscription import Content
from karma_sync.sending.observation_selection import ObservationSelector, Rules
from karma_sync.sending.packaging.observations import (
    SOURCE_ID,
    ObservationPackager,
    PackedObservations,
)
from karma_sync.sending.packaging.packager import Packager

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObservationHooks:
    """The functions of other parts that sending observations calls.

    `is_on` returns whether observations are shared at all. `choices` returns the person's choices.
    `received` returns those of the given ids that came from others. `report` gets the problem of a
    source, "" if it has none. `follow` makes the follower that reads a source again and again.
    """

    is_on: Callable[[], bool]
    choices: Callable[[], Choices]
    received: Callable[[Iterable[str]], Set[str]]
    report: Callable[[str, str], None] = lambda source, why: None
    follow: Callable[[ObservationSource], ObservationFollower] = PlainFollower


def content_of(source: str) -> Content:
    """The kind of content that a person accepts by name before a source's observations leave."""
    return Content.MEMORY if source == MEMORY else Content.OBSERVATIONS


@dataclass(frozen=True)
class _Look:
    """The result of one look at a source.

    `stamp` is from before it was read. `changes` lead from look `number - 1` to this one; None if
    nobody knows them. `content` is everything, once that was needed.
    """

    stamp: Hashable
    number: int
    changes: SourceChanges | None
    content: SourceContent | None = None


@dataclass(frozen=True)
class _Done:
    """The last state of a source that a channel has: its rules, its look and its revision.

    Without `whole` the source could not be read whole, and is read again.
    """

    rules: Hashable
    stamp: Hashable
    number: int
    revision: int
    whole: bool


class ObservationSender:
    """Keeps the observations items of my outboxes up to date; only the sending thread uses it.

    An edit costs what it changes: of a source that can tell its changes, these alone are selected,
    redacted and packaged, as long as the rules stay the same.
    """

    def __init__(
        self,
        sources: Sequence[ObservationSource],
        packager: Packager,
        observations: ObservationPackager,
        selector: ObservationSelector,
        hooks: ObservationHooks,
    ) -> None:
        self._sources = sources
        self._packager = packager
        self._observations = observations
        self._selector = selector
        self._hooks = hooks
        self._followers = {source.name: hooks.follow(source) for source in sources}
        self._numbers: dict[str, int] = {}
        self._done: dict[tuple[str, str], _Done] = {}
        self._looks: dict[str, _Look] = {}
        self._stamps: dict[str, Hashable] = {}

    def start_pass(self) -> None:
        """Begin to look at the sources anew; no text of the last pass stays in memory."""
        self._looks.clear()
        self._stamps.clear()

    def send(
        self, channel: Channel, outbox: OutboxFiles, unshared: frozenset[Unshared]
    ) -> list[PackedObservations]:
        """Package what changed of all sources into a channel; reads nothing if nothing changed.

        Raises:
            NotWritable, RedactionFailed, KarmaError, OSError: as `ObservationPackager.package`.
        """
        if not self._hooks.is_on():
            return []
        packed = []
        for source in self._sources:
            if not channel.subscription.agreed(content_of(source.name)):
                continue
            if is_unshared(unshared, source.name, SOURCE_ID):
                continue
            found = self._send_one(channel, outbox, source, unshared)
            if found is not None and found.revision:
                packed.append(found)
        return packed

    def _send_one(
        self,
        channel: Channel,
        outbox: OutboxFiles,
        source: ObservationSource,
        unshared: frozenset[Unshared],
    ) -> PackedObservations | None:
        choices = self._hooks.choices()
        own = channel.subscription, channel.agreed, unshared, repr(choices)
        version = self._packager.version(channel, source.name)
        state = own, version, self._selector.stamp()
        key = channel.id, source.name
        done = self._last(channel, outbox, source.name, state)
        if done is not None and done.whole and done.stamp == self._stamp(source):
            self._done[key] = done
            return None

        def rules(found: Iterable[SourceObservation]) -> Rules:
            received = self._hooks.received(each.record.id for each in found)
            limits = channel.subscription.limits
            return Rules(channel.names, limits, choices, channel.owner.tag, unshared, received)

        look, whole, packed = self._look(source), True, None
        if done is not None and look.changes is not None and done.number == look.number - 1:
            changes = look.changes
            selected = self._selector.select(source.name, changes.found, rules(changes.found))
            packed = self._observations.package_changes(
                channel, source.name, selected.leaves, changes.gone | selected.removed, outbox
            )
        if packed is None:
            look = self._whole_look(source)
            content = look.content or SourceContent()
            whole = content.whole
            selected = self._selector.select(source.name, content.found, rules(content.found))
            kept = selected.frozen if whole else None
            packed = self._observations.package(
                channel, source.name, selected.leaves, outbox, kept=kept
            )
        revision = packed.revision or self._packager.revision(channel, packed.item)
        self._done[key] = _Done(state, look.stamp, look.number, revision, whole)
        return packed

    def _last(
        self, channel: Channel, outbox: OutboxFiles, source: str, state: Hashable
    ) -> _Done | None:
        """The last state of a source that a channel has, if the rules are still the same.

        It is forgotten until the next packaging succeeds.
        """
        done = self._done.pop((channel.id, source), None)
        if done is None or done.rules != state:
            return None
        item = self._packager.item_of(channel, self._observations.session(source))
        if done.revision != self._packager.revision(channel, item):
            outbox.has_item(item)  # puts waiting files into place
        return done if done.revision == self._packager.revision(channel, item) else None

    def _stamp(self, source: ObservationSource) -> Hashable:
        """The source's stamp at the beginning of this pass, before it is read."""
        if source.name not in self._stamps:
            self._stamps[source.name] = source.stamp()
        return self._stamps[source.name]

    def _look(self, source: ObservationSource) -> _Look:
        """This pass's look at a source, with the changes since the last one if it has them."""
        if source.name not in self._looks:
            stamp, number = self._stamp(source), self._next(source)
            changes = self._followers[source.name].changes()
            self._looks[source.name] = _Look(stamp, number, changes)
        return self._looks[source.name]

    def _whole_look(self, source: ObservationSource) -> _Look:
        """This pass's look at a source, with everything that the source has.

        The follower goes on from here, so it is one more look: a channel that has only the changes
        needs the whole the next time.
        """
        look = self._looks.get(source.name)
        if look is None or look.content is None:
            content = self._followers[source.name].read()
            look = _Look(self._stamp(source), self._next(source), None, content)
            self._looks[source.name] = look
            self._hooks.report(source.name, "; ".join(content.problems[:3]))
        return look

    def _next(self, source: ObservationSource) -> int:
        self._numbers[source.name] = number = self._numbers.get(source.name, 0) + 1
        return number
