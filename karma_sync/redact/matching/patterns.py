"""Wraps google-re2: patterns over bytes, with types, and with errors that name the rule.

RE2 matches in linear time, so no pattern, also none of a person's own, can hang the redactor.
"""

import re
from collections.abc import Sequence

import re2

from karma_sync.errors import RedactionFailed

# Bytes for RE2's automata: with the default of 8 MiB the gate rebuilds its states and is slow.
MEMORY = 64 << 20
# For those of the gate: where fewer fit, it rebuilds them on real transcripts, and is seven times
# slower. It uses what the text asks for, some 40 MiB.
GATE_MEMORY = 384 << 20


# Start and end of a match and of each of its groups; (-1, -1) for a group that did not match.
Spans = tuple[tuple[int, int], ...]
_NOTHING = (-1, -1)


class Pattern:
    """A compiled pattern over bytes.

    It calls the binding below google-re2's `re`-like objects: these cost more than the search, and
    a text with many secrets asks for tens of thousands of searches. `find` is public where they
    are not; requirements-dev.lock pins the version, and every test of a rule would notice.
    """

    def __init__(self, pattern: bytes, options: re2.Options) -> None:
        public = re2.compile(pattern, options)
        self.groups: int = public.groups
        self.groupindex: dict[bytes, int] = public.groupindex
        self._match = public._regexp.Match
        self._anywhere, self._here = re2._Anchor.UNANCHORED, re2._Anchor.ANCHOR_START

    def search(self, text: bytes, pos: int = 0, endpos: int | None = None) -> Spans | None:
        """The leftmost match in text[pos:endpos]; the text around it counts for `^`, `$`, `\\b`."""
        found: Spans = self._match(
            self._anywhere, text, pos, len(text) if endpos is None else endpos
        )
        return None if found[0] == _NOTHING else found

    def match(self, text: bytes, pos: int = 0) -> Spans | None:
        """The match that begins at `pos`."""
        found: Spans = self._match(self._here, text, pos, len(text))
        return None if found[0] == _NOTHING else found


class PatternSet:
    """Patterns that are tested together; it calls the binding, as `Pattern` does."""

    def __init__(self, patterns: Sequence[bytes], options: re2.Options) -> None:
        made = re2.Set.MatchSet(options)
        for pattern in patterns:
            made.Add(pattern)
        made.Compile()
        self._match = made._set.Match

    def match(self, text: bytes) -> list[int]:
        """The indexes of the patterns that match at the beginning of `text`."""
        found: list[int] = self._match(text)
        return found


# How often a bounded pattern repeats one of many characters, a group, a group that repeats one of
# many characters itself. RE2 allows 1,000 of what is nested.
_MOST_CHARACTERS, _MOST_GROUPS, _MOST_NESTED = 40, 40, 8
_PIECE = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|x\{[^}]*\}|[pP]\{[^}]*\}|.)|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]"
    r"|\(\?[a-z]+\)|\((?:\?P<\w+>|\?[a-z-]*:)?|\)|[*+]|.",
    re.DOTALL,
)
_OF_MANY = re.compile(r"\[\^.*|\[.*[A-Za-z]-[A-Za-z].*|\\[SDW]|\.", re.DOTALL)


def bounded(pattern: str) -> str:
    """The pattern with a limit wherever `*` or `+` repeats one of many characters.

    RE2 reads on for as long as an earlier match is still possible. If whatever begins the pattern
    may stand in the repetition, many beginnings are open at once, and each search reads it again.
    Where it cannot stand there, write `{0,}` or `{1,}`: these stay, because a limit costs a state
    of the automaton for each step.
    """
    made: list[str] = []
    # for each open group: whether one of many characters stands in it, and repeats in it
    wide, nested = [False], [False]
    last, inner_wide, inner_nested = "", False, False
    for piece in _PIECE.findall(pattern):
        if piece in {"*", "+"}:
            least = int(piece == "+")
            if last == ")" and inner_wide:
                most = _MOST_NESTED if inner_nested else _MOST_GROUPS
            elif _OF_MANY.fullmatch(last):
                most = _MOST_CHARACTERS
            else:
                made.append(piece)
                continue
            nested[-1] = True
            made.append(f"{{{least},{most}}}")
            continue
        made.append(piece)
        if piece.startswith("(") and not re.fullmatch(r"\(\?[a-z]+\)", piece):
            wide.append(False)
            nested.append(False)
        elif piece == ")":
            inner_wide, inner_nested = wide.pop(), nested.pop()
            wide[-1], nested[-1] = wide[-1] or inner_wide, nested[-1] or inner_nested
        elif _OF_MANY.fullmatch(piece):
            wide[-1] = True
        last = piece
    return "".join(made)


def compiled(pattern: str, whose: str, utf8: bool = False, memory: int = MEMORY) -> Pattern:
    """Compile a pattern over bytes, or over characters with `utf8`; `whose` names its rule.

    Raises:
        RedactionFailed: it is not a valid RE2 pattern.
    """
    try:
        return Pattern(pattern.encode(), _options(utf8, memory))
    except re2.error as error:
        raise RedactionFailed(f"rule {whose}: not a valid RE2 pattern: {error}") from error


def compiled_set(patterns: Sequence[str]) -> PatternSet:
    """Compile patterns into one set that tests which of them match where a text begins."""
    return PatternSet([pattern.encode() for pattern in patterns], _options())


def _options(utf8: bool = False, memory: int = MEMORY) -> re2.Options:
    options = re2.Options()
    encodings = re2.Options.Encoding
    options.encoding = encodings.UTF8 if utf8 else encodings.LATIN1
    options.max_mem = memory
    options.log_errors = False
    return options
