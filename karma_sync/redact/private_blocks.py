"""Finds private blocks that begin in one text of a record and end in a later one."""

from karma_sync.redact.escapes import Unescaped
from karma_sync.redact.finders.private import closing, opening
from karma_sync.redact.json_strings import Strings
from karma_sync.redact.stretches import Stretch

# The keys of texts of a message; what stands under others is no part of what a person wrote.
_TEXTS = frozenset({b"text", b"content", b"thinking"})
_SIGN = b"private"


def over_blocks(record: bytes) -> list[Stretch]:
    """The stretches of a JSON record from each `<private>` to the `</private>` in a later text.

    The texts between them are private as a whole. A block that no later text closes is left to the
    rule for those that are never closed.
    """
    if record.lower().count(_SIGN) < 2:  # noqa: PLR2004  a beginning and an end
        return []
    found: list[Stretch] = []
    opened: list[Stretch] = []  # what is private if a later text closes it
    for row in Strings(record, valid=True).rows():
        keyed = row[0].is_key
        if keyed and row[0].text(record) not in _TEXTS:
            continue
        for value in row[1:] if keyed else row:
            start, end = value.first, value.last
            layer = Unescaped(value.text(record))
            if opened:
                stop = closing(layer.data)
                last = end if stop < 0 else start + layer.origin(0, stop)[1]
                opened.append((start, last))
                if stop < 0:
                    continue
                found += opened
                opened = []
                continue
            if (first := opening(layer.data)) >= 0:
                opened = [(start + layer.origin(first, first + 1)[0], end)]
    return [(start, end) for start, end in found if start < end]
