"""Teams: who can join, who leads, and what the team's id depends on."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.team.member import Member, MemberStatus
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team, found_team
from karma_sync.errors import BadInput, Conflict, NotFound, NotLeader
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW_MS,
    PROJECT,
    code_of,
    device_of,
    examples,
    key_of,
    member_of,
    team_of_all,
)

TOOLS, RENAMED = "example.org/acme/tools", "example.org/acme/renamed"
ADDED = MemberStatus.ADDED
TEAM = team_of_all(ALICE, BOB)


def founder() -> Member:
    return member_of(ALICE, status=ADDED)


def test_the_founder_of_a_team_leads_it_and_is_active() -> None:
    team = found_team("backend", founder(), nonce="1" * 32)

    assert team.members == (member_of(ALICE),)
    assert team.leader == team.founder == key_of(ALICE).public
    assert (team.term, team.rank, team.projects) == (1, 0, ())


@pytest.mark.parametrize("name", ["a", "7", "backend", "a.b_c-d", "x" * 48])
def test_a_plain_name_is_valid_for_a_team(name: str) -> None:
    assert found_team(name, founder(), "1" * 32).name == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "A", "a b", "a/b", "x" * 49, "a\n", "ä", "a\x00", "../a"]
)
def test_a_name_that_needs_quotes_on_a_command_line_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        found_team(name, founder(), "1" * 32)

    assert refused.value.hint == "karma-sync team create backend"


def test_the_id_commits_to_founder_name_and_nonce() -> None:
    ids = {
        found_team(name, member_of(tag, status=ADDED), nonce).id
        for name, tag, nonce in product(["backend", "backen"], [ALICE, BOB], ["1" * 32, "d" * 32])
    }
    assert len(ids) == 8


def test_a_new_member_is_not_active_yet() -> None:
    team = TEAM.add(code_of(CAROL, "tcp://10.0.0.3:22000"), NOW_MS)

    added = team.member(key_of(CAROL).public)
    assert added == member_of(CAROL, "tcp://10.0.0.3:22000", status=ADDED)
    assert team.members == (*TEAM.members, added)


def test_adding_a_member_again_only_learns_its_addresses() -> None:
    assert TEAM.add(code_of(BOB), NOW_MS) == TEAM
    moved = TEAM.add(code_of(BOB, "tcp://10.0.0.2:22000"), NOW_MS)

    assert moved.member(key_of(BOB).public) == member_of(BOB, "tcp://10.0.0.2:22000")
    assert len(moved.members) == 2


@pytest.mark.parametrize(
    "taken",
    [
        lambda c: replace(c, tag=BOB),
        lambda c: replace(c, device=device_of(BOB)),
        lambda c: replace(c, key=key_of(BOB).public),
        lambda c: replace(c, tag=BOB, device=device_of(BOB)),
        lambda c: replace(c, tag=BOB, key=key_of(BOB).public),
        lambda c: replace(c, key=key_of(BOB).public, device=device_of(BOB)),
        lambda c: replace(c, tag=ALICE),
    ],
)
def test_a_tag_a_key_and_a_device_belong_to_one_member(
    taken: Callable[[PairingCode], PairingCode],
) -> None:
    with pytest.raises(Conflict, match="is already in backend"):
        TEAM.add(taken(code_of(CAROL)), NOW_MS)


def test_the_number_of_members_is_limited() -> None:
    crowd = [member_of(f"user{n}.pc") for n in range(limits.MEMBERS - 2)]
    full = TEAM.changed(members=(*TEAM.members, *crowd))

    with pytest.raises(Conflict, match="200 members"):
        full.add(code_of(CAROL), NOW_MS)
    assert full.add(code_of(BOB), NOW_MS) == full


def test_only_the_leader_may_lead_and_the_error_names_the_leader() -> None:
    assert TEAM.lead_by(key_of(ALICE).public) is TEAM
    with pytest.raises(NotLeader) as refused:
        TEAM.lead_by(key_of(BOB).public)

    assert refused.value.hint == f"ask {ALICE}"


def test_a_member_whose_document_was_accepted_is_active_at_its_own_addresses() -> None:
    team = TEAM.add(code_of(CAROL, "tcp://10.0.0.3:1"), NOW_MS)
    key = key_of(CAROL).public

    seen = team.activate(key, ("dynamic",))
    assert seen.member(key) == member_of(CAROL, "dynamic")
    assert seen.activate(key, ("dynamic",)) == seen
    assert seen.member(key_of(BOB).public) == TEAM.member(key_of(BOB).public)


def test_a_key_that_is_not_on_the_roster_cannot_be_activated() -> None:
    with pytest.raises(NotFound):
        TEAM.activate(key_of(CAROL).public, ())


def test_a_project_is_shared_once() -> None:
    team = TEAM.share("example.org/acme/tools", NOW_MS)
    shared = team.project("example.org/acme/tools")

    assert shared is not None
    assert shared.incarnation == NOW_MS
    assert team.share("example.org/acme/tools", NOW_MS + 5) == team
    assert team.project(PROJECT) == TEAM.project(PROJECT)


def test_the_number_of_projects_is_limited() -> None:
    team = team_of_all(ALICE, projects=tuple(f"h/o/r{n}" for n in range(limits.PROJECTS)))

    with pytest.raises(Conflict, match="500 projects"):
        team.share(PROJECT, NOW_MS)
    assert team.share("h/o/r7", NOW_MS) == team


@examples()
@given(st.lists(st.sampled_from([f"user{n}.pc" for n in range(6)]), max_size=12))
def test_however_members_are_added_tags_keys_and_devices_stay_unique(tags: list[str]) -> None:
    team: Team = TEAM
    for tag in tags:
        team = team.add(code_of(tag), NOW_MS)

    assert len(team.members) == 2 + len(set(tags))
    for values in zip(*((m.tag, m.key, m.device) for m in team.members), strict=True):
        assert len(set(values)) == len(team.members)


def test_a_project_gets_another_name_that_no_other_has() -> None:
    team = team_of_all(ALICE, BOB, projects=(PROJECT, TOOLS)).alias(PROJECT, RENAMED)

    assert team.aliases == {RENAMED: PROJECT}
    assert team.alias(PROJECT, RENAMED) == team
    for taken in (RENAMED, PROJECT):
        with pytest.raises(Conflict):
            team.alias(TOOLS, taken)
    with pytest.raises(Conflict):
        team.share(RENAMED, NOW_MS)
    with pytest.raises(NotFound):
        team.alias(RENAMED, "example.org/acme/x")


def test_another_name_can_be_removed() -> None:
    team = team_of_all(ALICE, BOB, projects=(PROJECT, TOOLS))

    assert team.alias(PROJECT, RENAMED).unalias(RENAMED) == team
    assert team.alias(PROJECT, RENAMED).unalias(PROJECT).aliases == {RENAMED: PROJECT}
    assert team.unalias(RENAMED) == team
