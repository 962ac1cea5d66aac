"""Two keys are one person only by the signatures of both: nobody can say it for somebody else."""

import pytest

from karma_sync.domain import limits
from karma_sync.domain.team.invitation import Answer
from karma_sync.domain.team.machine import Machine, TeamPolicy, claims_on, machine_keys
from karma_sync.domain.team.member import How, Removal
from karma_sync.errors import NotLeader, Unverified
from karma_sync.library.reader import author
from karma_sync.signing import PayloadType
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.models import MemberDocument, roster_of, team_of
from karma_sync.team.documents.term import order_of
from karma_sync.team.documents.verify import verify_member
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    NOW,
    NOW_MS,
    code_of,
    key_of,
    team_of_all,
)

DESK = "alice.desk"
TEAM = team_of_all(BOB, ALICE, DESK, CAROL)


def key(tag: str) -> str:
    return key_of(tag).public


def saying(tag: str, *machines: str, team: object = TEAM) -> MemberDocument:
    """The document of a member who calls these members machines of theirs."""
    named = TEAM.naming(key(tag), tuple(key(m) for m in machines))
    return member_document(named, code_of(tag), (), 7)


def signed(document: MemberDocument, by: str) -> bytes:
    return key_of(by).sign(PayloadType.MEMBER, document.model_dump_json().encode())


def test_both_must_say_it() -> None:
    one = TEAM.naming(key(ALICE), (key(DESK),))
    both = one.naming(key(DESK), (key(ALICE),))

    assert not one.are_one_person(key(ALICE), key(DESK))
    assert both.are_one_person(key(ALICE), key(DESK))
    assert both.are_one_person(key(DESK), key(ALICE))
    assert [m.tag for m in both.machines_of(key(ALICE))] == [DESK]
    assert author(DESK, BOB, [one]) == DESK
    assert author(DESK, BOB, [both]) == "alice"


def test_of_three_each_must_say_it_of_each() -> None:
    lap = "alice.lap"
    team = team_of_all(BOB, ALICE, DESK, lap)
    ring = {ALICE: (DESK, lap), DESK: (ALICE,), lap: (ALICE,)}
    for tag, named in ring.items():
        team = team.naming(key(tag), tuple(key(n) for n in named))

    assert team.are_one_person(key(ALICE), key(lap))
    assert not team.are_one_person(key(DESK), key(lap))
    assert author(lap, BOB, [team]) == lap


def test_nobody_can_say_it_for_somebody_else() -> None:
    said = saying(ALICE, DESK)
    for other in (BOB, DESK, MALLORY):
        with pytest.raises(Unverified, match="signature"):
            verify_member(signed(said, other), key(ALICE), TEAM, 0)
    with pytest.raises(Unverified, match="names another writer"):
        verify_member(signed(said, DESK), key(DESK), TEAM, 0)
    assert verify_member(signed(said, ALICE), key(ALICE), TEAM, 0).value.machines == (key(DESK),)


def test_a_leader_cannot_write_it_into_the_roster() -> None:
    """A roster carries a question at most, and what members said is kept as they said it."""
    team = TEAM.naming(key(ALICE), (key(DESK),))
    raw = roster_of(team.naming(key(DESK), (key(ALICE),)), 9)

    assert "machines" not in raw.model_dump_json()
    read = team_of(raw, order_of(raw), team)
    assert not read.are_one_person(key(ALICE), key(DESK))
    afresh = team_of(raw, order_of(raw), None)
    assert {m.machines for m in afresh.members} == {()}


def test_who_was_added_again_says_it_again() -> None:
    both = TEAM.naming(key(ALICE), (key(DESK),)).naming(key(DESK), (key(ALICE),))
    gone = both.leave(key(DESK), NOW_MS, retracted=False)
    again = gone.add(code_of(DESK), NOW_MS + 1)

    assert not gone.are_one_person(key(ALICE), key(DESK))
    assert not again.activate(key(DESK), ()).are_one_person(key(ALICE), key(DESK))


def test_a_document_names_no_more_than_the_limit() -> None:
    many = saying(ALICE).model_copy(update={"machines": (key(DESK),) * (limits.MACHINES + 1)})

    with pytest.raises(Unverified, match="machines"):
        verify_member(signed(many, ALICE), key(ALICE), TEAM, 0)


def test_my_machines_are_those_of_my_own_team_and_those_to_whom_i_said_yes() -> None:
    own = team_of_all(ALICE, DESK, name="alice-machines")
    yes = Machine(key=key(CAROL), tag=CAROL, device="d", at=NOW)
    no = Machine(key=key(DESK), tag=DESK, device="d", at=NOW, answer=Answer.DECLINED)

    def found(*said: Machine) -> set[str]:
        return set(machine_keys(key(ALICE), said, [own, TEAM], {own.id}))

    assert found() == {key(DESK)}
    assert found(yes) == {key(DESK), key(CAROL)}
    assert found(yes, no) == {key(CAROL)}


def test_a_claim_waits_until_it_is_answered() -> None:
    said = TEAM.naming(key(DESK), (key(ALICE),))
    asked = team_of_all(BOB, ALICE).add_machine(code_of(DESK), NOW_MS)

    def on_alice(team: object, mine: set[str], answered: set[str]) -> list[tuple[str, bool]]:
        found = claims_on(key(ALICE), [team], mine, answered)  # type: ignore[list-item] # a team
        return [(claim.member.tag, claim.by_leader) for claim in found]

    assert on_alice(TEAM, set(), set()) == []
    assert on_alice(said, set(), set()) == [(DESK, False)]
    assert on_alice(asked, set(), set()) == [(DESK, True)]
    assert on_alice(asked, {key(DESK)}, set()) == on_alice(said, set(), {key(DESK)}) == []
    assert claims_on(key(BOB), [asked], set(), set()) == []
    assert [c.member.tag for c in claims_on(key(DESK), [asked], set(), set())] == [ALICE]
    assert claims_on(key(ALICE), [said.dissolve()], set(), set()) == []


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("all", ("example.org/acme/web",), ()),
        ("ask", (), ("example.org/acme/web",)),
        ("web*", ("example.org/acme/web", "github.com/a/web2"), ("example.org/web/api",)),
        ("example.org/*", ("example.org/acme/web",), ("github.com/acme/web",)),
    ],
)
def test_a_policy_accepts_by_name(pattern: str, yes: tuple[str, ...], no: tuple[str, ...]) -> None:
    policy = TeamPolicy(team="t", accept=pattern)

    assert all(policy.accepts(each) for each in yes)
    assert not any(policy.accepts(each) for each in no)
    assert not policy.sends, "to send needs a direction that says so"


def test_what_a_removed_machine_sent_is_taken_back_by_the_others_of_its_person() -> None:
    """The roster keeps which machines those were when it was removed; nobody else's word counts."""
    both = TEAM.naming(key(ALICE), (key(DESK),)).naming(key(DESK), (key(ALICE),))
    desk = both.tagged(DESK)
    team = both.remove(desk, Removal(how=How.REMOVED, at=NOW_MS))
    gone = team.removed_tagged(DESK)

    assert gone.machines == (key(ALICE),)
    assert not team.is_retracted(gone)
    assert team.retract(gone).is_retracted(team.retract(gone).removed_tagged(DESK))
    by_alice = team.retracting(key(ALICE), gone)
    assert by_alice.is_retracted(gone)
    for other in (BOB, CAROL):
        with pytest.raises(NotLeader):
            team.retracting(key(other), gone)
        claimed = team.activate(key(other), (), (), (), ((gone.key, gone.incarnation),))
        assert not claimed.is_retracted(gone)
    later = team.activate(key(ALICE), (), (), (), ((gone.key, gone.incarnation + 1),))
    assert not later.is_retracted(gone), "of another time"


def test_the_roster_and_the_document_carry_it() -> None:
    both = TEAM.naming(key(ALICE), (key(DESK),)).naming(key(DESK), (key(ALICE),))
    team = both.leave(key(DESK), NOW_MS, retracted=False)
    gone = team.removed_tagged(DESK)
    listed = roster_of(team, 9)
    said = member_document(team.retracting(key(ALICE), gone), code_of(ALICE), (), 7)

    assert team_of(listed, order_of(listed), TEAM).removed_tagged(DESK).machines == (key(ALICE),)
    read = verify_member(signed(said, ALICE), key(ALICE), team, 0).value
    assert [(r.member, r.incarnation) for r in read.retracts] == [(key(DESK), 0)]
