"""The names that the patterns of a .stignore keep out."""

import re
from dataclasses import dataclass
from functools import lru_cache

_PREFIX = re.compile(r"!|\(\?i\)|\(\?d\)")
_TOKEN = re.compile(r"\*\*|\*|\?|\[[^\]]*\]|\{[^}]*\}|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class _Pattern:
    """One pattern; what it matches is kept out, or in if it began with an exclamation mark."""

    match: re.Pattern[str]
    keeps_out: bool


class Ignores:
    """The patterns of one folder; the first that matches a name decides, and without one it is in.

    Two are equal if they were read from the same text.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._patterns = [
            pattern
            for line in dict.fromkeys(line.strip() for line in text.splitlines())
            if line and not line.startswith("//")
            for pattern in _patterns(line)
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ignores) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def has_exceptions(self) -> bool:
        """Whether something below a directory that is kept out might be in."""
        return not all(pattern.keeps_out for pattern in self._patterns)

    def match(self, name: str) -> bool:
        """Whether this name, relative to the folder, is kept out."""
        found = (p.keeps_out for p in self._patterns if p.match.fullmatch(name))
        return next(found, False)


@lru_cache(maxsize=4096)  # every scan and every pull reads the same few lines
def _patterns(line: str) -> tuple[_Pattern, ...]:
    """A line stands for what it names, and for all that lies below."""
    keeps_out, flags = True, re.DOTALL
    while prefix := _PREFIX.match(line):
        line = line[prefix.end() :]
        keeps_out = keeps_out and prefix[0] != "!"
        flags |= re.IGNORECASE if prefix[0] == "(?i)" else 0
    below = line + ("**" if line.endswith("/") else "/**")
    lines = [line] if line.endswith("/**") else [below] if line.endswith("/") else [line, below]
    places = [place for each in lines for place in _places(each)]
    return tuple(_Pattern(re.compile(_regex(place), flags), keeps_out) for place in places)


def _places(line: str) -> list[str]:
    """A leading slash ties a pattern to the folder's root; any other matches at every depth."""
    if line.startswith("/"):
        return [line[1:]]
    return [line, line[3:]] if line.startswith("**/") else [line, f"**/{line}"]


def _regex(glob: str) -> str:
    return "".join(_token(token) for token in _TOKEN.findall(glob))


def _token(token: str) -> str:
    if token == "**":
        return ".*"
    if token in {"*", "?"}:
        return "[^/]" + ("*" if token == "*" else "")
    if len(token) > 1 and token[0] == "[":
        return token.replace("[!", "[^", 1)
    if len(token) > 1 and token[0] == "{":
        return "(?:" + "|".join(_regex(part) for part in token[1:-1].split(",")) + ")"
    return re.escape(token[-1])
