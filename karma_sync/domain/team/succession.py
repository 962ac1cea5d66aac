"""Orders the rosters of one team: by the terms of its leaders, then by version.

A term begins with a signed link. The leader signs one to pass leadership on or to change the
successors; a successor signs one to take over. The links of a roster lead from the founder to the
leader. Pure: the signatures are checked in `team/documents/term.py`.
"""

from collections.abc import Sequence

from karma_sync.domain import limits
from karma_sync.domain.value import Value


class TermLink(Value, frozen=True, kw_only=True):
    """The beginning of one term, verified: who leads in it, and who may take over.

    `rank` is 0 for a link that the leader signed; it is higher for a take-over, the higher the
    earlier the successor was named. `digest` is the hash of the envelope.
    """

    term: int
    rank: int
    writer: str
    leader: str
    successors: tuple[str, ...]
    digest: str


class RosterOrder(Value, frozen=True, kw_only=True):
    """The facts that decide which of two rosters of one team is newer.

    The last link of a `handover` was signed with the roster itself: the writer passes leadership
    on, and the new leader has not signed a roster yet.
    """

    links: tuple[TermLink, ...]
    handover: bool
    version: int

    @property
    def title(self) -> str:
        """The order in words for people."""
        return f"{self.version} of term {len(self.links) + 1}"

    def is_newer_than(self, known: "RosterOrder", mine: str = "") -> bool:
        """Whether a roster with this order replaces the known one; `mine` is my own key.

        The first term in which the links differ decides, and not their number: a former leader
        could sign any number of terms. In that term a take-over beats what the leader signed, and
        an earlier successor a later one. Of two links of one leader the known one stays, unless I
        signed it: then I lost my database, and the others follow the other one.
        """
        for new, old in zip(self.links, known.links, strict=False):
            if new.digest != old.digest:
                return new.rank > old.rank if new.rank != old.rank else old.writer == mine
        if len(self.links) != len(known.links):
            return len(self.links) > len(known.links)
        return (not self.handover, self.version) > (not known.handover, known.version)


def rank_of(writer: str, leader: str, successors: Sequence[str]) -> int | None:
    """The rank of a link that `writer` signs after a term; None if it may not sign one."""
    if writer == leader:
        return 0
    if writer in successors:
        return limits.SUCCESSORS - successors.index(writer)
    return None
