"""Finds secrets in the columns of tables: CSV, Markdown, and the rows of an INSERT."""

import re
from collections.abc import Iterator, Sequence

from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.secret_names import NameKind, kind_of_name
from karma_sync.redact.matching.value_checks import is_assigned_secret

_MOST_ROWS = 2000
_INSERT = re.compile(rb"(?i)\(([^()\n]{1,400})\)\s{1,8}values\s{0,8}(?=\()")
_ROW = re.compile(rb"\s*,?\s*\(((?:'(?:[^'\\\n]|\\.|'')*'|\"(?:[^\"\\\n]|\\.)*\"|[^()'\"\n])*)\)")
_VALUE = re.compile(rb"\s*('(?:[^'\\\n]|\\.|'')*'|\"(?:[^\"\\\n]|\\.)*\"|[^,'\"]*)\s*(?:,|\Z)")
# What stands in a line of names alone, after the key of the string that holds the text, which may
# be that of an object.
_HEADER = re.compile(
    rb"(?:(?:[^\n]{0,2000}[{,][ \t]*)?\"[\w -]{1,40}\":[ \t]*\"|\")?([\w \t\r|,;.\"'`*-]+)"
)
_CELL = re.compile(rb"[A-Za-z][A-Za-z0-9_ .-]{0,40}")
_RULE = re.compile(rb"[\s|:+-]+")
_TELLS = "(?:passw|secret|token|key|pwd)"
_IN_HEADER = r"[\w \t\r|,;.\"'`*-]*"
# The lines that may be such ones, found in one pass.
_HEADERS = compiled(
    rf"(?mi)^(?:(?:(?:[^\n]*[{{,][ \t]*)?\"[\w -]*\":[ \t]*\")?{_IN_HEADER}{_TELLS}{_IN_HEADER}"
    rf"|[^\n]*{_TELLS}[^\n]*\":[ \t]*\"{_IN_HEADER})$",
    "headers of columns",
)
_VALUES = compiled(r"(?i)\)\s{1,8}values", "inserts")
# What stands in every text with a table, also while it is escaped: a line of names, one of them for
# a secret; or the end of an INSERT's names.
_AROUND = r"(?:[ \t\r\"'`*\\]|\\[rt])*"
_ANY = rf"{_AROUND}[a-z][a-z0-9_ .-]*{_AROUND}"
_TELLING = rf"{_AROUND}(?:[a-z][a-z0-9_ .-]*)?{_TELLS}[a-z0-9_ .-]*{_AROUND}"
_SIGN = r"(?:[|,;\t]|\\t)"
MAY_HOLD = (
    rf"(?i)(?:\A|\n|\"|\\n)(?:{_AROUND}\|)?"
    rf"(?:(?:{_ANY}{_SIGN})+{_TELLING}|{_TELLING}{_SIGN}{_ANY})(?:{_SIGN}{_ANY})*"
    rf"(?:\|{_AROUND})?(?:\z|\n|\\n)|\)(?:\s|\\+[nrtf])+values|\\u00"
)
_QUOTES = b" \t\r\"'`*"

Stretch = tuple[int, int]
Cell = tuple[bytes, int]  # its text, and where it begins


def secrets(text: bytes, start: int, end: int) -> Iterator[Stretch]:
    """The values below a name for a secret in text[start:end]."""
    part = text[start:end]
    found = {*_in_lines(part), *_in_inserts(part)}
    yield from ((start + first, start + last) for first, last in sorted(found))


def _in_inserts(text: bytes) -> Iterator[Stretch]:
    if _VALUES.search(text) is None:
        return
    for insert in _INSERT.finditer(text):
        names = [name.strip(_QUOTES) for name in insert[1].split(b",")]
        columns = _telling(names)
        at = insert.end()
        while columns and (row := _ROW.match(text, at)):
            cells = [(value[1], value.start(1)) for value in _VALUE.finditer(text, *row.span(1))]
            yield from _judged(names, columns, cells)
            at = row.end()


def _in_lines(text: bytes) -> Iterator[Stretch]:
    """Tables whose first line has the names."""
    done, end = 0, len(text)
    while done < end and (found := _HEADERS.search(text, done)):
        first = found[0][0]
        done = _line_end(text, first, end)
        header = _HEADER.fullmatch(text, first, done)
        if header is None:
            continue
        for sign in (b"|", b",", b"\t", b";"):
            if sign in header[1] and (names := _names(header[1], sign)):
                columns = _telling(names)
                for cells, line_end in _rows(text, done, end, sign, len(names)):
                    done = line_end
                    yield from _judged(names, columns, cells)
                break


def _rows(
    text: bytes, at: int, end: int, sign: bytes, size: int
) -> Iterator[tuple[list[Cell], int]]:
    """The lines of a table below its first line, which ends at `at`; each with its own end."""
    for _ in range(_MOST_ROWS):
        start = at + 1
        if start > end:
            return
        at = _line_end(text, start, end)
        line = text[start:at]
        if sign == b"|" and _RULE.fullmatch(line):
            continue
        cells = _split(line, start, sign)
        if len(cells) != size:
            return
        yield cells, at


def _line_end(text: bytes, at: int, end: int) -> int:
    found = text.find(b"\n", at, end)
    return end if found < 0 else found


def _names(line: bytes, sign: bytes) -> list[bytes]:
    """The names in the first line of a table; empty if it is none."""
    cells = [cell.strip(_QUOTES) for cell, _ in _split(line, 0, sign)]
    named = len(cells) > 1 and all(_CELL.fullmatch(cell) for cell in cells)
    return cells if named and _telling(cells) else []


def _telling(names: Sequence[bytes]) -> list[int]:
    """The columns under a name for a secret."""
    kinds = [kind_of_name(name.replace(b" ", b"_")) for name in names]
    return [at for at, kind in enumerate(kinds) if kind in {NameKind.PASSWORD, NameKind.KEY}]


def _split(line: bytes, start: int, sign: bytes) -> list[Cell]:
    if sign == b"|":
        inner = line.strip(b" \t\r")
        start += len(line) - len(line.lstrip(b" \t\r"))
        if inner.startswith(b"|"):
            inner, start = inner[1:], start + 1
        line = inner[:-1] if inner.endswith(b"|") else inner
    cells, at = [], start
    for cell in line.split(sign):
        cells.append((cell, at))
        at += len(cell) + 1
    return cells


def _judged(
    names: Sequence[bytes], columns: Sequence[int], cells: Sequence[Cell]
) -> Iterator[Stretch]:
    for at in columns:
        if at < len(cells):
            cell, start = cells[at]
            value = cell.strip(_QUOTES)
            start += len(cell) - len(cell.lstrip(_QUOTES))
            if is_assigned_secret(names[at].replace(b" ", b"_"), value):
                yield start, start + len(value)
