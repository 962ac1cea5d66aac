"""Two members act before either knows what the other did: everybody agrees at the end.

The daemon of the second one is suspended until both have acted, or it could hear of the first act.

All but the first are slow: the members of each test go on to live in the town of the next.
"""

import json
from itertools import count, permutations

import pytest

from karma_sync.errors import NotFound
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share

pytestmark = pytest.mark.memory


_NUMBERS = count(1)


@pytest.fixture
def three(town: Town) -> list[Member]:
    """A leads B and C, who exchange; B may take over. Each test has members of its own."""
    number = next(_NUMBERS)
    members = town.members(*(f"{user}{number}" for user in ("alice", "bob", "carol")))
    found_team(*members)
    share(*members)
    a, b, _ = members
    a.run("team", "successors", b.tag, "--yes")
    for member in members:
        _until_it_is(member, b, "successor 1")
    _assert_exchange(members)
    return members


def test_who_is_removed_and_added_again_before_it_knew_is_a_member_and_exchanges(
    three: list[Member],
) -> None:
    a, b, _ = three
    a.run("team", "remove", b.tag, "--yes")
    b.run("pair", a.code)
    a.run("team", "add", b.code, "--yes")

    until(lambda: _statuses(b) == {"offered"}, "B was removed, and is asked again")
    b.run("accept", "repo", "--yes")
    _assert_exchange(three)


@pytest.mark.slow
def test_a_member_that_leaves_while_it_is_removed_is_gone_once(three: list[Member]) -> None:
    a, b, c = three
    with b.suspended():
        a.run("team", "remove", b.tag, "--yes")
        b.run("team", "leave", "--yes")

    until(lambda: not _roles(b), "B out")
    for member in (a, c):
        _until_it_knows(member, a, c)
    _assert_exchange([a, c])
    gone = [m["tag"] for m in a.json("team", "show")["removed"]]
    assert gone == [b.tag]


@pytest.mark.slow
def test_a_takeover_and_a_transfer_at_the_same_moment_end_with_who_took_over(
    three: list[Member],
) -> None:
    a, b, c = three
    with b.suspended():
        a.run("team", "transfer", c.tag, "--yes")
        b.run("team", "take-over", "--yes")

    for member in three:
        _until_it_is(member, b, "leader")
    b.run("team", "rename", "of-b")
    for member in three:
        until(lambda m=member: m.json("team", "show")["name"] == "of-b", f"{member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    assert a.run("team", "rename", "mine", check=False).code == 12
    assert c.run("team", "rename", "mine", check=False).code == 12
    _assert_exchange(three)


@pytest.mark.slow
def test_a_successor_that_is_removed_after_others_know_that_it_took_over_leads(
    three: list[Member],
) -> None:
    """The removal is of the former term; a take-over is for a leader that must not go on."""
    a, b, c = three
    with a.suspended():
        a.run("team", "remove", b.tag, "--yes")
        b.run("team", "take-over", "--yes")
        _until_it_is(c, b, "leader")

    for member in three:
        _until_it_is(member, b, "leader")
    _assert_exchange(three)


def test_a_successor_that_takes_over_after_all_others_removed_it_is_out(
    three: list[Member],
) -> None:
    a, b, c = three
    with b.suspended():
        a.run("team", "remove", b.tag, "--yes")
        for member in (a, c):
            _until_it_knows(member, a, c)
        b.run("team", "take-over", "--yes")

    until(lambda: not _roles(b), "B out")
    assert [(t["name"], t["how"]) for t in b.json("team", "list")["former"]] == [
        ("backend", "removed")
    ]
    assert set(_roles(a)) == set(_roles(c)) == {a.tag, c.tag}
    _assert_exchange([a, c])


@pytest.mark.slow
def test_of_two_successors_that_take_over_the_one_named_first_leads(three: list[Member]) -> None:
    a, b, c = three
    a.run("team", "successors", b.tag, c.tag, "--yes")
    for member in three:
        _until_it_is(member, c, "successor 2")
    with b.suspended():
        c.run("team", "take-over", "--yes")
        b.run("team", "take-over", "--yes")

    for member in three:
        _until_it_is(member, b, "leader")
    assert c.run("team", "rename", "mine", check=False).code == 12
    _assert_exchange(three)


@pytest.mark.slow
def test_a_takeover_outweighs_that_the_former_leader_dissolved_the_team(
    three: list[Member],
) -> None:
    a, b, _ = three
    with b.suspended():
        a.run("team", "dissolve", "--yes")
        b.run("team", "take-over", "--yes")

    for member in three:
        _until_it_is(member, b, "leader")
        assert member.json("team", "show")["status"] == "active"
    _assert_exchange(three)


@pytest.mark.slow
def test_answers_that_follow_each_other_fast_end_with_the_last(three: list[Member]) -> None:
    a, b, c = three
    b.run("subscription", "pause", "repo")
    b.run("subscription", "resume", "repo", "--yes")
    b.run("decline", "repo", "--yes")
    b.run("subscription", "reopen", "repo")
    b.run("accept", "repo", "--yes")
    _assert_exchange(three)
    a.run("project", "unshare", "repo", "--yes")
    a.run("project", "share", str(a.repo), "--yes")
    for member in (b, c):
        until(lambda m=member: _statuses(m) == {"offered"}, f"asked anew: {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        member.run("accept", "repo", "--yes")
    _assert_exchange(three)


def _assert_exchange(members: list[Member]) -> None:
    """Assert that every session written now is readable at all other members."""
    written = {member.tag: member.write_session(f"by {member.user}") for member in members}
    for reader, author in permutations(members, 2):
        reader.until_readable(written[author.tag])


def _until_it_is(knows: Member, one: Member, role: str) -> None:
    """Wait until a member knows that one has this role."""
    until(lambda: _roles(knows).get(one.tag) == role, f"{knows.tag} sees {one.tag} as {role}")


def _until_it_knows(knows: Member, *members: Member) -> None:
    """Wait until the team has exactly these members, as one of them knows it."""
    tags = {each.tag for each in members}
    until(lambda: set(_roles(knows)) == tags, f"{knows.tag} lists {tags}")


def _roles(member: Member) -> dict[str, str]:
    shown = member.run("team", "show", "--json", check=False)
    if shown.code == NotFound.exit_code:
        return {}  # it is in no team
    assert shown.code == 0, shown
    return {m["tag"]: m["role"] for m in json.loads(shown.out)["members"]}


def _statuses(member: Member) -> set[str]:
    found = member.json("subscription", "list")["subscriptions"]
    return {s["status"] for s in found}
