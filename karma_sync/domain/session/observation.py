"""An observation: one memory that an agent saved, as it leaves, as it arrives, as it is read.

An observations item holds one file, `observations.jsonl`, with one record per line in the order of
their ids (docs/format.md). An edit replaces the record under a higher version; a deletion leaves
the record with `deleted` and without its texts.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from karma_sync.domain import limits
from karma_sync.domain.value import Received

OBSERVATIONS = "observations.jsonl"
PROJECT_SCOPE = "project"

_Label = Annotated[str, Meta(max_length=limits.TITLE_CHARS)]
_Moment = Annotated[str, Meta(pattern=r"\A(?:|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\Z")]


class Observation(Received, frozen=True, kw_only=True, omit_defaults=True):
    """One record of an observations item.

    - `id` is the `sync_id` of its source, or a hash that `derived_id` makes. It stays the same
      when the observation is edited, so two versions of one are recognised.
    - `version` grows with each edit; the record with the highest is the observation.
    - `author` is the tag of the member who sends it. `agent` is the program that saved it,
      `editor` a tag that the sender claims, which no reader shows.
    - `created` and `updated` are UTC: `2026-05-31T12:00:00Z`, or "".
    - `scope` and `project`, where a sender writes them, are "project" and the channel's project.
    """

    id: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z._:-]{0,127}\Z")]
    version: Annotated[int, Meta(ge=1, le=limits.NUMBER)]
    type: _Label = ""
    title: _Label = ""
    content: Annotated[str, Meta(max_length=limits.OBSERVATION_BYTES)] = ""
    topic: _Label = ""
    tool: _Label = ""
    agent: _Label = ""
    author: Annotated[str, Meta(max_length=80)] = ""
    editor: Annotated[str, Meta(max_length=80)] = ""
    created: _Moment = ""
    updated: _Moment = ""
    deleted: bool = False
    scope: str = PROJECT_SCOPE
    project: str = ""

    def line(self) -> bytes:
        """The record as one line of the file, without its line end."""
        return msgspec.json.encode(self)

    def again(self, version: int) -> "Observation":
        """The same under another version."""
        return self.changed(version=version)

    def gone(self) -> "Observation":
        """The record that stays after a deletion: no text, and a higher version."""
        return Observation(id=self.id, version=self.version + 1, author=self.author, deleted=True)


class StayReason(StrEnum):
    """The reasons why an observation stays here: the reason codes of `observation preview`."""

    PERSONAL = "personal-scope"
    FOREIGN = "not-mine"
    UNKNOWN_AUTHOR = "author-unknown"
    OTHER_PROJECT = "other-project"
    NO_PROJECT = "project-unknown"
    AMBIGUOUS = "project-ambiguous"
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    EARLIER = "earlier"
    EXCLUDED = "excluded"
    WITHHELD = "withheld"
    UNSHARED = "unshared"


@dataclass(frozen=True)
class SourceObservation:
    """An observation as a source on this machine has it.

    `project` is what the source calls its project, `directories` where it was made, if the source
    knows that. `stays` is the source's own reason why it must not leave, None if it has none.
    """

    record: Observation
    project: str = ""
    directories: tuple[str, ...] = ()
    stays: StayReason | None = None

    def staying(self, why: StayReason) -> "SourceObservation":
        """The same, which must stay here for this reason; a known reason is kept."""
        return self if self.stays else replace(self, stays=why)


@dataclass(frozen=True)
class ObservationFilter:
    """The conditions on observations that a reader wants; an empty one allows all.

    `authors` are tags or their user parts, `projects` names or the ends of names. `since` is a
    moment as records have it; `id` the beginning of an id.
    """

    authors: Collection[str] = ()
    projects: Collection[str] = ()
    types: Collection[str] = ()
    since: str = ""
    id: str = ""


ALL_OBSERVATIONS = ObservationFilter()


def derived_id(session: str, kind: str, title: str, created: str) -> str:
    """The id of an observation whose source gives it none; the same on every machine."""
    parts = "\0".join((session, kind, title, created))
    return f"d-{hashlib.sha256(parts.encode(errors='replace')).hexdigest()[:32]}"


def moment_text(moment: datetime) -> str:
    """A moment as a record has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def checked(fields: Mapping[str, Any]) -> Observation:
    """The record with these fields.

    Raises:
        msgspec.ValidationError: a field has a wrong type or is beyond its limits.
    """
    return Observation.from_fields(fields)


def decoded(line: bytes) -> Observation:
    """The record on one line.

    Raises:
        msgspec.DecodeError: the line is no record, or one of its fields is beyond its limits.
    """
    return _DECODER.decode(line)


def lines_of(block: bytes) -> Iterator[bytes]:
    """The lines in a block that hold something."""
    return (line for line in block.split(b"\n") if line and not line.isspace())


def counted_types(found: Iterable[Observation]) -> dict[str, int]:
    """How many observations are of each type, the most frequent first."""
    counts: dict[str, int] = {}
    for each in found:
        counts[each.type] = counts.get(each.type, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


_DECODER = msgspec.json.Decoder(Observation)
