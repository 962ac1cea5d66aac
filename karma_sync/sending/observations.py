"""Sends observations: reads the sources, selects what leaves, and packages it into each outbox."""

import logging
from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass

from karma_sync.agents.claude.memory import MEMORY
from karma_sync.agents.observations import ObservationSource, SourceContent
from karma_sync.channel.own_items import OutboxFiles
from karma_sync.domain.mesh.channels import Channel
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
    """What sending observations asks of other parts.

    `is_on` is whether observations are shared at all. `choices` are the person's, `received` the
    ids of observations that came from others. `report` gets the problem of a source, "" if it has
    none.
    """

    is_on: Callable[[], bool]
    choices: Callable[[], Choices]
    received: Callable[[], Set[str]]
    report: Callable[[str, str], None] = lambda source, why: None


def content_of(source: str) -> Content:
    """What a person agrees to by name before a source's observations leave."""
    return Content.MEMORY if source == MEMORY else Content.OBSERVATIONS


class ObservationSender:
    """Keeps the observations items of my outboxes up to date; only the sending thread uses it."""

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
        self._done: dict[tuple[str, str], Hashable] = {}
        self._read: dict[str, SourceContent] = {}

    def start_pass(self) -> None:
        """Forget what was read for the channels of the last pass."""
        self._read.clear()

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
        session = self._observations.session(source.name)
        item = self._packager.item_of(channel, session)
        version = self._packager.version(channel, source.name)

        def state() -> Hashable:
            revision = self._packager.revision(channel, item)
            own = channel.subscription, channel.agreed, unshared, repr(choices)
            return source.stamp(), version, revision, own, self._selector.stamp()

        before = state()
        if self._done.get((channel.id, source.name)) == before:
            return None
        content = self._content(source)
        received = self._hooks.received()
        limits = channel.subscription.limits
        rules = Rules(channel.names, limits, choices, channel.owner.tag, unshared, received)
        selected = self._selector.select(source.name, content.found, rules)
        kept = selected.frozen if content.whole else None
        packed = self._observations.package(
            channel, source.name, selected.leaves, outbox, kept=kept
        )
        # with its revision in place, the same state is done; until then it is compared once more
        self._done[channel.id, source.name] = state() if not packed.revision else None
        return packed

    def _content(self, source: ObservationSource) -> SourceContent:
        if source.name not in self._read:
            content = self._read[source.name] = source.read()
            self._hooks.report(source.name, "; ".join(content.problems[:3]))
        return self._read[source.name]
