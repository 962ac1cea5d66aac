"""Finds the strings of a raw JSON record, their positions, and those that must not be changed.

It does not parse: the record may be spliced, cut off or full of NULs; in one that is known to be
JSON strings are found faster. Strings are searched in groups, because a secret may be recognized
only with its neighbours: a value with its key (`"password": "…"`), the strings of an array as lines
of one text (the lines of a diff).
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from karma_sync.redact.gates import NeedHit
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.secret_names import words
from karma_sync.redact.rule_matcher import Span
from karma_sync.redact.stretches import Stretch

# Ids, times and signatures: they link the records of a session, or the provider verifies them.
KEPT_KEYS = frozenset(
    key.encode()
    for key in words(
        """uuid parentUuid logicalParentUuid leafUuid sourceToolAssistantUUID sourceToolUseID
        sessionId session_id messageId promptId requestId request_id agentId id toolUseID
        tool_use_id parentToolUseID parent_tool_use_id signature timestamp"""
    )
)
# The forms of what stands under them: all else is searched like any text.
_ID = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:(?:srv)?toolu|msg|req|resp|call"
    rb"|chatcmpl|run|agent|task)[_-][A-Za-z0-9_-]{4,64}|[0-9a-f]{6,17}"
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(?:Z|[+-][0-9:]{4,6})?|[0-9]{1,19}"
)
_SIGNATURE = re.compile(rb"[A-Za-z0-9+/=_\\-]{80,}")  # of the provider, under a thought
_IMAGE_KEYS = frozenset({b"data", b"base64"})
_LONG_LINE = 1 << 16  # bytes of a line that is worth a search for them
# base64 of a PNG, JPEG, GIF, WebP or PDF, by its first bytes
_IMAGE = re.compile(rb"(?:iVBORw0K|\\?/9j\\?/|R0lGOD|UklGR|JVBERi0)[A-Za-z0-9+/=\\]*+")
# A string that a torn record leaves open goes to its end.
_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"(\s*:)?|\\?\Z)', re.DOTALL)
_IMAGE_VALUE = compiled(
    r'"(?:data|base64)"\s*:\s*"(?:iVBORw0K|\\?/9j\\?/|R0lGOD|UklGR|JVBERi0)[A-Za-z0-9+/=\\]*"',
    "images",
)
_QUOTES_ONLY = re.compile(rb'(?:[^\\]|\\["\\])*+')
_COMMA = re.compile(rb"\s*,\s*")
_BLANK = re.compile(rb"\s*")
_check_json = msgspec.json.Decoder(msgspec.Raw).decode  # checks a document, builds no objects

_TRIES = 4  # strings that begin with a colon are rare
_KEY_END = re.compile(rb"\s*:")


class StringPlace(NamedTuple):
    """Where a string stands in a record: with its quotes and the colon of a key, and its text."""

    start: int
    end: int
    first: int
    last: int
    is_key: bool

    def text(self, record: bytes) -> bytes:
        """The bytes between the string's quotes."""
        return record[self.first : self.last]


# Strings that are searched together: a key with its value, or elements of an array.
Row = list[StringPlace]


class StringPiece(NamedTuple):
    """A part of a group's text that may be changed: at `at` in it, at `start` in the record."""

    at: int
    start: int
    size: int


class Group(NamedTuple):
    """Strings that are searched together as one text; they lie in record[start:end].

    `cut` is how many bytes the text begins after `start`, -1 if it is put together.
    """

    text: bytes
    pieces: tuple[StringPiece, ...]
    start: int
    end: int
    cut: int = -1

    def parts(self, span: Span) -> list[tuple[int, int]]:
        """The stretches of the record that a span covers, one for each string that it touches."""
        first = max(0, bisect_right(self.pieces, span.start, key=_where) - 1)
        last = bisect_left(self.pieces, span.end, key=_where)
        overlaps = [
            (
                piece.start + max(span.start, piece.at) - piece.at,
                piece.start + min(span.end, piece.at + piece.size) - piece.at,
            )
            for piece in self.pieces[first:last]
        ]
        return [(start, end) for start, end in overlaps if start < end]

    def own(self, hits: Sequence[NeedHit]) -> list[NeedHit] | None:
        """These hits of the record as hits of the text; None if the text is put together."""
        if self.cut < 0:
            return None
        # the text of a key with its value, and that of one string, is part of the record
        begin, last = self.start + self.cut, max(0, len(self.text) - 1)
        return [hit.at(min(max(0, hit.place - begin), last)) for hit in hits]

    def quoted(self) -> set[tuple[int, int]]:
        """Where in the text those strings stand that hold quotes and no other escapes.

        Only such a string as a whole is believed to be a secret as it is written: with its escapes
        undone, `"ab\\"cd"` no longer ends where it ends. All else is judged by what it stands for.
        """
        if b'\\"' not in self.text:
            return set()
        places = [(piece.at, piece.at + piece.size) for piece in self.pieces]
        return {place for place in places if _has_only_quotes(self.text[slice(*place)])}


def _where(piece: StringPiece) -> int:
    return piece.at


def _has_only_quotes(value: bytes) -> bool:
    return b'\\"' in value and _QUOTES_ONLY.fullmatch(value) is not None


def is_json(record: bytes) -> bool:
    """Whether every reader would take it for one JSON value."""
    try:
        _check_json(record)
    except (msgspec.DecodeError, RecursionError):
        return is_json_slowly(record)  # it is stricter than most: half an emoji stops it
    return True


def is_json_slowly(record: bytes) -> bool:
    """The same as the standard library sees it."""
    try:
        # numbers stay text: Python alone refuses an integer of 5,000 digits
        json.loads(record.decode("utf-8", "surrogateescape"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def images(block: bytes) -> list[Stretch]:
    """Where images stand in the long lines of a block that are JSON, in order: in kept values."""
    found, start = list[Stretch](), 0
    while start < len(block):
        end = block.find(b"\n", start)
        end = len(block) if end < 0 else end
        if end - start > _LONG_LINE:
            in_line = sorted(_images(block, start, end))
            if in_line and is_json(block[start:end]):
                found += in_line
        start = end + 1
    return found


def _images(block: bytes, start: int, end: int) -> Iterator[Stretch]:
    for key in (b'"%b"' % name for name in _IMAGE_KEYS):
        at = block.find(key, start, end)
        while at >= 0:
            value = _IMAGE_VALUE.match(block, at, end)
            if value is not None and block[at - 1 : at] != b"\\":
                yield value[0]
            at = block.find(key, value[0][1] if value else at + 1, end)


class Strings:
    """The strings of a record in rows: those that are searched together.

    `valid` is true if the record is JSON: there a quote that no backslash escapes begins or ends a
    string, so that they are found faster, and from the middle on.
    """

    def __init__(self, record: bytes, valid: bool) -> None:
        self._record = record
        self._valid = valid
        # the record with each escaped quote, and what may seem to escape one, replaced
        self._plain = record.replace(b"\\\\", b"__").replace(b'\\"', b"__") if valid else record

    def groups(self) -> Iterator[Group]:
        """All strings in order, each in exactly one group, without those to keep."""
        return (grouped(self._record, row) for row in self.rows())

    def rows(self, start: int = 0) -> Iterator[Row]:
        """All strings in order from `start` on: 0, the end of a row, or a `start_before`.

        No text is copied: many are passed over for where they stand.
        """
        record = self._record
        row: Row = []
        for string in self._places(start) if self._valid else self._places_anyhow(start):
            if row and row[-1].is_key and _is_blank(record, row[-1].end, string.start):
                yield [row[-1], string]
                row = []
                continue
            if row and not _continues(record, row[-1], string):
                yield row
                row = []
            row.append(string)
        if row:
            yield row

    def start_before(self, place: int, done: int) -> int:
        """Where a row begins before `place`, at `done` or later; `done` is 0 or the end of a row.

        It is that of a key that is near, in JSON.
        """
        last = max(place, 0) if self._valid else 0
        for _ in range(_TRIES):
            last = self._plain.rfind(b'":', done, last)
            if last < 0:
                break
            if self._plain.count(b'"', done, last) % 2:  # it ends a string, which is a key
                return self._plain.rfind(b'"', done, last)
        return done

    def _places(self, at: int) -> Iterator[StringPlace]:
        """The strings of JSON."""
        plain = self._plain
        start = plain.find(b'"', at)
        while start >= 0:
            last = plain.find(b'"', start + 1)
            colon = _KEY_END.match(plain, last + 1)
            end = colon.end() if colon else last + 1
            yield StringPlace(start, end, start + 1, last, colon is not None)
            start = plain.find(b'"', end)

    def _places_anyhow(self, at: int) -> Iterator[StringPlace]:
        """The strings of any text."""
        for string in _STRING.finditer(self._record, at):
            yield StringPlace(*string.span(), *string.span(1), string[2] is not None)


def grouped(record: bytes, row: Row) -> Group:
    """The strings of a row together."""
    return _member(record, *row) if row[0].is_key and len(row) > 1 else _row(record, row)


def _is_blank(record: bytes, start: int, end: int) -> bool:
    return start == end or _BLANK.fullmatch(record, start, end) is not None


def _continues(record: bytes, last: StringPlace, string: StringPlace) -> bool:
    """Both are elements of one array, next to each other."""
    if last.is_key or string.is_key:
        return False
    return _COMMA.fullmatch(record, last.end, string.start) is not None


def _member(record: bytes, key: StringPlace, value: StringPlace) -> Group:
    if _is_kept(key.text(record), value, record):
        return _row(record, [key])
    start, end = key.start, min(value.last + 1, len(record))
    pieces = [
        StringPiece(string.first - start, string.first, string.last - string.first)
        for string in (key, value)
    ]
    return Group(record[start:end], tuple(pieces), start, end, cut=0)


def _is_kept(key: bytes, value: StringPlace, record: bytes) -> bool:
    if key == b"signature":
        return _is(_SIGNATURE, record, value)
    if key in KEPT_KEYS:
        return _is(_ID, record, value)
    return key in _IMAGE_KEYS and _is(_IMAGE, record, value)


def _is(form: re.Pattern[bytes], record: bytes, string: StringPlace) -> bool:
    return form.fullmatch(record, string.first, string.last) is not None


def _row(record: bytes, strings: Row) -> Group:
    pieces, texts, at = [], [], 0
    for string in strings:
        texts.append(string.text(record))
        pieces.append(StringPiece(at, string.first, len(texts[-1])))
        at += len(texts[-1]) + len(b"\\n")
    cut = 1 if len(strings) == 1 else -1  # its quote
    text = b"\\n".join(texts)
    return Group(text, tuple(pieces), strings[0].start, strings[-1].end, cut)
