"""Use case of `observation export` and `manifest`: hands what others wrote over to Engram."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from karma_sync.agents.engram.chunks import ChunkStore
from karma_sync.agents.engram.export import ExportResult, HandedOver, export
from karma_sync.agents.engram.rows import ENGRAM
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.observation import ObservationFilter, moment_text
from karma_sync.domain.value import Value
from karma_sync.library.observations import Observations
from karma_sync.service.projects import ProjectAnswers
from karma_sync.service.sessions.observations import require_on, require_subscription


@dataclass(frozen=True)
class HandOver:
    """The observations that are handed over: those that the reader sees, and the reader's tag.

    `name_of` returns the name of an author. With `projects`, only their observations count.
    """

    reader: Observations
    scope: AccessScope
    me: str
    name_of: Callable[[str], str]
    projects: tuple[str, ...] = ()

    def found(self) -> Iterator[HandedOver]:
        """The observations by others, and one's own that the Engram on this machine lacks."""
        for each in self.reader.all(self.scope, ObservationFilter(projects=self.projects)):
            is_own = each.author == self.me
            if is_own and each.record.agent == ENGRAM:
                continue
            author = "" if is_own else self.name_of(each.author)
            yield HandedOver(each.record, author, engram_name(each.project))


def engram_name(project: str) -> str:
    """Engram's name of a project: the last part of its identity."""
    return project.rpartition("/")[2]


def hand_over(
    store: ChunkStore,
    given: HandOver,
    answers: Sequence[ProjectAnswers],
    now: datetime,
    *,
    is_on: bool,
) -> ExportResult:
    """Write what is new into a store of chunks.

    Raises:
        Conflict: observations are turned off, or no accepted project has them; the message begins
            with the reason code. Nothing of the store was read or written.
        BadChunk: its manifest is damaged.
    """
    require_on(is_on=is_on)
    require_subscription(answers)
    named = {engram_name(name) for name in given.projects} if given.projects else None
    return export(store, given.found(), given.me, moment_text(now), named)


class ManifestSummary(Value, frozen=True, kw_only=True):
    """The counts in a manifest; `created_by` counts the chunks by who created them."""

    version: int
    chunks: int
    sessions: int
    memories: int
    prompts: int
    created_by: dict[str, int]


def summary(store: ChunkStore) -> ManifestSummary:
    """Count the entries in a store's manifest; a store without one has no entries and version 1.

    Raises:
        BadChunk: it is damaged.
    """
    manifest = store.read_manifest()
    creators: dict[str, int] = {}
    for entry in manifest.chunks:
        creators[entry.created_by] = creators.get(entry.created_by, 0) + 1
    return ManifestSummary(
        version=manifest.version,
        chunks=len(manifest.chunks),
        sessions=sum(entry.sessions for entry in manifest.chunks),
        memories=sum(entry.memories for entry in manifest.chunks),
        prompts=sum(entry.prompts for entry in manifest.chunks),
        created_by=dict(sorted(creators.items())),
    )
