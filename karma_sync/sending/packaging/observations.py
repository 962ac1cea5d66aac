"""Packages observations: one item for each source and project, with one file of records.

Records stand in the order of their ids. Chunks end where ids say so, so that an edit changes the
one chunk in which it lies, and not all that follow. What left before is not redacted again.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from karma_sync.agents.growing_file import whole_lines
from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.channel.own_items import OutboxFiles, PreviousItem
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import ItemKind
from karma_sync.domain.session.observation import (
    OBSERVATIONS,
    PROJECT_SCOPE,
    Observation,
    StayReason,
    decoded,
    lines_of,
)
from karma_sync.domain.session.source_files import PackedFile, Position, SourceSession
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.packaging.chunker import CutFile, Put
from karma_sync.sending.packaging.packager import Packager, all_or_nothing
from karma_sync.sending.packaging.session_cut import CutSession

SOURCE_ID = "observations"  # each source has one item for a project
_BLOCK_BYTES = 1_000_000  # redacted at once
_LEAST_CHUNK = 64 * 1024
_ENDS = 128  # after the least size, one id of so many ends a chunk
_MARKER = re.compile(rb"\[REDACTED:([^\]\"\\]{1,80})\]")
_NOWHERE = Position(size=0, mtime_ns=0, inode=0, offset=0, fingerprint="")


@dataclass(frozen=True)
class PackedObservations:
    """What packaging did: the item, its new revision (0 if nothing changed), the item file's size.

    `stays` are the records that stay here because of their content, by id.
    """

    item: str
    revision: int
    wire: int = 0
    stays: Mapping[str, StayReason] = field(default_factory=dict)


class ObservationPackager:
    """Writes the observations items of my outboxes, through the packager.

    `now_ns` gives Unix nanoseconds.
    """

    def __init__(self, packager: Packager, now_ns: Callable[[], int]) -> None:
        self._packager = packager
        self._now_ns = now_ns

    def session(self, source: str) -> SourceSession:
        """The item of a source, as the packager names items."""
        return SourceSession(source, SOURCE_ID, Path(), (), None, self._now_ns())

    def package(
        self,
        channel: Channel,
        source: str,
        found: Iterable[Observation],
        outbox: OutboxFiles,
        *,
        kept: Container[str] | None = frozenset(),
    ) -> PackedObservations:
        """Bring the outbox up to date with these records of a source.

        A record that left before and is not among them is deleted at the receivers, unless its id
        is `kept`; None keeps all, because the source could not be read whole.

        Raises:
            RedactionFailed: redaction failed; the outbox holds nothing new for readers.
            KarmaError, OSError: as `Packager.package`.
        """
        session = self.session(source)
        with all_or_nothing(outbox):
            start = self._packager.start(channel, session, outbox)
            before = _lines_before(start.before, outbox)
            leaving = [_leaves(record, channel) for record in found]
            wanted = {record.id: record for record in leaving if record is not None}
            if start.before is None and not wanted:
                return PackedObservations(start.item, 0)
            fresh = start.packed is not None
            lines, stays = self._lines(wanted, before, kept, known=fresh)
            if fresh and lines == {each: line for each, (line, _) in before.items()}:
                return PackedObservations(start.item, 0, stays=stays)
            put = self._packager.put_into(outbox, session.changed_ns)
            file = _cut(lines, put)
            version = self._packager.version(channel, source)
            cut = CutSession(start, version, [file], [], 0, ItemKind.OBSERVATIONS)
            described = self._packager.describe(cut, Facts())
            self._packager.write(described, session, outbox)
        return PackedObservations(start.item, described.packed.revision, len(described.raw), stays)

    def _lines(
        self,
        wanted: Mapping[str, Observation],
        before: Mapping[str, tuple[bytes, int]],
        kept: Container[str] | None,
        *,
        known: bool,
    ) -> tuple[dict[str, bytes], dict[str, StayReason]]:
        """The lines of the item by id, in their order; what left before is reused if `known`."""
        lines: dict[str, bytes] = {}
        afresh: list[Observation] = []
        for each, record in wanted.items():
            line, version = before.get(each, (b"", 0))
            if version < record.version:
                afresh.append(record)
            elif decoded(line).deleted:
                afresh.append(record.again(version + 1))  # it was deleted, and is there again
            elif known:
                lines[each] = line
            else:
                afresh.append(record.again(version))
        for each in before.keys() - wanted.keys():
            stays_out = kept is None or each in kept
            left = _without_record(before[each][0], stays_out=stays_out, known=known)
            if isinstance(left, bytes):
                lines[each] = left
            else:
                afresh.append(left)
        redacted, stays = redacted_lines(self._packager.redactor, afresh)
        lines |= redacted
        for each in stays.keys() & before.keys():
            lines[each] = decoded(before[each][0]).gone().line()
        return dict(sorted(lines.items())), stays


def _without_record(line: bytes, *, stays_out: bool, known: bool) -> bytes | Observation:
    """What becomes of a line that left and has no record now: a line, or one to be redacted."""
    record = decoded(line)
    if record.deleted:
        return line
    if not stays_out:
        return record.gone().line()
    # what left stays, by the redactor's rules of now
    return line if known else record


def redacted_lines(
    redactor: Redactor, records: Sequence[Observation]
) -> tuple[dict[str, bytes], dict[str, StayReason]]:
    """The lines of records as they leave, by id, and the records that cannot leave.

    Raises:
        RedactionFailed: nothing of the records may leave.
    """
    lines: dict[str, bytes] = {}
    stays: dict[str, StayReason] = {}
    for block in _blocks(records):
        raw = b"\n".join(record.line() for record in block)
        redacted = redactor.lines(raw).data.split(b"\n")
        for record, line in zip(block, redacted, strict=True):
            try:
                after = decoded(line)
            except msgspec.MsgspecError:
                stays[record.id] = StayReason.MALFORMED
                continue
            if after.id == record.id and after.author == record.author:
                lines[record.id] = line
            else:
                stays[record.id] = StayReason.MALFORMED
    return lines, stays


def cuts_in(lines: Iterable[bytes]) -> Counter[str]:
    """The number of redactions in lines, by rule."""
    return Counter(rule.decode() for line in lines for rule in _MARKER.findall(line))


def _leaves(record: Observation, channel: Channel) -> Observation | None:
    """The record as its author sends it; None if its scope forbids that.

    The source held it back already: this holds whatever a source does.
    """
    if record.scope != PROJECT_SCOPE or record.author != channel.owner.tag:
        return None
    return record


def _blocks(records: Sequence[Observation]) -> Iterator[list[Observation]]:
    block: list[Observation] = []
    size = 0
    for record in records:
        block.append(record)
        size += len(record.content) + len(record.title)
        if size > _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _lines_before(before: PreviousItem | None, outbox: OutboxFiles) -> dict[str, tuple[bytes, int]]:
    """The lines that left before, with their versions, by id."""
    found: dict[str, tuple[bytes, int]] = {}
    for file in before.manifest.files if before else ():
        for block in whole_lines(before.content(file, outbox)) if before else ():
            for line in lines_of(block):
                head = _HEAD.decode(line)
                found[head.id] = line, head.version
    return found


def _is_gone(line: bytes) -> bool:
    return decoded(line).deleted


def _cut(lines: Mapping[str, bytes], put: Put) -> CutFile:
    """Cut the file of an item; an id ends a chunk wherever it stands."""
    chunks: list[tuple[str, int]] = []
    rest = bytearray()
    for each, line in lines.items():
        if len(rest) + len(line) >= limits.CHUNK_BYTES and rest:
            chunks.append(put(bytes(rest)))
            rest.clear()
        rest += line + b"\n"
        while len(rest) > limits.CHUNK_BYTES:
            chunks.append(put(bytes(rest[: limits.CHUNK_BYTES])))
            del rest[: limits.CHUNK_BYTES]
        if len(rest) >= _LEAST_CHUNK and _ends_chunk(each):
            chunks.append(put(bytes(rest)))
            rest.clear()
    state = PackedFile(position=_NOWHERE, sealed=len(chunks), records=len(lines))
    cuts = cuts_in(lines.values())
    return CutFile(
        OBSERVATIONS, tuple(chunks), bytes(rest), state, cuts, len(lines), WithheldRecords()
    )


def _ends_chunk(each: str) -> bool:
    return hashlib.blake2b(each.encode(), digest_size=2).digest()[0] % _ENDS == 0


class _Head(msgspec.Struct):
    id: str
    version: int


_HEAD = msgspec.json.Decoder(_Head)
