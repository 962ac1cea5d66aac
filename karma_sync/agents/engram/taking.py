"""Takes over what a person saved with Engram from the chunks of a store, such as an old folder.

Of its observations only those that are surely this person's, and of one project; no session and no
prompt, which are Engram's own.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from karma_sync.agents.engram.chunks import BadChunk, ChunkEntry, ChunkNotFound, ChunkStore
from karma_sync.agents.engram.source import observations_in
from karma_sync.agents.observations import newest
from karma_sync.domain.session.observation import Observation, SourceObservation, StayReason
from karma_sync.domain.value import Value


class SkipReason(StrEnum):
    """The reasons to take over nothing of a chunk: the reason codes of `observation import`."""

    KNOWN = "already-imported"
    FOREIGN = "not-mine"
    UNKNOWN_AUTHOR = "author-unknown"
    MISSING = "missing"
    DAMAGED = "damaged"


class ImportResult(Value, frozen=True, kw_only=True):
    """The result of an import.

    A chunk is imported if it has something that is new here. Sessions and prompts are never taken
    over: their counts are there because Engram's own result has them. `reasons` counts the skipped
    chunks by `SkipReason`, `refused` the observations by `StayReason`.
    """

    chunks_imported: int = 0
    chunks_skipped: int = 0
    sessions_imported: int = 0
    observations_imported: int = 0
    prompts_imported: int = 0
    reasons: dict[str, int]
    refused: dict[str, int]


@dataclass(frozen=True)
class TakenOver:
    """The observations of a store that are new, deletions included, in order of their ids."""

    found: Sequence[Observation]
    result: ImportResult


def taken(
    store: ChunkStore, authors: Container[str], names: Container[str], known: Mapping[str, int]
) -> TakenOver:
    """Find the new observations in the chunks that these authors created; write nothing.

    `names` are what Engram may call the project, in lower case; a row without a project is of it.
    `known` are the versions that are here, also of what was deleted here.

    Raises:
        BadChunk: the manifest is damaged.
    """
    reasons: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    new: list[SourceObservation] = []
    imported = 0
    for entry in store.read_manifest().chunks:
        rows = _rows(store, entry, authors)
        if isinstance(rows, SkipReason):
            reasons[rows] += 1
            continue
        fresh = [each for each in rows if each.record.version > known.get(each.record.id, 0)]
        mine = [each for each in fresh if _refusal(each, names, known) is None]
        refused.update(why for each in fresh if (why := _refusal(each, names, known)))
        reasons[SkipReason.KNOWN] += not mine
        imported += bool(mine)
        new += mine
    found = sorted((each.record for each in newest(new)), key=lambda record: record.id)
    return TakenOver(
        found,
        ImportResult(
            chunks_imported=imported,
            chunks_skipped=sum(reasons.values()),
            observations_imported=len(found),
            reasons={code: number for code, number in sorted(reasons.items()) if number},
            refused=dict(sorted(refused.items())),
        ),
    )


def _rows(
    store: ChunkStore, entry: ChunkEntry, authors: Container[str]
) -> Sequence[SourceObservation] | SkipReason:
    if entry.created_by not in authors:
        return SkipReason.FOREIGN if entry.created_by else SkipReason.UNKNOWN_AUTHOR
    try:
        return newest(list(observations_in(store.read_chunk(entry.id), "")))
    except ChunkNotFound:
        return SkipReason.MISSING
    except BadChunk:
        return SkipReason.DAMAGED


def _refusal(
    found: SourceObservation, names: Container[str], known: Mapping[str, int]
) -> StayReason | None:
    if found.stays is not None:
        return found.stays
    if found.project and found.project.lower() not in names:
        return StayReason.OTHER_PROJECT
    if found.record.deleted and found.record.id not in known:
        return StayReason.NO_PROJECT  # nothing is here that could be deleted
    return None
