"""News about teams, answers and requests: each change once, under the word for what happened."""

from datetime import timedelta

import pytest
from hypothesis import given

from karma_sync.domain.events import EventType
from karma_sync.domain.session.selection import Limits, Unshared, Whose
from karma_sync.domain.team.changes import Fact, Known, facts, news
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing
from karma_sync.domain.team.member import How, Removal
from karma_sync.domain.team.subscription import MOVES, USUAL, Status, Subscription
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    PROJECT,
    answer,
    code_of,
    device_of,
    examples,
    key_of,
    member_of,
    team_of_all,
)
from tests.support.worlds import ME, worlds

TEAM = team_of_all(BOB, ALICE)
NAMES = {
    "accept": "accepted",
    "pause": "paused",
    "resume": "resumed",
    "change": "changed",
    "decline": "declined",
    "reopen": "reopened",
}


def told(before: Known, after: Known) -> list[tuple[str, str, str]]:
    return [(n.what, n.who, n.why) for n in news(facts(before), facts(after))]


def known(*answers: Subscription, **more: object) -> Known:
    return Known(me=ALICE, answers=answers, **({"teams": (TEAM,)} | more))  # type: ignore[arg-type] # tests name fields


@pytest.mark.parametrize(("status", "verb"), MOVES)
@pytest.mark.parametrize("who", [ALICE, BOB])
def test_every_move_is_news_under_its_own_word(status: Status, verb: str, who: str) -> None:
    before = answer(TEAM, who, status)
    match verb:
        case "accept":
            after = before.accept(1, Direction.BOTH, USUAL, Limits())
        case "change":
            after = before.change(Direction.SEND, USUAL)
        case _:
            after = getattr(before, verb)()
    way = {"change": ": send", "decline": "", "reopen": ""}.get(verb, ": both")

    assert told(known(before), known(after)) == [(NAMES[verb], who, f"{PROJECT} in backend{way}")]


def test_an_offer_is_not_reported_as_an_answer() -> None:
    assert told(known(), known(answer(TEAM, BOB, Status.OFFERED))) == []


def test_a_decline_that_a_peer_no_longer_signs_was_reopened() -> None:
    declined = known(answer(TEAM, BOB, Status.DECLINED))
    unshared = Known(me=ALICE, teams=(TEAM.changed(projects=()),))

    assert told(declined, known()) == [("reopened", BOB, f"{PROJECT} in backend")]
    assert [what for what, *_ in told(declined, unshared)] == ["unshared"]
    assert told(known(answer(TEAM, BOB)), known()) == []


def test_another_limit_is_a_change() -> None:
    mine = answer(TEAM, ALICE)
    limited = mine.change(mine.direction, mine.content, Limits(since=NOW))

    assert told(known(mine), known(limited)) == [
        ("changed", ALICE, f"{PROJECT} in backend: both, since 2026-05-31 12:00 UTC")
    ]


def test_news_report_a_team_then_its_members_then_its_projects() -> None:
    nothing = Known(me=ALICE, teams=())

    assert told(nothing, known()) == [
        ("joined", ALICE, "team backend"),
        ("joined", BOB, "team backend"),
        ("shared", BOB, f"{PROJECT} with backend"),
    ]


@pytest.mark.parametrize(
    "former", [(), ((TEAM.id, "backend", "removed"),)], ids=["gone", "removed"]
)
def test_of_a_team_in_which_i_am_no_longer_nothing_but_that_is_news(
    former: tuple[tuple[str, str, str], ...],
) -> None:
    """The team's members and projects stay in it."""
    alice, bob = (key_of(tag).public for tag in (ALICE, BOB))
    team = TEAM.naming(alice, (bob,)).naming(bob, (alice,))
    declined = answer(team, BOB, Status.DECLINED)
    before = known(declined, teams=(team,))
    assert "machine" in {key.partition("/")[0] for key in facts(before)}
    how = "removed" if former else "left"

    assert told(before, Known(me=ALICE, teams=(), former=former)) == [(how, ALICE, "team backend")]


def test_a_member_is_added_and_then_joins() -> None:
    mine = team_of_all(ALICE, projects=())
    with_bob = mine.add(code_of(BOB), 1)
    seen = with_bob.activate(member_of(BOB).key, ())
    stages = [Known(me=ALICE, teams=teams) for teams in ((), (mine,), (with_bob,), (seen,))]

    assert [told(a, b) for a, b in zip(stages, stages[1:], strict=False)] == [
        [("founded", ALICE, "team backend")],
        [("added", BOB, "team backend")],
        [("joined", BOB, "team backend")],
    ]


def test_news_report_a_global_pause_with_its_end() -> None:
    for until, why in {"": "everything", "2026-05-31": "everything, until 2026-05-31"}.items():
        assert told(known(), known(paused_until=until)) == [("paused", ALICE, why)]
        assert told(known(paused_until=until), known()) == [("resumed", ALICE, "everything")]


def test_news_report_requests_and_their_answers() -> None:
    contact = Contact(device=device_of(CAROL), name="bob?", seen=NOW)
    member = contact.changed(device=device_of(BOB))
    invitation = Invitation(folder="ks-m-x", device=contact.device, seen=NOW)
    ready = invitation.changed(team="t", team_name="t1", leader_tag=BOB)
    declined = ready.changed(answer=Answer.DECLINED)
    pairing = Pairing(
        key=key_of(BOB).public, tag=BOB, device=contact.device, addresses=(), made=NOW
    )
    later = pairing.changed(made=NOW + timedelta(1))

    assert told(known(), known(contacts=(contact,))) == [
        ("contact", "bob?", "asks to connect: karma-sync inbox")
    ]
    assert told(known(), known(contacts=(member,))) == [], "who is in a team asks for nothing"
    refused = member.changed(answer=Answer.DECLINED)
    apart = Known(me=ALICE, teams=(), contacts=(refused,))
    assert [what for what, *_ in told(known(contacts=(refused,)), apart)] == ["left"]
    assert told(known(), known(invitations=(invitation,))) == [], "nothing was verified yet"
    assert told(known(), known(invitations=(ready,))) == [
        ("invitation", BOB, "invites you to team t1: karma-sync inbox")
    ]
    assert told(known(invitations=(ready,)), known(invitations=(declined,))) == [
        ("invitation declined", BOB, "invites you to team t1")
    ]
    assert [what for what, *_ in told(known(), known(pairings=(pairing,)))] == ["paired"]
    assert told(known(pairings=(pairing,)), known(pairings=(later,))) == []
    assert told(known(pairings=(pairing,)), known()) == [
        ("unpaired", BOB, "it is in no team with you any more")
    ]


def test_what_is_taken_back_and_shared_again_is_news() -> None:
    taken = [
        Unshared(whose=Whose.SESSION, name="s1"),
        Unshared(whose=Whose.AGENT, name="claude-code/reviewer"),
        Unshared(whose=Whose.OBSERVATION, name="o1"),
    ]
    after = known(unshared=tuple(taken))

    assert told(known(), after) == [
        ("session unshared", ALICE, "all of claude-code/reviewer"),
        ("session unshared", ALICE, "s1"),
        ("observation unshared", ALICE, "o1"),
    ]
    lifted = known(unshared=tuple(each.changed(lifted=True) for each in taken))
    assert [what for what, *_ in told(after, lifted)] == [
        "session shared",
        "session shared",
        "observation shared",
    ]


def test_who_leaves_and_who_is_removed_are_two_kinds_of_news() -> None:
    bob = key_of(BOB).public
    mine = team_of_all(ALICE, BOB)
    left = mine.leave(bob, 1, retracted=True)
    removed = mine.remove(mine.members[1], Removal(how=How.REMOVED, at=1))
    before, *afters = (Known(me=ALICE, teams=(t,)) for t in (mine, left, removed))

    assert [told(before, after) for after in afters] == [
        [("left", BOB, "team backend")],
        [("removed", BOB, "team backend")],
    ]
    actors = [news(facts(before), facts(after))[0].actor for after in afters]
    assert actors == [BOB, ALICE]
    nothing = Known(me=ALICE, teams=())
    assert "removed" not in [what for what, *_ in told(nothing, afters[1])], "known from the start"


def test_a_team_that_removed_me_is_not_one_that_i_left() -> None:
    after = Known(me=ALICE, teams=(), former=((TEAM.id, "backend", "removed"),))

    assert told(known(), after)[0] == ("removed", ALICE, "team backend")


def test_leadership_names_and_ends_of_a_team_are_news() -> None:
    named = TEAM.changed(name="platform")
    alice = key_of(ALICE).public
    led = TEAM.changed(leader=alice, term=2)

    assert told(known(), known(teams=(named,))) == [("renamed", BOB, "team platform")]
    assert told(known(), known(teams=(led,)))[0] == (
        "leadership transferred",
        ALICE,
        "team backend",
    )
    assert told(known(), known(teams=(led.changed(rank=8),)))[0][0] == "leadership taken over"
    assert told(known(), known(teams=(TEAM.dissolve(),))) == [("dissolved", BOB, "team backend")]


def test_who_renames_the_team_of_a_guest_is_no_guest() -> None:
    mine = team_of_all(BOB).add(code_of(ALICE), 1, (PROJECT,)).activate(key_of(ALICE).public, ())
    named = mine.changed(name="platform")

    assert told(known(teams=(mine,)), known(teams=(named,))) == [("renamed", BOB, "team platform")]


@pytest.mark.parametrize("name", ["backend", "platform"])
def test_who_leads_now_did_not_do_again_what_was_done_before(name: str) -> None:
    before = TEAM.add(code_of(CAROL), 1)
    led = before.changed(leader=key_of(ALICE).public, term=2, name=name)
    ended = [known(teams=(team.dissolve(),)) for team in (before, led)]
    renamed = [] if name == "backend" else [("renamed", ALICE, "team platform")]
    transferred = ("leadership transferred", ALICE, f"team {name}")

    assert told(known(teams=(before,)), known(teams=(led,))) == [*renamed, transferred]
    assert told(*ended) == [*renamed, transferred]


def test_a_proposal_is_news_until_the_project_is_shared() -> None:
    proposed = TEAM.proposing(key_of(ALICE).public, ("h/o/new",))
    shared = proposed.share("h/o/new", 1)

    assert told(known(), known(teams=(proposed,))) == [("proposed", ALICE, "h/o/new for backend")]
    assert [what for what, *_ in told(known(teams=(proposed,)), known(teams=(shared,)))] == [
        "shared"
    ]


@given(worlds(), worlds())
@examples(50)
def test_an_unchanged_fact_is_not_news(one: object, other: object) -> None:
    def facts_of(world: object) -> dict[str, Fact]:
        teams, answers = world.teams, world.subscriptions  # type: ignore[attr-defined] # a World
        tag = next((m.tag for t in teams for m in t.members if m.key == ME), ALICE)
        return facts(Known(me=tag, teams=teams, answers=answers))

    before, after = facts_of(one), facts_of(other)

    assert news(after, after) == []
    words = {EventType(each.what) for each in news(before, after)}
    assert words <= set(EventType)
    if before != after:
        keys = {k for k in {*before, *after} if before.get(k) != after.get(k)}
        assert len(news(before, after)) <= len(keys), "each difference is told once at most"
