"""Reads the person's allowlist: values and patterns that are no secrets, from their own file.

The file's form is described in docs/commands.md.
"""

from dataclasses import dataclass
from functools import cached_property

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.matching.patterns import Pattern, compiled

_PATTERN = "re:"
_MOST = 10_000  # entries
# Values that no reasonable pattern exempts: one that does would exempt everything.
_PROBES = (b"", b"Zq7-never.a:value/of=anybody's+0c4e")


@dataclass(frozen=True)
class AllowList:
    """Exempts values from redaction: exact values, and RE2 patterns of whole values."""

    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __call__(self, secret: bytes) -> bool:
        """Whether this value is exempt."""
        if not self.values and not self.patterns:  # asked for every value that is found
            return False
        if secret in self._encoded:
            return True
        return any(pattern.match(secret) is not None for pattern in self._compiled)

    @cached_property
    def _encoded(self) -> frozenset[bytes]:
        return frozenset(value.encode() for value in self.values)

    @cached_property
    def _compiled(self) -> list[Pattern]:
        return [_whole(pattern) for pattern in self.patterns]


NOTHING_ALLOWED = AllowList()


def read_allowlist(text: str, name: str) -> AllowList:
    """Read an allowlist: in each line an exact value, or `re:` and a pattern; `#` begins a comment.

    Raises:
        BadInput: a line cannot be used; the error gives its number, and never quotes it.
    """
    values, patterns = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if not entry.startswith(_PATTERN):
            values.append(entry)
            continue
        try:
            pattern = _whole(entry.removeprefix(_PATTERN))
        except RedactionFailed as error:
            raise BadInput(f"{name}, line {number}: {error}") from None
        if any(pattern.match(probe) is not None for probe in _PROBES):
            raise BadInput(f"{name}, line {number}: this pattern would exempt every value")
        patterns.append(entry.removeprefix(_PATTERN))
    if len(values) + len(patterns) > _MOST:
        raise BadInput(f"{name} has more than {_MOST} entries")
    return AllowList(tuple(sorted(set(values))), tuple(patterns))


def _whole(pattern: str) -> Pattern:
    return compiled(rf"\A(?:{pattern})\z", "in the allowlist", utf8=True)
