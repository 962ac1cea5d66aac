"""Every status machine of a team: its table is complete, and what it does not list is refused."""

from collections.abc import Callable, Mapping
from itertools import product

import pytest

from karma_sync.domain.session.project import PROJECT_MOVES, SharedProject, SharingStatus
from karma_sync.domain.team import member as members
from karma_sync.domain.team import team as teams
from karma_sync.domain.team.facts import TeamStatus
from karma_sync.domain.team.member import How, Member, MemberStatus, Removal
from karma_sync.errors import Conflict, IllegalMove, NotFound
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW_MS,
    PROJECT,
    code_of,
    key_of,
    member_of,
    team_of_all,
)

ADDED, ACTIVE, REMOVED = MemberStatus
TEAM = team_of_all(ALICE, BOB)
GONE = Removal(how=How.REMOVED, at=NOW_MS)
A, B, C = (key_of(tag).public for tag in (ALICE, BOB, CAROL))

MEMBER_VERBS: Mapping[str, Callable[[Member], Member]] = {
    "appear": lambda m: m.appear(),
    "remove": lambda m: m.remove(GONE),
    "leave": lambda m: m.leave(NOW_MS, retracted=True),
    "add": lambda m: m.add(NOW_MS, ()),
}
PROJECT_VERBS: Mapping[str, Callable[[SharedProject], SharedProject]] = {
    "share": lambda p: p.share(NOW_MS),
    "unshare": lambda p: p.unshare(),
}
TEAM_VERBS: Mapping[str, Callable[[teams.Team], teams.Team]] = {
    "change": lambda t: t.change(),
    "dissolve": lambda t: t.dissolve(),
}


def test_the_tables_list_these_moves_and_no_others() -> None:
    assert dict(members.MOVES) == {
        (ADDED, "appear"): ACTIVE,
        (ADDED, "remove"): REMOVED,
        (ACTIVE, "remove"): REMOVED,
        (ACTIVE, "leave"): REMOVED,
        (REMOVED, "add"): ADDED,
    }
    assert dict(PROJECT_MOVES) == {
        (SharingStatus.SHARED, "unshare"): SharingStatus.UNSHARED,
        (SharingStatus.UNSHARED, "share"): SharingStatus.SHARED,
    }
    assert dict(teams.MOVES) == {
        (TeamStatus.ACTIVE, "change"): TeamStatus.ACTIVE,
        (TeamStatus.ACTIVE, "dissolve"): TeamStatus.DISSOLVED,
    }


@pytest.mark.parametrize(("status", "verb"), list(product(MemberStatus, MEMBER_VERBS)))
def test_a_member_makes_the_moves_of_its_table_only(status: MemberStatus, verb: str) -> None:
    member = member_of(BOB, status=status)
    if (status, verb) in members.MOVES:
        assert MEMBER_VERBS[verb](member).status is members.MOVES[status, verb]
    else:
        with pytest.raises(IllegalMove, match=f"cannot {verb} {BOB}: it is {status}"):
            MEMBER_VERBS[verb](member)


@pytest.mark.parametrize(("status", "verb"), list(product(SharingStatus, PROJECT_VERBS)))
def test_a_project_makes_the_moves_of_its_table_only(status: SharingStatus, verb: str) -> None:
    project = SharedProject(identity=PROJECT, incarnation=1, status=status)
    if (status, verb) in PROJECT_MOVES:
        assert PROJECT_VERBS[verb](project).status is PROJECT_MOVES[status, verb]
    else:
        with pytest.raises(IllegalMove, match=f"cannot {verb} {PROJECT}: it is {status}"):
            PROJECT_VERBS[verb](project)


@pytest.mark.parametrize(("status", "verb"), list(product(TeamStatus, TEAM_VERBS)))
def test_a_team_makes_the_moves_of_its_table_only(status: TeamStatus, verb: str) -> None:
    team = TEAM.changed(status=status)
    if (status, verb) in teams.MOVES:
        assert TEAM_VERBS[verb](team).status is teams.MOVES[status, verb]
    else:
        with pytest.raises(IllegalMove, match=f"cannot {verb} backend: it is dissolved"):
            TEAM_VERBS[verb](team)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add(code_of(CAROL), NOW_MS),
        lambda t: t.remove(t.members[1], GONE),
        lambda t: t.rename("other"),
        lambda t: t.share("h/o/other", NOW_MS),
        lambda t: t.unshare(PROJECT),
        lambda t: t.proposing(B, ("h/o/other",)),
    ],
)
def test_nothing_of_a_dissolved_team_changes(change: Callable[[teams.Team], object]) -> None:
    with pytest.raises(IllegalMove, match="it is dissolved"):
        change(TEAM.dissolve())


def test_the_leader_of_an_active_team_can_neither_leave_nor_be_removed() -> None:
    with pytest.raises(IllegalMove) as refused:
        TEAM.leave(A, NOW_MS, retracted=True)
    assert "team transfer" in refused.value.hint
    with pytest.raises(IllegalMove):
        TEAM.remove(TEAM.members[0], GONE)

    assert TEAM.dissolve().leave(A, NOW_MS, retracted=True).member(A) is None


def test_who_is_removed_and_added_again_is_another_incarnation() -> None:
    gone = TEAM.remove(TEAM.members[1], GONE)
    assert (gone.member(B), [m.key for m in gone.removed]) == (None, [B])

    first = gone.add(code_of(BOB), NOW_MS)
    second = first.remove(first.members[1], GONE).add(code_of(BOB), NOW_MS)
    found = [t.member(B) for t in (TEAM, first, second)]
    assert [m.incarnation for m in found if m] == [0, NOW_MS, NOW_MS + 1]
    assert (second.removed, found[2] and found[2].status) == ((), ADDED)


def test_a_key_on_a_stolen_machine_is_never_added_again() -> None:
    stolen = TEAM.remove(TEAM.members[1], GONE.changed(stolen=True))

    with pytest.raises(Conflict, match="stolen"):
        stolen.add(code_of(BOB), NOW_MS)


def test_a_new_key_takes_the_place_of_an_old_one_only_if_the_leader_says_so() -> None:
    again = code_of(CAROL)
    again = type(again)(BOB, again.device, again.key)
    with pytest.raises(Conflict) as refused:
        TEAM.add(again, NOW_MS)
    assert "--replace" in refused.value.hint

    after = TEAM.replace(again, NOW_MS)
    assert [(m.tag, m.key) for m in after.members] == [(ALICE, A), (BOB, C)]
    assert [(m.key, m.removal and m.removal.how) for m in after.removed] == [(B, How.REPLACED)]
    with pytest.raises(NotFound):
        TEAM.replace(code_of(CAROL), NOW_MS)


def test_a_project_that_is_shared_again_is_another_incarnation() -> None:
    again = TEAM.unshare(PROJECT).share(PROJECT, NOW_MS)

    [before], [after] = TEAM.projects, again.projects
    assert after.incarnation > before.incarnation
    assert again.unshared == ()


def test_the_id_of_a_team_stays_when_its_name_changes() -> None:
    after = TEAM.rename("platform")

    assert (after.id, after.name, after.founded_as) == (TEAM.id, "platform", "backend")
