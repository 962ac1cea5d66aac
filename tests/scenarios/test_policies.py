"""A person's own rules for a team: what is accepted by itself, usual options, who is not read."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share, up, wait_for_offer
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


def answer(member: Member, project: str) -> dict[str, Any]:
    """This member's own answer to a project; {} while it is not offered."""
    found = member.json("subscription", "list")["subscriptions"]
    return next((s for s in found if s["project"].endswith(f"/{project}")), {})


def standing(member: Member, project: str) -> tuple[str, str]:
    found = answer(member, project)
    return found.get("status", ""), found.get("direction", "")


def offer(leader: Member, name: str, *clones: Member) -> list[Session]:
    """Share a project of which these members have a clone with a session each."""
    sessions = []
    for member in (leader, *clones):
        place = member.clone(f"git@example.org:acme/{name}.git", name)
        sessions.append(member.write_session(f"in {name} by {member.user}", cwd=place))
        if member is leader:
            leader.run("project", "share", str(place), "--yes")
    return sessions


@dataclass(frozen=True)
class Pair:
    """A leads, B is a member; they share one project."""

    a: Member
    b: Member


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.members("alice", "bob")
    found_team(a, b)
    share(a, b)
    return Pair(a, b)


def test_by_itself_a_project_is_received_only(pair: Pair) -> None:
    a, b = pair.a, pair.b
    said = b.run("team", "policy", "--accept", "all").out
    assert "all are accepted without a question, received only" in said
    sent, kept = offer(a, "first", b)

    b.until_readable(sent)
    assert standing(b, "first") == ("accepted", "receive")
    assert a.peek(kept.id) is None
    assert "accepted" in b.run("events", "--project", "first").out
    assert standing(a, "first") == ("accepted", "both"), "the policy is B's alone"


def test_a_pattern_accepts_what_it_names(pair: Pair) -> None:
    a, b = pair.a, pair.b
    b.run("team", "policy", "--accept", "web*")
    offer(a, "web-one")
    offer(a, "api")

    until(lambda: standing(b, "web-one") == ("accepted", "receive"), "what the pattern names")
    until(lambda: standing(b, "api")[0] == "offered", "the other one, which waits for an answer")
    b.run("accept", "api", "--direction", "receive")


def test_to_send_by_itself_needs_a_yes_to_what_would_be_sent(pair: Pair) -> None:
    a, b = pair.a, pair.b
    place = b.clone("git@example.org:acme/web-two.git", "web-two")
    mine = b.write_session("of B", cwd=place)
    refused = b.run("team", "policy", "--direction", "both", check=False)
    assert (refused.code, "--yes" in refused.err) == (8, True)
    assert "example.org/acme/web-two in team backend" in refused.out
    assert "sends now:   1 session" in refused.out
    assert "alice.box" in refused.out
    assert "example.org/acme/repo" not in refused.out, "only what the pattern names"
    assert b.json("team", "policy")["sends"] is False

    b.run("team", "policy", "--direction", "both", "--yes")
    place = a.clone("git@example.org:acme/web-two.git", "web-two")
    a.run("project", "share", str(place), "--yes")
    a.until_readable(mine)
    assert standing(b, "web-two") == ("accepted", "both")


def test_ask_stops_it(pair: Pair) -> None:
    pair.b.run("team", "policy", "--accept", "ask")
    offer(pair.a, "web-three")

    until(lambda: standing(pair.b, "web-three")[0], "offered")
    assert standing(pair.b, "web-three")[0] == "offered"
    pair.b.run("decline", "web-three")
    pair.b.run("team", "policy", "--accept", "all", "--direction", "receive")
    assert standing(pair.b, "web-three")[0] == "declined", "a no holds"


def test_usual_options_stand_where_none_is_typed(pair: Pair) -> None:
    a, b = pair.a, pair.b
    b.run("team", "policy", "--accept", "ask", "--direction", "send", "--since", "2026-01-02")
    offer(a, "usual")
    wait_for_offer(b, "usual")
    said = b.run("accept", "usual", "--yes").out
    assert "direction send" in said
    assert answer(b, "usual")["direction"] == "send"
    b.run("team", "policy", "--direction", "receive")
    offer(a, "other")
    wait_for_offer(b, "other")
    b.run("accept", "other", "--direction", "both", "--yes")
    assert answer(b, "other")["direction"] == "both", "what is typed counts"


@pytest.mark.parametrize(
    "options",
    [
        ("--accept", "web"),
        ("--accept", ""),
        ("--since", "soon"),
        ("--accept", "all", "--direction", "both", "--last", "3"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(pair: Pair, options: tuple[str, ...]) -> None:
    before = pair.b.json("team", "policy")

    assert pair.b.run("team", "policy", *options, "--yes", check=False).code == 2
    assert pair.b.json("team", "policy") == before


def test_an_older_database_does_not_bring_a_policy_back(pair: Pair) -> None:
    b = pair.b
    b.run("team", "policy", "--accept", "all", "--direction", "receive")
    b.down()
    old = b.paths.state_db.read_bytes()
    b.run("team", "policy", "--accept", "ask")
    for path in b.paths.state_db.parent.glob("state.db*"):
        path.unlink()
    b.paths.state_db.write_bytes(old)
    b.paths.state_db.chmod(0o600)
    b.up()

    assert b.json("team", "policy")["accept"] == "ask"


def test_a_policy_all_has_each_newcomer_wait_for_a_yes(pair: Pair) -> None:
    pair.a.run("team", "policy", "--accept", "all")
    pair.a.run("invite", "--no-wait", "--yes")

    (code,) = pair.a.json("invite", "list")["invites"]
    assert code["confirm"] is True


@pytest.fixture(scope="module")
def muted(town: Town) -> Pair:
    """C has all of A's and B's; then it mutes A."""
    c, d = town.member("carol"), town.member("dan")
    up(c, d)
    found_team(c, d, name="muted")
    share(c, d)
    return Pair(c, d)


def test_a_muted_member_is_left_out_and_comes_back(muted: Pair) -> None:
    c, d = muted.a, muted.b
    before = c.write_session("before it was muted")
    d.until_readable(before)
    unknown = d.run("mute", "carl.box", check=False)
    assert (unknown.code, "has a member 'carl.box'" in unknown.err) == (5, True)
    assert "try: karma-sync team show" in unknown.err
    d.run("mute", "carol.box")
    until(lambda: d.peek(before.id) is None, "what was here is not read any more")
    during = c.write_session("while it was muted")
    back = d.write_session("by who muted")
    c.until_readable(back)

    assert d.peek(during.id) is None
    assert [s["id"] for s in d.sessions()] == [back.id]
    team = d.json("team", "show")
    flags = {m["tag"]: m["muted"] for m in team["members"]}
    assert flags == {"carol.box": True, "dan.box": False}
    assert "active, muted" in d.run("team", "show").out
    assert "muted" in d.run("events", "--type", "muted").out

    d.down()
    d.up()
    after = d.write_session("after the start")
    c.until_readable(after)
    assert d.peek(during.id) is None, "also after a start"
    d.run("unmute", "carol.box")
    d.until_readable(before, during)
    assert "unmuted" in d.run("events", "--type", "unmuted").out
    assert d.run("unmute", "carol.box", check=False).code == 5
    assert d.run("mute", "nobody.box", check=False).code == 5
    assert d.run("mute", d.tag, check=False).code == 2


def test_what_a_muted_member_takes_back_does_not_return(muted: Pair) -> None:
    c, d = muted.a, muted.b
    gone = c.write_session("it will be taken back")
    d.until_readable(gone)
    d.run("mute", "carol.box")
    until(lambda: d.peek(gone.id) is None, "muted")
    c.run("session", "unshare", gone.id)
    kept = c.write_session("after that")
    until(lambda: list(d.paths.folders.glob("ks-c-*/retracted/*")), "what tells of it")
    d.run("unmute", "carol.box")

    d.until_readable(kept)
    assert d.peek(gone.id) is None
    assert PROJECT in str(d.json("project", "list"))
