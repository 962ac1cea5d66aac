"""Bounds the work on one text, so that no text can delay everything that a machine sends.

RE2 takes linear time for one search, but a text may ask for many searches that each pass over the
same bytes again. Every search reports here how many bytes it passed over.
"""

from karma_sync.redact.matching.judged_value import JudgedValue

# How many times a text may be passed over before it counts as made to be slow, and bytes that
# every text may have besides: a short text is searched for everything.
MOST_TIMES = 250
SPARE = 1 << 18
TIMES_ANYWAY = 8  # more for each rule that is tried on all of the text, at all levels of escapes


# A match of a rule: its index, the byte before it, the match, and the byte after it.
MatchKey = tuple[int, bytes, bytes, bytes]


class TooMuchWork(Exception):  # noqa: N818  a signal inside the redactor, never an error for people
    """A text asks for more searches than any honest text does."""


class Effort:
    """The work that one text may still ask for; `scanned` counts the bytes searched so far.

    `values` are those that were judged: several rules find the same value. `matches` has start and
    end of the candidate in a match, counted from the match's start, and the candidate's name.
    """

    def __init__(self, size: int, anyway: int = 0) -> None:
        """`size` is that of the text, `anyway` the number of rules that are tried on all of it."""
        self.scanned = 0
        self.values: dict[bytes, JudgedValue] = {}
        self.matches: dict[MatchKey, tuple[int, int, bytes]] = {}
        self._most = (MOST_TIMES + anyway * TIMES_ANYWAY) * size + SPARE

    def spend(self, size: int) -> None:
        """Report that a search passed over so many bytes.

        Raises:
            TooMuchWork: that was more than the text may ask for.
        """
        self.scanned += size
        if self.scanned > self._most:
            raise TooMuchWork
