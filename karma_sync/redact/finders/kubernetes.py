"""Finds the values of Kubernetes' Secrets, in YAML and in JSON, whole lists of them too.

All values under `data` and `stringData` of an object of kind Secret are secrets, whatever their
form is: that is what the object is for.
"""

import re
from collections.abc import Iterator

_MAPS = frozenset({b"data", b"stringData"})
_FIRST_KEYS = frozenset({b"apiVersion", b"kind", b"data", b"metadata", b"stringData"})
_DEEPEST = 8  # blanks before the first key of an object in a list
# What may stand before a line: the string that holds the text, a tool's line number, the file and
# line of a find, a sign of a diff.
_BEFORE = (
    rb"(?:\"[\w -]{1,40}\":[ \t]*\"|\")?(?:[ \t]*[0-9]{1,6}(?:\xe2\x86\x92|\t)"
    rb"|[^\s:{}\"']{1,200}[:-][0-9]{1,6}[:-])?[+-]?"
)
_LINE = re.compile(
    rb"(?m)^" + _BEFORE + rb"(?P<indent>[ \t]*)(?P<dash>-[ \t]+)?"
    rb"(?:(?P<quote>[\"']?)(?P<key>[\w./-]+)(?P=quote)[ \t]*:(?=[ \t\r\n\"]|\Z)[ \t]*"
    rb"(?P<value>[^\r\n]*)|(?P<other>[^\r\n]*))"
)
# A quote before a brace and a key begins the string that holds the object.
_JSON = re.compile(rb"\"(?![{\[\s]+\")((?:[^\"\\\r\n]|\\.)*)\"([ \t]*:\s*)?|[{}]")
_HOLLOW = re.compile(
    rb"(?i)\s*(?:$|null$|~$|\"\"?$|''$|\{\}$|<[^>]*>$|\.\.\.$|\[redacted|#)|.*(?:\$\{|\{\{)"
)
_BLOCK = re.compile(rb"[|>][0-9+-]{0,2}[ \t]*(?:#.*)?$")
_COMMENT = re.compile(rb"(?:\"[^\"]*\"|'[^']*'|[^\s#\"'][^#]*?)([ \t]+#.*)$")

Stretch = tuple[int, int]


def values(text: bytes, start: int, end: int) -> Iterator[Stretch]:
    """Every value of every Secret in text[start:end]."""
    yield from sorted({*_in_json(text, start, end), *_Documents().read(text, start, end)})


class _Object:
    """An object of JSON that is open: the key it stands under, its kind, and its values."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._kind = b""
        self._values: list[Stretch] = []
        self._of_maps: list[Stretch] = []

    def take(self, key: bytes, value: re.Match[bytes]) -> None:
        """Take the value of a key."""
        if key == b"kind":
            self._kind = value[1]
        elif key and not _HOLLOW.match(value[1]):
            self._values.append(value.span(1))

    def take_inner(self, inner: "_Object") -> None:
        """Take the values of a map that ended in this object."""
        if inner.key in _MAPS:
            self._of_maps += inner._values  # noqa: SLF001  of the same class

    def secrets(self) -> list[Stretch]:
        """The secrets in it, now that it ended."""
        return self._of_maps if self._kind == b"Secret" else []


def _in_json(text: bytes, start: int, end: int) -> Iterator[Stretch]:
    """Values of objects `{…"kind": "Secret"…}`, also of one that is torn."""
    objects, key = [_Object(b"")], b""
    for token in _JSON.finditer(text, start, end):
        if token[2] is not None:
            key = token[1]
            continue
        if token[0] == b"{":
            objects.append(_Object(key))
        elif token[0] == b"}":
            if len(objects) > 1:
                yield from _ended(objects)
        else:
            objects[-1].take(key, token)
        key = b""
    while objects:
        yield from _ended(objects)


def _ended(objects: list[_Object]) -> list[Stretch]:
    ended = objects.pop()
    if objects:
        objects[-1].take_inner(ended)
    return ended.secrets()


class _Documents:
    """Reads YAML line by line: documents, and the objects of a list."""

    def __init__(self) -> None:
        self._is_secret = False
        self._found: list[Stretch] = []
        # the indents of the map and of the block of lines that are open; -1 if there is none
        self._map = self._block = -1

    def read(self, text: bytes, start: int, end: int) -> Iterator[Stretch]:
        """The values of those with `kind: Secret`."""
        for line in _LINE.finditer(text, start, end):
            indent = len(line["indent"]) + len(line["dash"] or b"")
            if self._begins(line, indent):
                yield from self._secrets()
            if not (line["key"] or line["other"].strip()):
                continue
            if 0 <= self._map < indent:
                self._take_entry(line, indent)
            else:
                self._take_key(line, indent)
        yield from self._secrets()

    def _begins(self, line: re.Match[bytes], indent: int) -> bool:
        """The line begins another document, or another object of a list."""
        if line["key"] is None:
            return line["other"].startswith(b"---") or line[0].lstrip(b'+"').startswith(b"---")
        if line["dash"]:
            return line["key"] in _FIRST_KEYS
        return line["key"] == b"apiVersion" and self._map < indent <= _DEEPEST

    def _secrets(self) -> list[Stretch]:
        """The secrets in the document that ended here."""
        found = self._found if self._is_secret else []
        self._is_secret, self._found, self._map, self._block = False, [], -1, -1
        return found

    def _take_entry(self, line: re.Match[bytes], indent: int) -> None:
        """Take a line of the map, whatever it is."""
        if 0 <= self._block < indent:
            first = line.end("dash") if line["dash"] else line.end("indent")
            self._found.append((first, line.end()))
            return
        self._block = -1
        if line["key"] is None:
            if not line["other"].startswith(b"#"):
                self._found.append(line.span("other"))
        elif _BLOCK.match(line["value"]):
            self._block = indent
        elif not _HOLLOW.match(line["value"]):
            self._found.append(_value_of(line))

    def _take_key(self, line: re.Match[bytes], indent: int) -> None:
        """Take a line outside the map."""
        self._map = self._block = -1
        key, value = line["key"], line["value"] or b""
        if key == b"kind":
            self._is_secret = self._is_secret or value.strip(b"\"' \t,") == b"Secret"
        elif key in _MAPS:
            if not value.strip(b" \t{"):
                self._map = indent
            elif value.startswith(b"{") and value.strip() != b"{}":
                self._found.append(_value_of(line))


def _value_of(line: re.Match[bytes]) -> Stretch:
    """The value without its quotes, its comma and its comment."""
    value, start = line["value"], line.start("value")
    if comment := _COMMENT.match(value):
        value = value[: comment.start(1)]
    value = value.rstrip(b" \t,")
    if value[:1] in (b'"', b"'"):
        return start + 1, start + len(value) - (value[-1:] == value[:1])
    return start, start + len(value.rstrip(b'"'))
