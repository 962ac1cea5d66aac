"""The sources of observations: their interface, and the source for karma-sync's own file.

A source only reads. It gives the reason why an observation must stay here, if it knows one.
"""

import json
import os
import secrets
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import msgspec

from karma_sync.domain import limits
from karma_sync.domain.session.observation import (
    PROJECT_SCOPE,
    Observation,
    SourceObservation,
    StayReason,
    checked,
    moment_text,
)
from karma_sync.errors import BadInput, NotFound
from karma_sync.files import PRIVATE_FILE, private_dir

OWN = "karma-sync"
_LABEL_CHARS = 160  # redaction may make a title longer, up to what a reader takes


@dataclass(frozen=True)
class SourceContent:
    """The observations that a source has now.

    `whole` is false if a part of it could not be read: then nothing counts as deleted. `problems`
    say what could not be read, for people.
    """

    found: Sequence[SourceObservation] = ()
    whole: bool = True
    problems: Sequence[str] = ()


@dataclass(frozen=True)
class SourceChanges:
    """The changes in a source since it was read: new and edited observations, and deleted ids."""

    found: Sequence[SourceObservation] = ()
    gone: Set[str] = frozenset()


class ObservationFollower(Protocol):
    """Reads one source again and again, and returns what changed in between."""

    def read(self) -> SourceContent:
        """Everything that the source has now."""
        ...

    def changes(self) -> SourceChanges | None:
        """The changes since the last call of either method; None if only `read` can find them."""
        ...


@dataclass(frozen=True)
class PlainFollower:
    """Follows a source that has little: it is read whole each time."""

    source: "ObservationSource"

    def read(self) -> SourceContent:
        """As `ObservationFollower`."""
        return self.source.read()

    def changes(self) -> SourceChanges | None:
        """As `ObservationFollower`."""
        return None


class ObservationSource(Protocol):
    """Observations that agents saved on this machine."""

    @property
    def name(self) -> str:
        """The name of the source in an item: `engram`."""
        ...

    def stamp(self) -> Hashable:
        """A value that changes whenever `read` may return something else; reads no content."""
        ...

    def read(self) -> SourceContent:
        """Everything that the source has now; of several versions the newest."""
        ...

    def directories(self) -> Sequence[Path]:
        """The directories in which changes happen, also those that do not exist yet."""
        ...


def file_stamp(path: Path) -> Hashable:
    """Size, time and inode of a file; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def label(value: object) -> str:
    """A short text of a source as a record has it: on one line, and within limits."""
    return " ".join(text(value).split())[:_LABEL_CHARS]


def text(value: object) -> str:
    """A text of a source; bytes that are not UTF-8 are replaced."""
    return str(value).encode(errors="replace").decode() if value is not None else ""


def observed(
    fields: dict[str, Any], *, project: str, directories: Sequence[str] = ()
) -> SourceObservation:
    """An observation with these fields, and why it must stay if they say so."""
    content = text(fields.get("content"))
    scope = text(fields.get("scope")) or PROJECT_SCOPE
    known = fields | {"content": content, "scope": scope}
    stays = None if scope == PROJECT_SCOPE else StayReason.PERSONAL
    if len(content.encode()) > limits.OBSERVATION_BYTES:
        known["content"] = ""
        stays = stays or StayReason.TOO_LARGE
    try:
        record = checked(known)
    except msgspec.ValidationError:
        shown = label(fields.get("id")) or "?"
        record = Observation(id="malformed", version=1, title=shown, scope=scope)
        stays = StayReason.MALFORMED
    return SourceObservation(record, project, tuple(directories), stays)


@dataclass(frozen=True)
class OwnObservations:
    """The file of `observation add`: a record per line, the newest line of an id counts."""

    path: Path
    name: str = field(default=OWN, init=False)

    def stamp(self) -> Hashable:
        """As `ObservationSource`."""
        return file_stamp(self.path)

    def directories(self) -> Sequence[Path]:
        """As `ObservationSource`."""
        return [self.path.parent]

    def read(self) -> SourceContent:
        """As `ObservationSource`; a line that is no record is left out and reported."""
        every = self._all()
        return replace(every, found=[each for each in every.found if not each.record.deleted])

    def _all(self) -> SourceContent:
        """The observations that `read` returns, and those that were deleted."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return SourceContent()
        except OSError as error:
            return SourceContent(whole=False, problems=[f"{self.path}: {error.strerror or error}"])
        found: dict[str, SourceObservation] = {}
        bad = 0
        for line in raw.split(b"\n"):
            if line.strip():
                each = _own_record(line)
                if each is None:
                    bad += 1
                elif each.record.version >= _version(found.get(each.record.id)):
                    found[each.record.id] = each
        problems = [f"{self.path}: {bad} lines are no observation"] if bad else []
        return SourceContent(list(found.values()), not bad, problems)

    def versions(self) -> dict[str, int]:
        """The versions of all observations that were added, deleted ones included, by id."""
        return {each.record.id: each.record.version for each in self._all().found}

    def add(self, record: Observation, project: str) -> None:
        """Write one more record, durably; `project` is the project's identity.

        Raises:
            BadInput: its text is too large, or has a form that cannot be sent.
        """
        self.add_all([record], project)

    def add_all(self, records: Sequence[Observation], project: str) -> None:
        """Write more records, all of them or none.

        Raises:
            BadInput: as `add`.
        """
        lines = [_checked_line(record, project) for record in records]
        private_dir(self.path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self.path, flags, PRIVATE_FILE), "ab+", buffering=0) as out:
            size = out.seek(0, os.SEEK_END)
            out.seek(max(0, size - 1))
            is_torn = out.read(1) not in (b"", b"\n")  # a crash left half a line
            try:
                _write_all(out, b"\n" * is_torn + b"".join(line + b"\n" for line in lines))
                os.fsync(out.fileno())
            except OSError:
                out.truncate(size)
                raise

    def delete(self, wanted: str, now: datetime) -> Observation:
        """Delete the one observation whose id begins with `wanted`; returns what it was.

        Raises:
            NotFound: there is none.
            BadInput: several fit.
        """
        fitting = [e for e in self.read().found if e.record.id.startswith(wanted) and wanted]
        if not fitting:
            raise NotFound(
                f"you added no observation {wanted!r}", hint="karma-sync observation list"
            )
        if len(fitting) > 1:
            raise BadInput(
                f"{wanted!r} fits several observations",
                hint=" or ".join(e.record.id for e in fitting[:5]),
            )
        known = fitting[0]
        gone = known.record.gone().changed(version=version_at(now, known.record.version))
        self.add(gone, known.project)
        return known.record


@dataclass(frozen=True)
class NewObservation:
    """An observation that a person or an agent adds; `scope` is "project" or "personal"."""

    type: str
    title: str
    content: str
    topic: str = ""
    agent: str = ""
    scope: str = PROJECT_SCOPE

    def saved(self, now: datetime) -> Observation:
        """The observation as it is saved at `now`, with an id of its own."""
        at = moment_text(now)
        return Observation(
            id=f"k-{secrets.token_hex(16)}",
            version=version_at(now),
            type=label(self.type),
            title=label(self.title),
            content=text(self.content),
            topic=label(self.topic),
            agent=label(self.agent),
            scope=self.scope,
            created=at,
            updated=at,
        )


def version_at(now: datetime, last: int = 0) -> int:
    """The version of an edit at `now`: Unix milliseconds, above the last one."""
    return max(last + 1, int(now.timestamp() * 1000))


def _write_all(out: FileIO, content: bytes) -> None:
    while content:
        content = content[out.write(content) :]


def _checked_line(record: Observation, project: str) -> bytes:
    kept = record.changed(project=project)
    if len(kept.content.encode(errors="replace")) > limits.OBSERVATION_BYTES:
        raise BadInput(
            f"the content has more than {limits.OBSERVATION_BYTES // 10**6} MB",
            hint="save the parts that matter",
        )
    line = kept.line()
    if _own_record(line) is None:
        raise BadInput("the observation cannot be saved as it is", hint="shorten its title")
    return line


def _own_record(line: bytes) -> SourceObservation | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    project = fields.pop("project", "")
    found = observed(fields, project=text(project))
    return None if found.stays is StayReason.MALFORMED else found


def _version(found: SourceObservation | None) -> int:
    return found.record.version if found else 0


def newest(found: Sequence[SourceObservation]) -> list[SourceObservation]:
    """Each id once: the highest version; where two agree, a personal one, else one that may leave.

    A scope may change without a new version.
    """
    kept: dict[str, SourceObservation] = {}
    for each in found:
        before = kept.get(each.record.id)
        if before is None or _rank(each) > _rank(before):
            kept[each.record.id] = each
    return [replace(each) for each in kept.values()]


def _rank(found: SourceObservation) -> tuple[int, bool, bool]:
    why = found.stays
    return found.record.version, why is StayReason.PERSONAL, why is None
