"""The signed links with which leadership passes on, and the notices to removed members.

A link begins a term. The links of a roster lead from the founder to its writer; each is verified
with the keys that the term before names. docs/format.md describes their JSON.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.succession import RosterOrder, TermLink, rank_of
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, SigningKey, open_document
from karma_sync.team.documents.models import Count, Key, Roster, TeamName


class Term(PeerModel):
    """The beginning of a term (payload type TERM): its leader, and who may take over from it.

    `writer` is the leader of the term before, or one of its successors; a successor makes itself
    the leader.
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    term: Annotated[int, Field(ge=2, le=limits.TERMS + 1)]
    leader: Key
    successors: Annotated[tuple[Key, ...], Field(max_length=limits.SUCCESSORS)] = ()


class RemovalNotice(PeerModel):
    """The notice of the leader to a removed member (payload type REMOVAL)."""

    format: Literal[1] = 1
    team: str
    writer: Key
    member: Key
    incarnation: Count
    at: Count
    on_removal: AfterRemoval


class NoticeFile(PeerModel):
    """The file in a removal folder: the notice, and the links that prove who leads.

    The file itself is not signed; each envelope in it is.
    """

    format: Literal[1] = 1
    founder: Key
    founded_as: TeamName
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    chain: Annotated[tuple[str, ...], Field(max_length=limits.TERMS)] = ()
    notice: str


class Acknowledgement(PeerModel):
    """A removed member's statement that it has the notice (payload type ACKNOWLEDGEMENT).

    `last` is the version of its last document, which lies beside it; 0 if it signed none.
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    incarnation: Count
    last: Count = 0


def links_of(team: str, founder: str, chain: Sequence[str]) -> tuple[TermLink, ...]:
    """The verified links of a chain of envelopes, from the founder on.

    Raises:
        Unverified: a link is not signed by the leader of the term before, or by one of its
            successors for itself.
    """
    return _links(team, founder, tuple(chain))


@lru_cache(maxsize=256)
def _links(team: str, founder: str, chain: tuple[str, ...]) -> tuple[TermLink, ...]:
    if not chain:
        return ()
    before = _links(team, founder, chain[:-1])
    leader, successors = (before[-1].leader, before[-1].successors) if before else (founder, ())
    return (*before, _link(team, chain[-1], len(before) + 2, leader, successors))


def _link(team: str, envelope: str, term: int, leader: str, successors: Sequence[str]) -> TermLink:
    raw = envelope.encode()
    for writer in (leader, *successors):
        try:
            found = open_document(raw, writer, PayloadType.TERM, Term)
        except Unverified as error:
            if error.code == "3-signature":
                continue  # one of the others may have signed it
            raise
        rank = rank_of(found.writer, leader, successors)
        if found.writer != writer or rank is None:
            raise Unverified("4-signer", f"the link names another writer than {writer[:8]}")
        if rank and found.leader != writer:
            raise Unverified("4-signer", "a successor can only take over for itself")
        if found.team != team:
            raise Unverified("5-team", "a link belongs to another team")
        if found.term != term:
            raise Unverified("6-newer", f"a link begins term {found.term}, not {term}")
        return TermLink(
            term=term,
            rank=rank,
            writer=writer,
            leader=found.leader,
            successors=found.successors,
            digest=hashlib.sha256(raw).hexdigest(),
        )
    raise Unverified("4-signer", f"nobody whom term {term - 1} names signed the next one")


def order_of(roster: Roster) -> RosterOrder:
    """The order of a roster, by which its age is judged.

    Raises:
        Unverified: its links do not verify, or do not lead to its writer.
    """
    before = links_of(roster.team, roster.founder, roster.chain)
    leader = before[-1].leader if before else roster.founder
    if roster.writer != leader:
        raise Unverified("4-signer", f"key {roster.writer[:8]} does not lead {roster.name}")
    links = links_of(roster.team, roster.founder, roster.links)
    if roster.handover and links[-1].rank:
        raise Unverified("4-signer", "the roster hands over with a link of a successor")
    return RosterOrder(links=links, handover=bool(roster.handover), version=roster.version)


def begin_term(
    key: SigningKey, team: Team, leader: str, successors: Sequence[str], handed_by: str = ""
) -> Team:
    """The team in the term that `key` begins with a signed link.

    `handed_by` is my key if I pass leadership on and sign the roster that says so.

    Raises:
        Unverified: the term in force does not allow this key to sign such a link.
    """
    link = Term(
        team=team.id,
        writer=key.public,
        term=team.term + 1,
        leader=leader,
        successors=tuple(successors),
    )
    envelope = key.sign(PayloadType.TERM, link.model_dump_json().encode()).decode()
    links = links_of(team.id, team.founder, (*team.chain, envelope))
    return team.led_on(links[-1], envelope, handed_by)


def notice_of(key: SigningKey, team: Team, gone: Member, at: int) -> str:
    """The notice to a removed member, signed by the leader."""
    notice = RemovalNotice(
        team=team.id,
        writer=key.public,
        member=gone.key,
        incarnation=gone.incarnation,
        at=at,
        on_removal=team.on_removal,
    )
    return key.sign(PayloadType.REMOVAL, notice.model_dump_json().encode()).decode()
