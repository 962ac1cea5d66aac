"""Explains what is wrong in config.toml: the line, the key, its value, and what is allowed."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from msgspec import ValidationError

from karma_sync.domain.text import one_line

# Each key, and what its value may be.
FORMS: Mapping[str, str] = {
    "tag": 'a member tag such as "alice.laptop"',
    "claude_dirs": 'a list of directories such as "~/.claude", at least one',
    "network": "a table with port, addresses, discovery, relays and nat",
    "network.port": "1 to 65535",
    "network.addresses": 'a list of addresses such as "tcp://192.168.1.20:24099"',
    "network.discovery": "true or false",
    "network.relays": "true or false",
    "network.nat": "true or false",
    "syncthing": "a table with program",
    "syncthing.program": 'a path such as "/usr/local/bin/syncthing"',
    "archive": '"all", "shared" or "off"',
    "archive_limits": "a table with quota_gb and days",
    "archive_limits.quota_gb": "a number of gigabytes; 0 for no limit",
    "archive_limits.days": "a number of days; 0 for no limit",
    "redaction": "a table with gitleaks and allowlist",
    "redaction.gitleaks": 'a path such as "rules.toml"',
    "redaction.allowlist": 'a path such as "allow.txt"',
}
_SHOWN_CHARS = 60
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# msgspec: "Object missing required field `nat` - at `$.network`"; it stops at the first error
_FIELD = re.compile(
    r"Object (contains unknown|missing required) field `(.*?)`(?: - at `\$[^`]*`)?$", re.DOTALL
)
_KEY = re.compile(r"\s*(\w+)\s*=")
_TABLE = re.compile(r"\s*\[(\w+)\]")
_WHERE = re.compile(r" - at `\$((?:\.\w+)+)")


def explain_text(key: str, value: str, text: str) -> str:
    """Like `explain`, for a text that is not in the form that its key needs."""
    return _at(line_of(text, key.split(".")), f"{key} is {_shown(value)}; allowed: {FORMS[key]}")


def explain(error: ValueError, text: str) -> str:
    """The text after the file's name: the line, the key, its value, and the allowed values."""
    if isinstance(error, ValidationError):
        return _explain_value(str(error), text)
    place = _PLACE.search(str(error))
    line = place[1] if place and place[1] else text.rstrip().count("\n") + 1
    why = _PLACE.sub("", str(error))
    key = _key_in(text, int(line))
    if key in FORMS and why.startswith("Invalid value"):
        why = f"{key} has a value that TOML does not know; allowed: {FORMS[key]}"
    return _at(int(line), why)


def _key_in(text: str, line: int) -> str:
    """The key that a line gives a value, with its table; "" if the line gives none."""
    lines = text.split("\n")[:line]
    named = _KEY.match(lines[-1]) if lines else None
    tables = [found[1] for each in lines if (found := _TABLE.match(each))]
    if named is None:
        return ""
    return ".".join([*tables[-1:], named[1]])


def _explain_value(error: str, text: str) -> str:
    where = _WHERE.search(error)
    path = where[1].split(".")[1:] if where else []
    field = _FIELD.match(error)
    if field is None:
        key = ".".join(path)
        value = _value_at(tomllib.loads(text), path)
        return _at(line_of(text, path), f"{key} is {_shown(value)}; allowed: {FORMS[key]}")
    key = ".".join([*path, field[2]])
    if field[1] == "missing required":
        return _at(line_of(text, path), f"{key} is missing; allowed: {FORMS[key]}")
    nearest = get_close_matches(key, FORMS, n=1, cutoff=0)[0]
    why = f"{one_line(key, _SHOWN_CHARS)} is not a key; the nearest is {nearest}"
    return _at(line_of(text, [*path, field[2]]), why)


def _at(line: int, why: str) -> str:
    return f" line {line}: {why}" if line else f": {why}"


def _value_at(table: object, path: Sequence[str]) -> object:
    for part in path:
        table = table[part] if isinstance(table, Mapping) else None
    return table


def _shown(value: object) -> str:
    """A value as TOML writes it, or nearly so, and no longer than a line."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    return one_line(json.dumps(value, ensure_ascii=False, default=str), _SHOWN_CHARS)


def line_of(text: str, key: Sequence[str]) -> int:
    """The line, from 1, of the statement that gives a key its value; 0 if there is none.

    `key` is the path to it, such as `("network", "port")`. The text must be valid TOML. Its
    beginnings are parsed, line by line: the first one with the key ends at its value.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    begins = 1  # where the present statement begins: behind the last beginning that is valid
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # within a list or a text of several lines
        if _has(table, key):
            return begins
        begins = count + 1
    return 0


def _has(table: object, key: Sequence[str]) -> bool:
    for part in key:
        if not isinstance(table, Mapping) or part not in table:
            return False
        table = table[part]
    return True
