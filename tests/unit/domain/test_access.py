"""The one rule of who may read and write which project."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.access import AccessScope, admin_of, project_id, reading, writing
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.rights import rights_of
from karma_sync.domain.team.subscription import Status
from tests.support.builders import ALICE, BOB, PROJECT, answer, examples, team_of_all

ACME, GLOBEX = "acme", "globex"
WEB = project_id(ACME, "example.org/acme/web")
SAME_ELSEWHERE = project_id(GLOBEX, "example.org/acme/web")


def scope(*, teams: tuple[str, ...] = (ACME,), **rights: frozenset[str]) -> AccessScope:
    return replace(AccessScope("bob.tower", frozenset(teams)), **rights)  # type: ignore[arg-type] # mypy takes all fields for one type


# what the reader is, what it may do with WEB: read, write
TRUTH = {
    "admin": (scope(roles=frozenset({admin_of(ACME)})), True, True),
    "own": (scope(projects=frozenset({WEB})), True, True),
    "write": (scope(scopes=frozenset({writing(WEB)})), True, True),
    "read": (scope(scopes=frozenset({reading(WEB)})), True, False),
    "none": (scope(), False, False),
    "admin of another team": (
        scope(teams=(ACME, GLOBEX), roles=frozenset({admin_of(GLOBEX)})),
        False,
        False,
    ),
    "own in another team": (
        scope(teams=(ACME, GLOBEX), projects=frozenset({SAME_ELSEWHERE})),
        False,
        False,
    ),
    "read of a longer name": (scope(scopes=frozenset({reading(f"{WEB}-2")})), False, False),
    "admin, but of a team it left": (
        scope(teams=(), roles=frozenset({admin_of(ACME)})),
        False,
        False,
    ),
    "own, but of a team it left": (scope(teams=(), projects=frozenset({WEB})), False, False),
}


@pytest.mark.parametrize("name", TRUTH)
def test_the_truth_table(name: str) -> None:
    found, may_read, may_write = TRUTH[name]

    assert found.can_access_project(WEB) is may_read
    assert found.can_access_project(WEB, write=True) is may_write


@pytest.mark.parametrize("name", TRUTH)
def test_the_same_project_of_another_team_stays_closed(name: str) -> None:
    found = TRUTH[name][0].within(team=ACME)

    assert not found.can_access_project(SAME_ELSEWHERE)


def test_who_looks_at_one_project_sees_no_other_one_even_as_admin() -> None:
    admin = TRUTH["admin"][0].within(project="example.org/acme/api")

    assert admin.can_access_project(project_id(ACME, "example.org/acme/api"))
    assert not admin.can_access_project(WEB)
    assert not admin.within(project="example.org/acme/web").can_access_project(WEB)


def test_who_looks_at_one_agent_sees_no_other_agents_sessions() -> None:
    found = TRUTH["own"][0].within(agent="claude-code")
    place = ACME, "example.org/acme/web", "alice.mbp"

    assert found.can_read(*place, "claude-code")
    assert not found.can_read(*place, "claude-code/reviewer")
    assert not found.can_read(*place, "codex")


@examples()
@given(st.data())
def test_looking_closer_never_opens_anything(data: st.DataObject) -> None:
    teams, names = st.sampled_from((ACME, GLOBEX)), st.sampled_from(("x/y", "x/z"))
    ids = st.builds(project_id, teams, names)
    before = AccessScope(
        "bob.tower",
        data.draw(st.frozensets(teams)),
        data.draw(st.frozensets(ids)),
        roles=data.draw(st.frozensets(st.builds(admin_of, teams))),
        scopes=data.draw(st.frozensets(st.builds(reading, ids) | st.builds(writing, ids))),
    )
    after = before.within(
        team=data.draw(st.none() | teams),
        project=data.draw(st.none() | names),
        agent=data.draw(st.none() | st.just("claude-code")),
    )
    place = data.draw(st.tuples(teams, names, st.sampled_from(("bob.tower", "eve.pc"))))

    for agent in ("claude-code", "codex"):
        assert before.can_read(*place, agent) or not after.can_read(*place, agent)


# Bob's answer: may he read the project, may he write it
ANSWERS = {
    (Status.ACCEPTED, Direction.BOTH): (True, True),
    (Status.PAUSED, Direction.BOTH): (True, True),
    (Status.ACCEPTED, Direction.RECEIVE): (True, False),
    (Status.ACCEPTED, Direction.SEND): (True, True),
    (Status.DECLINED, Direction.BOTH): (True, False),  # what he received stays
}


@pytest.mark.parametrize(("status", "direction"), ANSWERS)
def test_a_member_has_the_rights_of_its_answer(status: Status, direction: Direction) -> None:
    team = team_of_all(ALICE, BOB)
    project = project_id(team.id, PROJECT)
    found = rights_of(BOB, [team], [answer(team, BOB, status, direction), answer(team, ALICE)])

    granted = found.can_access_project(project), found.can_access_project(project, write=True)
    assert granted == ANSWERS[status, direction]


def test_an_answer_that_was_never_given_opens_nothing() -> None:
    team = team_of_all(ALICE, BOB)
    offered = answer(team, BOB, Status.OFFERED).changed(incarnation=0)
    found = rights_of(BOB, [team], [offered, answer(team, ALICE)])

    assert not found.can_access_project(project_id(team.id, PROJECT))


def test_the_leader_is_the_admin_of_this_team_only() -> None:
    led, joined = team_of_all(ALICE, BOB, name="acme"), team_of_all(BOB, ALICE, name="globex")
    found = rights_of(ALICE, [led, joined], [])

    assert found.can_access_project(project_id(led.id, "example.org/acme/any"), write=True)
    assert not found.can_access_project(project_id(joined.id, PROJECT))
