"""Tells how much memory JSON will take before it is parsed: a few megabytes may become hundreds."""

import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def has_too_many_values(json: bytes, most: int) -> bool:
    """Whether JSON holds more than about `most` values; each takes up to 100 bytes of memory."""
    if len(json) <= most or _signs(json) <= most:
        return False
    return _signs(_STRING.sub(b"", json)) > most


def _signs(json: bytes) -> int:
    """How many commas and brackets it has: no value comes without one."""
    return sum(json.count(sign) for sign in (b",", b"[", b"{"))
