"""Five members in one team: all twenty directed pairs exchange, and anybody serves for anybody."""

from itertools import permutations

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")

USERS = ("alice", "bob", "carol", "dave", "erin")


@pytest.fixture(scope="module")
def five(town: Town) -> list[Member]:
    """The first leads; the others know nobody but the leader, and all accepted a project."""
    members = town.members(*USERS)
    found_team(*members)
    share(*members)
    return members


def test_all_twenty_pairs_exchange(five: list[Member]) -> None:
    written = {m.user: m.write_session(f"by {m.user}") for m in five}

    pairs = list(permutations(five, 2))
    assert len(pairs) == 20
    for reader, author in pairs:
        reader.until_readable(written[author.user])
    for reader in five:
        shown = {s["id"]: s["author"] for s in reader.sessions()}
        assert shown == {s.id: f"{user}.box" for user, s in written.items()}


def test_each_is_connected_with_the_four_others(five: list[Member]) -> None:
    for member in five:
        until(lambda m=member: len(_connected(m)) == 4, f"{member.tag} connected with four")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert _connected(member) == {m.tag for m in five} - {member.tag}


def test_what_is_appended_arrives_at_all_four(five: list[Member]) -> None:
    session = five[2].write_session("by carol, and it goes on")
    for number in range(3):
        session.append(f"line {number}")
        for reader in (m for m in five if m is not five[2]):
            reader.until_readable(session)


def test_with_the_author_and_the_leader_offline_a_third_still_serves(five: list[Member]) -> None:
    leader, author, third, *away = five
    known = author.write_session("known to all")
    for reader in five:
        reader.until_readable(known)
    for member in away:
        member.down()
    new = author.write_session("while two were away")
    known.append("while two were away")
    third.until_readable(new, known)
    leader.down()
    author.down()
    for member in away:
        member.up()

    for member in away:
        member.until_readable(new, known)
        authors = {s["id"]: s["author"] for s in member.sessions()}
        assert authors[new.id] == author.tag
    # and what they write meanwhile reaches the author when it is back
    by_away = [
        member.write_session(f"by {member.user} while the author was away") for member in away
    ]
    third.until_readable(*by_away)
    for member in away:
        member.down()
    author.up()
    author.until_readable(*by_away)
    leader.up()
    leader.until_readable(new, known, *by_away)
    for member in away:
        member.up()


def test_who_is_removed_is_gone_at_all_and_the_four_others_go_on(five: list[Member]) -> None:
    leader, *others, gone = five
    leader.run("team", "remove", gone.tag, "--yes")
    for member in (leader, *others):
        until(lambda m=member: gone.tag not in _tags(m), f"{gone.tag} gone at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    until(lambda: not gone.json("team", "list")["teams"], "the removed one to know")

    written: dict[str, Session] = {m.user: m.write_session("later") for m in (leader, *others)}
    after = gone.write_session("after the removal")
    for reader, author in permutations((leader, *others), 2):
        reader.until_readable(written[author.user])
    assert [gone.peek(s.id) for s in written.values()] == [None] * 4
    assert [m.peek(after.id) for m in (leader, *others)] == [None] * 4
    assert "ks-c-" not in {folder[:5] for folder in gone.folders()}


def _connected(member: Member) -> set[str]:
    return {p["tag"] for p in member.json("status")["peers"] if p["connected"]}


def _tags(member: Member) -> set[str]:
    return {m["tag"] for m in member.json("team", "show")["members"]}
