r"""Finds secrets in objects that hold a name and its value as two members, in either order.

`{"name": "DB_PASSWORD", "value": "…"}` in JSON, in code, in XML, and `- name: …`, `value: …` in
lists of YAML: also with other members between the two, and also where a record has them itself.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from karma_sync.redact.matching.patterns import Pattern, Spans, compiled
from karma_sync.redact.matching.value_checks import is_listed_secret

_MOST_BETWEEN = 600  # bytes between the two members
_Q = r"""\\*["'`]?"""
_SET = rf"{_Q}[ \t]*(?::|=>?)[ \t]*"
_NAME = rf"(?i:name|key|variable|parameter){_SET}{_Q}(?P<name>[A-Za-z0-9_./:-]{{2,80}})"
_VALUE = (
    rf"(?i:value){_SET}(?:\"(?P<secret_a>(?:[^\"\\\r\n]|\\+[^nrt\\\r\n])+)\""
    r"|'(?P<secret_b>(?:[^'\\\r\n]|\\+[^nrt\\\r\n])+)'|`(?P<secret_c>[^`\\\r\n]+)`"
    r"|\\+[\"'](?P<secret_d>[^\"'\\\r\n]+)\\+[\"']"
    r"|(?P<secret_e>[^\s\"'`\\]+)[ \t\r]*(?:#[^\n]*)?(?:$|[\"'`\x1b])"
    rf"|{_Q}(?P<secret_f>[^\s\"'`\\,;&|<>(){{}}\[\]\x1b]+))"
)
_MEMBER = compiled(rf"(?m)(?:^|[^A-Za-z0-9_])(?:{_NAME}|{_VALUE})", "members")
_HAS_VALUE = compiled(rf"(?i:value){_SET}", "members' values")
# What stands in every text with a member's value, also while it is escaped.
MAY_HOLD = r"(?i:value)|\\u00"
# The same as members of a record of JSON, not in its strings.
_OF_RECORD = compiled(
    r'"(?i:name|key|variable|parameter)"\s*:\s*"(?P<name>[A-Za-z0-9_./:-]{2,80})"'
    r'|"(?i:value)"\s*:\s*"(?P<secret>(?:[^"\\]|\\.)+)"',
    "members of a record",
)
_RECORD_HAS_VALUE = compiled(r'"(?i:value)"\s*:\s*"', "members' values of a record")
# Where an object begins or ends: a brace, an angle, a dash of YAML and what tools print before it.
_BORDER = re.compile(rb"[{}<>]|\n(?:[^\n\s]{1,80}[:-][0-9]{1,6}[:-])?[^\nA-Za-z\"']{0,40}-[ \t]")

Stretch = tuple[int, int]


class _Member(NamedTuple):
    """A member at start:end of a text: its `name` is that of a secret, or its value at `value`."""

    start: int
    end: int
    name: bytes
    value: Stretch


def secrets(text: bytes, start: int, end: int) -> Iterator[Stretch]:
    """The values beside a name for a secret in text[start:end]."""
    if _HAS_VALUE.search(text, start, end) is None:
        return iter(())
    return _beside_names(text, _members(_MEMBER, text, start, end), bytes)


def in_record(record: bytes, unescape: Callable[[bytes], bytes]) -> list[Stretch]:
    """The same where name and value are members of a JSON record itself."""
    if _RECORD_HAS_VALUE.search(record) is None:
        return []
    members = _members(_OF_RECORD, record, 0, len(record))
    return list(_beside_names(record, members, unescape))


def _members(pattern: Pattern, text: bytes, start: int, end: int) -> Iterator[_Member]:
    name = pattern.groupindex[b"name"]
    values = [group for key, group in pattern.groupindex.items() if group != name]
    at = start
    while found := pattern.search(text, at, end):
        first, last = found[0]
        yield _Member(first, last, text[slice(*found[name])], _first(found, values))
        at = last


def _first(found: Spans, groups: list[int]) -> Stretch:
    """The first of these groups that matched."""
    return next((found[group] for group in groups if found[group][0] >= 0), (-1, -1))


def _beside_names(
    text: bytes, members: Iterator[_Member], meant: Callable[[bytes], bytes]
) -> Iterator[Stretch]:
    """Each value whose next neighbour in the same object is a name for a secret, in order."""
    before: _Member | None = None
    for member in members:
        if before is not None and bool(before.name) != bool(member.name):
            name, value = sorted((before, member), key=lambda each: not each.name)
            # a member's match begins with the character before it
            if _is_one_object(text, before.end, member.start + 1) and is_listed_secret(
                name.name, meant(text[slice(*value.value)])
            ):
                yield value.value
                before = None  # neither belongs to another
                continue
        before = member


def _is_one_object(text: bytes, start: int, end: int) -> bool:
    return end - start <= _MOST_BETWEEN and _BORDER.search(text, start, end) is None
