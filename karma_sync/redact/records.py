"""Redacts records of JSON string by string, so that their structure stays."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from karma_sync.errors import RedactionFailed
from karma_sync.redact.escapes import unescape
from karma_sync.redact.finders import members, private
from karma_sync.redact.findings import Findings
from karma_sync.redact.gates import NeedHit
from karma_sync.redact.json_strings import Group, Strings, grouped, is_json
from karma_sync.redact.private_blocks import over_blocks
from karma_sync.redact.scanner import PASSES, Scanner
from karma_sync.redact.shortlist import Shortlist
from karma_sync.redact.spans import has_other_text
from karma_sync.redact.stretches import Stretch

_PRIVATE = "private"  # the rule for blocks that a person marks
_ASSIGNMENT = "assignment"  # that for values beside their names
_TAIL = 8  # bytes of a need that may stand after the string in which it begins

# A group, and its hits where they are known.
_Searched = tuple[Group, Sequence[NeedHit] | None]


class Records:
    """Redacts the records of one block, one at a time, and adds the redactions by rule to `cuts`.

    The result of a record does not depend on the others; what was searched once is not searched
    again.
    """

    def __init__(self, scanner: Scanner, cuts: Counter[str], shortlist: Shortlist) -> None:
        self._scanner = scanner
        self._cuts = cuts
        self._findings = Findings(scanner)
        self._shortlist = shortlist

    def redact(self, record: bytes, hits: Sequence[NeedHit], coloured: bool = True) -> bytes:
        """The record with these hits without secrets; if it does not parse, as plain text too.

        `coloured` is true if it may have colour codes.

        Raises:
            RedactionFailed: a redaction damaged the record.
        """
        valid = is_json(record)
        if valid:
            record, hits = self._over_strings(record, hits)
            if hits and self._hits_tell_all(record, coloured):
                hits = self._shortlist.of_record(record, hits)
                if not hits:
                    return record
        for _ in range(PASSES):
            before, record = record, self._strings(record, hits, valid, coloured)
            if valid:
                if record != before and not is_json(record):
                    raise RedactionFailed("a redaction damaged the structure of a record")
                return record
            plain = self._scanner.cut(record, self._cuts)
            if plain == record:
                return record
            record, hits = plain, self._scanner.hits(plain)
        return self._unsearched(record)

    def _hits_tell_all(self, record: bytes, coloured: bool) -> bool:
        """Whether nothing can be found in the record but where hits are."""
        return not (coloured or self._scanner.tries_anyway or self._scanner.near(record))

    def _over_strings(
        self, record: bytes, hits: Sequence[NeedHit]
    ) -> tuple[bytes, Sequence[NeedHit]]:
        """A JSON record with its hits, without secrets that only several strings together tell."""
        found: list[Stretch] = []
        if self._scanner.may_open(private.closed, hits) and (found := over_blocks(record)):
            record = self._without(record, found, _PRIVATE)
            hits = self._scanner.hits(record)
        if self._scanner.may_open(members.secrets, hits):
            found = [
                (start, end)
                for start, end in members.in_record(record, unescape)
                if not self._scanner.exempts(unescape(record[start:end]))
            ]
            if found:
                record = self._without(record, found, _ASSIGNMENT)
                hits = self._scanner.hits(record)
        return record, hits

    def _strings(
        self, record: bytes, hits: Sequence[NeedHit], valid: bool, coloured: bool
    ) -> bytes:
        """Redact inside the strings of a record until no rule finds anything in them.

        `valid` is true if the record is JSON.
        """
        near = self._scanner.near(record)
        told = self._hits_tell_all(record, coloured)
        found: Iterable[_Searched] = (
            self._counting(record, hits, valid) if told else _every_group(record, hits, valid)
        )
        for turn in range(PASSES + 1):
            pieces, at, size = list[bytes](), 0, 0
            changed: list[NeedHit] = []  # where markers stand in the record that is made
            for group, known in found:
                spans = self._findings.find(group, near, known, coloured)
                for span in (
                    [self._scanner.whole(group.text)] if spans and turn == PASSES else spans
                ):
                    parts = [
                        part for part in group.parts(span) if has_other_text(record[slice(*part)])
                    ]
                    for start, end in parts:
                        pieces += [record[at:start], self._scanner.marker(span)]
                        changed.append(NeedHit(size + start - at, ()))
                        size += start - at + len(pieces[-1])
                        at = end
                    self._cuts[self._scanner.name(span)] += bool(parts)
            if not pieces:
                return record
            record = b"".join([*pieces, record[at:]])
            # a group that did not change holds nothing more
            found = (
                self._counting(record, changed, valid, again=True)
                if told
                else ((group, None) for group, _ in _groups_with(record, changed, valid))
            )
        return record

    def _counting(
        self, record: bytes, places: Sequence[NeedHit], valid: bool, again: bool = False
    ) -> Iterator[_Searched]:
        """The groups at these places in which hits count, with these hits.

        The places are those of hits; or, if the record is searched again, those that changed.
        """
        for group, own in _groups_with(record, places, valid):
            known = own
            if again or known is None:
                changed = [place.place for place in own] if again and own is not None else None
                hits = self._scanner.hits(group.text)
                known = self._shortlist.of_text(group.text, hits, changed)
            if known:
                yield group, known

    def _without(self, record: bytes, stretches: Sequence[Stretch], rule: str) -> bytes:
        """A record with a marker of this rule in place of each of these stretches."""
        self._cuts[rule] += len(stretches)
        pieces, at = [], 0
        for start, end in stretches:
            pieces += [record[at:start], f"[REDACTED:{rule}]".encode()]
            at = end
        return b"".join([*pieces, record[at:]])

    def _unsearched(self, record: bytes) -> bytes:
        """The marker for a record in which each cut uncovers another secret, with its line end."""
        span = self._scanner.whole(record)
        self._cuts[self._scanner.name(span)] += 1
        return self._scanner.marker(span) + record[len(record.rstrip(b"\r\n")) :]


def _every_group(record: bytes, hits: Sequence[NeedHit], valid: bool) -> Iterator[_Searched]:
    """All groups of strings of a record with these hits, with their own where these tell them."""
    at = 0
    for group in Strings(record, valid).groups():
        while at < len(hits) and hits[at].place < group.start:
            at += 1
        last = at
        while last < len(hits) and hits[last].place < group.end + _TAIL:
            last += 1
        yield group, group.own(hits[at:last]) if valid else None


def _groups_with(
    record: bytes, hits: Sequence[NeedHit], valid: bool
) -> Iterator[tuple[Group, list[NeedHit] | None]]:
    """The groups of strings in which these hits may stand, with the hits in the group's own text.

    A hit is where a need ends: it may have begun in the string before.
    """
    strings = Strings(record, valid)
    at = done = 0
    while at < len(hits):
        for row in strings.rows(strings.start_before(hits[at].place - _TAIL, done)):
            done = row[-1].end
            while at < len(hits) and hits[at].place < row[0].start:
                at += 1
            if at == len(hits):
                return
            if hits[at].place >= done + _TAIL:
                break
            group = grouped(record, row)
            last = at
            while last < len(hits) and hits[last].place < group.end + _TAIL:
                last += 1
            if at < last:  # else the hit is in a value that is kept, after the group
                yield group, group.own(hits[at:last])
        else:
            return
