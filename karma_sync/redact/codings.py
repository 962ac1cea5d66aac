"""Decodes text that hides a secret without escapes: colour codes, percent signs, base64, line ends.

A terminal's colour codes may stand inside a token, or the token may be wrapped at its width, a URL
within a query is percent-encoded, a file of settings is handed on in base64 or in UTF-16. Each
coding has a need for the gates, finds its stretches around the places of that need, and decodes
them; the secrets found there are mapped back.
"""

import base64
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from itertools import accumulate
from typing import NamedTuple

from karma_sync.redact.escapes import LEVELS, Unescaped
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.stretches import Stretch, line_around

_COLOURS = re.compile(rb"(?:\x1b|\\+u001[bB])\[[0-9;]{0,24}[A-Za-z]")
_ESCAPED_COLOUR = compiled(r"\\u001[bB]\[", "colours")  # RE2 finds what begins so fast
_ESC = b"\x1b"  # one byte is found faster than two
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_URL = re.compile(rb"[^\s\"'`<>\\]{1,8192}")
_BEFORE = 4096  # bytes before a place in which its run may begin
_WIDE = re.compile(rb"(?:[\t\n\r -~]\x00){8,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24,}(?:(?:\r?\n)[A-Za-z0-9+/_-]{8,})*={0,2}")
_PLAIN = re.compile(rb"[\t\n\r -~\x80-\xff]*")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_CHARACTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_ALIGNED = 96  # characters: a run begins at most so far before where that ends which tells it
_CODES = 6  # bytes of the codes that tell a run
_LEAST = 12  # bytes: fewer hold no secret with its name

# base64 of printed ASCII: of four characters, three have a bit that is never set.
_ASCII = r"(?:[CDI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/])"
# What the gates look for; it must hold behind escapes too.
NEED = r"%3[AaDd]|%2[Ff]%2[Ff]|(?:\x00|u0000)[!-~](?:\x00|\\+u0000)"
NEED_OF_BASE64 = rf"{_ASCII}{{6}}"
# What follows the beginning of a token that reaches a line's end.
NEED_OF_WRAPPED = r"[A-Za-z0-9_.+/=-]+[\\\r\n]"
_LINE_END = b"\r\n"  # the longest
_NARROWEST, _WIDEST = 40, 512  # bytes of a line that a terminal wraps
_NO_LINE_END = re.compile(rb"\\+[^\\nru]")
_NEAR = 1024  # bytes around a place that tell whether base64 stands for text, also behind escapes
_MOST_WRAPPED = 16  # lines over which a token is wrapped


class Coding(Enum):
    """The codings that a need shows in a text; `NONE` is the need of rules."""

    NONE = auto()
    BASE64 = auto()
    WRAPPED = auto()
    HIDDEN = auto()
    OTHER = auto()


class Decoded:
    """A decoded stretch of a text, as `data`, and where its bytes stand in the text.

    `starts` are where its parts begin in the data, `sources` where they begin in the text, and
    their size there: of a part that is one byte of the data, the negative size of its code.
    `joints` are where lines of a wrapped text were joined, if it is one.
    """

    def __init__(
        self,
        data: bytes,
        starts: Sequence[int],
        sources: Sequence[Stretch],
        joints: Sequence[int] = (),
    ) -> None:
        self.data = data
        self.joints = joints
        self._starts = starts
        self._sources = sources

    def origin(self, start: int, end: int) -> Stretch:
        """The stretch of the text that became data[start:end]."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        begin, size = self._sources[first]
        before = begin if size < 0 else begin + start - self._starts[first]
        begin, size = self._sources[last]
        after = begin - size if size < 0 else begin + end - self._starts[last]
        return before, after


def has_colours(text: bytes) -> bool:
    """Whether a terminal's colour code may stand in the text, escaped or not."""
    return _ESC in text or _ESCAPED_COLOUR.search(text) is not None


def coloured_lines(text: bytes) -> list[Stretch]:
    """The lines with colour codes, escaped or not, in order."""
    found = set[Stretch]()
    for next_one in (_plain_colour, _escaped_colour):
        at = 0
        while (place := next_one(text, at)) >= 0:
            line = line_around(text, at, place)
            found.add(line)
            at = line[1] + 1
    return sorted(found)


def _plain_colour(text: bytes, at: int) -> int:
    return text.find(_ESC, at)


def _escaped_colour(text: bytes, at: int) -> int:
    hit = _ESCAPED_COLOUR.search(text, at)
    return -1 if hit is None else hit[0][0]


def plain(text: bytes) -> bytes:
    """The text without its colour codes; the places of its bytes are lost."""
    return _COLOURS.sub(b"", text)


def without_colours(text: bytes) -> Decoded | None:
    """The text without its colour codes; None if it has none."""
    return _without_codes(text, _COLOURS) if has_colours(text) else None


class CodedRun(NamedTuple):
    """A coded stretch of a text: its bytes, where it begins, and what decodes it.

    `decode` gives None if it stands for no text.
    """

    start: int
    data: bytes
    decode: Callable[[bytes], Decoded | None]


def coded_runs(text: bytes, places: Sequence[int]) -> Iterator[CodedRun]:
    """Every coded stretch around these places, once; what it stands for may have colour codes."""
    if b"%" in text:
        for start, end in _percent_runs(text, places):
            yield CodedRun(start, text[start:end], _without_percent)
    for start, end in _base64_runs(text, places):
        yield CodedRun(start, text[start:end], _without_base64)
    if b"\x00" in text:
        for wide in _WIDE.finditer(text):
            yield CodedRun(wide.start(), wide[0], _without_nuls)


def _without_percent(run: bytes) -> Decoded:
    return _without_codes(run, _PERCENT, _meant_by_percent)


def _without_base64(run: bytes) -> Decoded | None:
    """The text that base64 stands for; a secret in it is all of it."""
    data = _text_of(run)
    return Decoded(data, [0], [(0, -len(run))]) if data else None


def _without_nuls(run: bytes) -> Decoded:
    starts = range(len(run) // 2)
    return Decoded(run[::2], starts, [(2 * at, -2) for at in starts])


def may_be_coded(coding: Coding, text: bytes, place: int) -> bool:
    """Whether the text at a place may hold what its need tells, as it is or behind escapes."""
    if coding is Coding.BASE64:
        return _may_be_base64(text, place)
    if coding is Coding.WRAPPED:
        return _NO_LINE_END.match(text, place) is None
    return coding is not Coding.NONE


def _may_be_base64(text: bytes, place: int) -> bool:
    low = max(0, place - _NEAR)
    layer, at = text[low : place + _NEAR], place - low
    for _ in range(LEVELS + 1):
        if any(_text_of(layer[start:end]) for start, end in _base64_runs(layer, [at])):
            return True
        if b"\\" not in layer:
            return False
        under = Unescaped(layer, [at])
        layer, at = under.data, under.places[0]
    return False


def unwrapped(text: bytes, places: Sequence[int]) -> Iterator[Decoded]:
    """The lines that end at these places, and that a terminal may have wrapped, joined to one.

    The lines between the first, before which other text may stand, and the last are equally long.
    """
    done = 0
    for place in places:
        stop = text.find(b"\n", place, place + len(_LINE_END))
        if stop < done:
            continue
        start = text.rfind(b"\n", max(done, stop - _WIDEST), stop) + 1 or done
        lines = [(start, _without_return(text, start, stop) - start)]
        while stop >= 0 and len(lines) <= _MOST_WRAPPED:
            start = stop + 1
            stop = text.find(b"\n", start, start + _WIDEST)
            end = stop if stop >= 0 else min(len(text), start + _WIDEST)
            lines.append((start, _without_return(text, start, end) - start))
            if lines[-1][1] != lines[1][1]:
                break
        done = sum(lines[-1])
        if lines[0][1] >= max(_NARROWEST, lines[1][1]):
            data = b"".join(text[at : at + size] for at, size in lines)
            starts = [0, *accumulate(size for _, size in lines)][:-1]
            yield Decoded(data, starts, lines, joints=starts[1:])


def _without_return(text: bytes, start: int, end: int) -> int:
    return end - (end > start and text[end - 1 : end] == b"\r")


def _percent_runs(text: bytes, places: Sequence[int]) -> Iterator[Stretch]:
    """The runs without blanks in which the percent signs at these places stand."""
    done = -1
    for place in places:
        if place > done and b"%" in text[max(0, place - _CODES) : place + 1]:
            low = max(done + 1, place - _BEFORE, 0)
            cuts = [text.rfind(sign, low, place) for sign in (b" ", b"\n", b'"', b"'", b"\\", b"<")]
            start = max(low, max(cuts) + 1)
            run = _URL.match(text, start)
            if run is not None:
                done = run.end()
                yield start, done


def _without_codes(
    text: bytes,
    codes: re.Pattern[bytes],
    meant: Callable[[re.Match[bytes]], bytes] | None = None,
) -> Decoded:
    """The text with each code replaced by the one byte that it means, or by nothing."""
    pieces: list[bytes] = []
    starts: list[int] = []
    sources: list[Stretch] = []
    at = size = 0
    for code in (*codes.finditer(text), None):
        stop = code.start() if code else len(text)
        if stop > at or not starts:
            pieces.append(text[at:stop])
            starts.append(size)
            sources.append((at, stop - at))
            size += stop - at
        if code and meant:
            pieces.append(meant(code))
            starts.append(size)
            sources.append((code.start(), -len(code[0])))
            size += 1
        at = code.end() if code else len(text)
    return Decoded(b"".join(pieces), starts, sources)


def _meant_by_percent(code: re.Match[bytes]) -> bytes:
    return bytes([int(code[1], 16)])


def _base64_runs(text: bytes, places: Sequence[int]) -> Iterator[Stretch]:
    """The runs of base64 at these places."""
    done = -1
    for place in places:
        if place <= done:
            continue
        start = place
        while start > done + 1 and start > place - _ALIGNED and text[start - 1] in _CHARACTERS:
            start -= 1
        run = _BASE64.match(text, start)
        if run is not None:
            done = run.end()
            yield start, done


def _text_of(run: bytes) -> bytes:
    """The text that a run of base64 stands for; empty if it stands for none."""
    code = b"".join(run.split()).translate(_URL_SAFE).rstrip(b"=")
    code = code[: len(code) - (len(code) % 4 == 1)]
    if _PLAIN.fullmatch(base64.b64decode(code[: min(_ALIGNED, len(code) // 4 * 4)])) is None:
        return b""
    data = base64.b64decode(code + b"=" * (-len(code) % 4))
    return data if len(data) >= _LEAST and _PLAIN.fullmatch(data) else b""
