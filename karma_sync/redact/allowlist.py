"""What the person says is no secret: a list of values and patterns, from a file of their own."""

from dataclasses import dataclass
from functools import cached_property

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.matching.patterns import Pattern, compiled

_PATTERN = "re:"
_MOST = 10_000
# What no entry for a single value lets through: one that does would let everything through.
_PROBES = (b"", b"Zq7-never.a:value/of=anybody's+0c4e")


@dataclass(frozen=True)
class AllowList:
    """Values that are never cut, exactly as they stand; patterns (RE2) of whole values."""

    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __call__(self, secret: bytes) -> bool:
        """Whether this is no secret."""
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
    """One entry a line: a value as it stands, or `re:` and a pattern; `#` begins a comment.

    Raises:
        BadInput: a line cannot be used; it is named by its number, not by what it says.
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
            raise BadInput(f"{name}, line {number}: this pattern would let everything through")
        patterns.append(entry.removeprefix(_PATTERN))
    if len(values) + len(patterns) > _MOST:
        raise BadInput(f"{name} has more than {_MOST} entries")
    return AllowList(tuple(sorted(set(values))), tuple(patterns))


def _whole(pattern: str) -> Pattern:
    return compiled(rf"\A(?:{pattern})\z", "in the allowlist", utf8=True)
