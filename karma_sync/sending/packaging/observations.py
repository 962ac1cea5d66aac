"""Packages observations: one item for each source and project, with one file of records.

Records stand in the order of their ids, in chunks that end where ids say so. Records that left
before are not redacted again.
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from karma_sync.agents.growing_file import whole_lines
from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.channel.layout import decompress
from karma_sync.channel.own_items import OutboxFiles, PreviousItem
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.observation import (
    OBSERVATIONS,
    PROJECT_SCOPE,
    Observation,
    StayReason,
    decoded,
)
from karma_sync.domain.session.profile import ItemKind
from karma_sync.domain.session.source_files import PackedFile, Position, SourceSession
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.packaging.chunker import CutFile
from karma_sync.sending.packaging.observation_chunks import (
    Cutter,
    FileParts,
    Line,
    edited,
    heads_of,
    parts_of,
)
from karma_sync.sending.packaging.packager import Packager, all_or_nothing
from karma_sync.sending.packaging.session_cut import CutSession, CutStart

SOURCE_ID = "observations"  # each source has one item for a project
_BLOCK_BYTES = 1_000_000  # redacted at once
_MARKER = re.compile(rb"\[REDACTED:([^\]\"\\]{1,80})\]")
_NOWHERE = Position(size=0, mtime_ns=0, inode=0, offset=0, fingerprint="")


@dataclass(frozen=True)
class PackedObservations:
    """The result of packaging: the item, its new revision (0: no change), the item file's size.

    `stays` are the records that stay here because of their content, by id.
    """

    item: str
    revision: int
    wire: int = 0
    stays: Mapping[str, StayReason] = field(default_factory=dict)


@dataclass(frozen=True)
class _Made:
    """A file that was cut: its redactions by rule, the number of its records, and what stays."""

    cutter: Cutter
    cuts: Counter[str]
    count: int
    stays: Mapping[str, StayReason]


class ObservationPackager:
    """Writes the observations items of my outboxes, through the packager.

    `now_ns` gives Unix nanoseconds.
    """

    def __init__(self, packager: Packager, now_ns: Callable[[], int]) -> None:
        self._packager = packager
        self._now_ns = now_ns
        self._parts: dict[tuple[str, str], tuple[int, FileParts]] = {}  # with its revision

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
            cutter = Cutter(self._packager.put_into(outbox, session.changed_ns))
            for each, line in lines.items():
                cutter.add(each, line)
            cuts = cuts_in(lines.values())
            return self._write(start, outbox, _Made(cutter, cuts, len(lines), stays))

    def package_changes(
        self,
        channel: Channel,
        source: str,
        found: Iterable[Observation],
        gone: Iterable[str],
        outbox: OutboxFiles,
    ) -> PackedObservations | None:
        """Bring the outbox up to date with what changed since it had all of a source.

        `found` are new and edited records, `gone` the ids of those that are deleted at the
        receivers. It reads and writes the chunks in which these lie, and comes to the same file as
        `package`. None if the item must be packaged as a whole.

        Raises:
            As `package`.
        """
        records = list(found)
        wanted = {record.id: record for record in records if _leaves(record, channel) is not None}
        ids = {*gone, *(record.id for record in records)}
        session = self.session(source)
        if not ids:
            return PackedObservations(self._packager.item_of(channel, session), 0)
        with all_or_nothing(outbox):
            start = self._packager.start(channel, session, outbox)
            if start.before is None or start.packed is None:
                return None
            parts = self._parts_before(start, start.before, outbox)
            if parts is None:
                return None
            file = start.before.manifest.files[0]
            tail = start.before.tails[file.path]
            pieces = _PartContent(parts, tail, outbox)
            near = {
                each: line
                for part in parts.with_ids(ids)
                for each, line in heads_of(pieces.of(part))
            }
            before = {each: near[each] for each in ids & near.keys()}
            lines, stays = self._lines(wanted, before, frozenset(), known=True)
            changed = {
                each: line for each, line in lines.items() if before.get(each, (b"", 0))[0] != line
            }
            if not changed:
                return PackedObservations(start.item, 0, stays=stays)
            put = self._packager.put_into(outbox, session.changed_ns)
            cutter = edited(parts, tail, changed, pieces.of, put)
            manifest = start.before.manifest
            cuts = Counter(manifest.redactions)
            cuts.subtract(cuts_in(before[each][0] for each in changed.keys() & before.keys()))
            cuts.update(cuts_in(changed.values()))
            count = manifest.session.records + len(changed.keys() - before.keys())
            return self._write(start, outbox, _Made(cutter, +cuts, count, stays))

    def _write(self, start: CutStart, outbox: OutboxFiles, made: _Made) -> PackedObservations:
        parts, count = made.cutter.parts, made.count
        state = PackedFile(position=_NOWHERE, sealed=len(parts.chunks), records=count)
        chunks, tail = tuple(parts.chunks), bytes(made.cutter.rest)
        file = CutFile(OBSERVATIONS, chunks, tail, state, made.cuts, count, WithheldRecords())
        version = self._packager.version(start.channel, start.session.agent)
        cut = CutSession(start, version, [file], [], 0, ItemKind.OBSERVATIONS)
        described = self._packager.describe(cut, Facts())
        self._packager.write(described, start.session, outbox)
        revision = described.packed.revision
        self._parts[start.channel.id, start.item] = revision, parts
        return PackedObservations(start.item, revision, len(described.raw), made.stays)

    def _parts_before(
        self, start: CutStart, before: PreviousItem, outbox: OutboxFiles
    ) -> FileParts | None:
        """The parts of the file in the outbox; read once, if this packager did not write it."""
        revision, parts = self._parts.get((start.channel.id, start.item), (0, None))
        if parts is None or revision != before.manifest.revision:
            [file] = before.manifest.files
            parts = parts_of(file.chunks, before.content(file, outbox))
            if parts is not None:
                known = before.manifest.revision, parts
                self._parts[start.channel.id, start.item] = known
        return parts

    def _lines(
        self,
        wanted: Mapping[str, Observation],
        before: Mapping[str, Line],
        kept: Container[str] | None,
        *,
        known: bool,
    ) -> tuple[dict[str, bytes], dict[str, StayReason]]:
        """The lines of the item by id, in their order; lines that left are reused if `known`."""
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
    """The line to send for an observation that left and has no record now; or one to redact."""
    record = decoded(line)
    if record.deleted:
        return line
    if not stays_out:
        return record.gone().line()
    # the record stays at the receivers, redacted by the rules of now
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


def _lines_before(before: PreviousItem | None, outbox: OutboxFiles) -> dict[str, Line]:
    """The lines that left before, with their versions, by id."""
    found: dict[str, Line] = {}
    for file in before.manifest.files if before else ():
        for block in whole_lines(before.content(file, outbox)) if before else ():
            found.update(heads_of(block))
    return found


@dataclass(frozen=True)
class _PartContent:
    """Reads parts of a file in an outbox; `tail` is the file's end."""

    parts: FileParts
    tail: bytes
    outbox: OutboxFiles

    def of(self, part: int) -> bytes:
        """The content of one part."""
        chunks = self.parts.chunks_of(part)
        pieces = [decompress(self.outbox.read_chunk(sha), size) for sha, size in chunks]
        is_last = part + 1 == len(self.parts.starts)
        return b"".join([*pieces, self.tail] if is_last else pieces)
