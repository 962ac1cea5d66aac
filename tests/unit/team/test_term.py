"""The leader of a team: the links from the founder on, their order, and links nobody may sign."""

import json
from typing import Any

import pytest

from karma_sync.domain import limits
from karma_sync.domain.team.succession import RosterOrder
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.team.documents.models import roster_of, team_of
from karma_sync.team.documents.term import Term, begin_term, links_of, order_of
from karma_sync.team.documents.verify import verify_roster
from tests.support.builders import ALICE, BOB, CAROL, MALLORY, key_of, team_of_all

TEAM = team_of_all(ALICE, BOB, CAROL)
A, B, C, M = (key_of(tag) for tag in (ALICE, BOB, CAROL, MALLORY))
NAMED = begin_term(A, TEAM, A.public, (B.public, C.public))
"""Alice leads; Bob may take over, and Carol after him."""


def order(team: Team, version: int = 5) -> RosterOrder:
    return order_of(roster_of(team, version))


def signed(team: Team, signer: SigningKey, version: int = 5, **changes: Any) -> bytes:
    fields = roster_of(team, version).to_fields() | changes
    return signer.sign(PayloadType.ROSTER, json.dumps(fields).encode())


def link(signer: SigningKey, **changes: Any) -> str:
    """A link after the term in which Bob and Carol may take over, with changes."""
    fields = {"team": TEAM.id, "writer": signer.public, "term": 3, "leader": signer.public}
    body = Term.from_fields(fields).to_fields() | changes
    return signer.sign(PayloadType.TERM, json.dumps(body).encode()).decode()


def refusal(chain: tuple[str, ...]) -> str:
    try:
        links_of(TEAM.id, TEAM.founder, chain)
    except Unverified as refused:
        return refused.code
    return "adopted"


def test_a_leader_passes_leadership_on_and_the_new_one_signs_from_then_on() -> None:
    handed = begin_term(A, TEAM, B.public, (), handed_by=A.public)
    last = verify_roster(signed(handed, A), A.public, order(TEAM)).value
    assert team_of(last, order_of(last), TEAM) == handed
    assert (handed.leader, handed.term, handed.publisher) == (B.public, 2, A.public)

    led = handed.changed(handed_by="")
    first = verify_roster(signed(led, B, version=1), B.public, order(handed)).value
    assert team_of(first, order_of(first), handed).leader == B.public
    with pytest.raises(Unverified, match="must be above"):
        verify_roster(signed(handed, A, version=10**12), A.public, order(led))
    with pytest.raises(Unverified, match="does not lead"):
        verify_roster(signed(led, A, writer=A.public), A.public, None)


def test_a_successor_takes_over_and_the_returning_leader_is_beaten_whatever_it_signed() -> None:
    taken = begin_term(B, NAMED, B.public, ())
    assert (taken.leader, taken.term) == (B.public, 3)

    stolen = begin_term(A, NAMED, M.public, ())
    for _ in range(5):
        stolen = begin_term(M, stolen, M.public, ())
    assert order(taken, 1).is_newer_than(order(NAMED, 10**12))
    assert order(taken, 1).is_newer_than(order(stolen, 10**12))
    assert not order(stolen, 10**12).is_newer_than(order(taken, 1))


def test_the_successor_named_earlier_beats_the_later_one() -> None:
    first, second = (begin_term(key, NAMED, key.public, ()) for key in (B, C))

    assert order(first).is_newer_than(order(second))
    assert not order(second, 10**12).is_newer_than(order(first))


def test_of_two_links_of_one_leader_the_known_one_stays_but_for_the_leader_itself() -> None:
    one, other = (begin_term(A, TEAM, key.public, ()) for key in (B, C))

    assert not order(other, 9).is_newer_than(order(one), mine=B.public)
    assert not order(one, 9).is_newer_than(order(other), mine=B.public)
    assert order(other).is_newer_than(order(one), mine=A.public)


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (link(B), "adopted"),
        (link(C), "adopted"),
        (link(A), "adopted"),
        (link(A, leader=M.public), "adopted"),
        (link(M), "4-signer"),  # a take-over by somebody whom the term does not name
        (link(M, writer=B.public, leader=B.public), "4-signer"),
        (link(B, writer=C.public, leader=C.public), "4-signer"),
        (link(B, leader=M.public), "4-signer"),  # a successor makes somebody else the leader
        (link(A, writer=B.public), "4-signer"),
        (link(A, team="x" * 26), "5-team"),
        (link(A, term=4), "6-newer"),
        (link(A, term=2), "6-newer"),
        (link(A, leader="../.."), "3-form"),
        (link(A, successors=[B.public] * (limits.SUCCESSORS + 1)), "3-form"),
        (link(A).replace('"payload":', '"payload":"eA==","payload":'), "3-envelope"),
        (signed(NAMED, A).decode(), "3-type"),
        ("", "3-envelope"),
        ("x" * (limits.DOCUMENT_BYTES + 1), "2-size"),
    ],
)
def test_only_whom_the_term_names_begins_the_next_one(forged: str, code: str) -> None:
    assert refusal((*NAMED.chain, forged)) == code


def test_a_successor_of_an_earlier_term_counts_only_from_there() -> None:
    later = begin_term(A, NAMED, A.public, (C.public,))
    forged = link(B, term=4)

    assert refusal((*later.chain, forged)) == "4-signer"


def test_a_roster_needs_links_that_lead_to_its_writer() -> None:
    taken = begin_term(B, NAMED, B.public, ())
    fields: dict[str, Any] = {"chain": list(NAMED.chain), "writer": B.public}
    for raw, place in (
        (signed(taken, B, **fields), B),  # the links stop at Alice
        (signed(NAMED, M, writer=M.public), M),
        (signed(NAMED, A, handover=link(B)), A),  # a take-over is no handover
        (signed(taken, B, members=roster_of(taken, 5).to_fields()["members"][:1]), B),
    ):
        with pytest.raises(Unverified) as refused:
            verify_roster(raw, place.public, None)
        assert refused.value.code == "4-signer"
