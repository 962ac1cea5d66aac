"""Members who are apart for a while, each with a part of the truth: at the end all agree."""

from dataclasses import dataclass

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up, wait_for_offer

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Four:
    """A leads B, C and D; B may take over."""

    a: Member
    b: Member
    c: Member
    d: Member

    @property
    def all(self) -> tuple[Member, ...]:
        return self.a, self.b, self.c, self.d


@pytest.fixture(scope="module")
def four(town: Town) -> Four:
    members = town.members("alice", "bob", "carol", "dave")
    found_team(*members)
    share(*members)
    four = Four(*members)
    four.a.run("team", "successors", "bob", "--yes")
    for member in members:
        until(lambda m=member: _roles(m).get("bob.box") == "successor 1", f"{member.tag} to know")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    return four


def test_with_one_alone_online_after_the_other_everybody_gets_everything(four: Four) -> None:
    """At no moment two of the authors are online together: D alone passes on what they wrote."""
    a, b, c, d = four.all
    first = {m.user: m.write_session(f"by {m.user}") for m in four.all}
    for reader in four.all:
        reader.until_readable(*first.values())
    for member in (a, b, c):
        member.down()
    alone = d.write_session("by dave, alone")
    first["dave"].append("alone")
    until(lambda: d.peek(alone.id) == alone.content, "D reads its own")
    written = {m.user: m.write_session(f"by {m.user}, offline") for m in (a, b, c)}
    for member in (a, b, c):
        member.up()
        d.until_readable(written[member.user])
        member.until_readable(alone, first["dave"])
        member.down()

    for member in (a, b, c):
        member.up()
        member.until_readable(*written.values(), alone, first["dave"])
        member.down()
    up(a, b, c)
    after = d.write_session("all are back")
    for member in (a, b, c):
        member.until_readable(after)


def test_a_takeover_outweighs_what_the_former_leader_changed_meanwhile(four: Four) -> None:
    """Both lead for a while: A removes C and shares a project; B removes D and shares another."""
    a, b, c, d = four.all
    mine = {m: m.clone("git@example.org:acme/by-a.git", "by-a") for m in (a,)}
    theirs = {m: m.clone("git@example.org:acme/by-b.git", "by-b") for m in (b, c)}
    for member in (b, c, d):
        member.down()
    a.run("team", "rename", "by-a")
    a.run("project", "share", str(mine[a]), "--yes")
    a.run("team", "remove", "carol", "--yes")
    until(lambda: c.tag not in _roles(a), "C gone at A")
    a.down()
    b.up()
    b.run("team", "take-over", "--yes")
    b.run("team", "rename", "by-b")
    b.run("project", "share", str(theirs[b]), "--yes")
    b.run("team", "remove", "dave", "--yes")
    c.up()
    until(lambda: _leader(c) == b.tag, "C follows B")
    wait_for_offer(c, "by-b")
    c.run("accept", "by-b", "--yes")
    d.up()
    until(lambda: not d.json("team", "list")["teams"], "D to know that it was removed")
    a.up()

    until(lambda: _leader(a) == b.tag, "A steps down")
    for member in (a, b, c):
        until(lambda m=member: _team(m) == ("by-b", 3, {a.tag, b.tag, c.tag}), f"{member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        until(lambda m=member: not _shares(m, "by-a"), f"A's project gone at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    refused = a.run("team", "rename", "again", check=False)
    assert (refused.code, "only the leader" in refused.err) == (12, True)
    told = a.run("events").out
    assert "leadership taken over: bob.box" in told
    _, _, since = told.rpartition("removed: dave.box")
    assert "asks to connect" not in since, "D may say that it knows, but is no new contact"
    wait_for_offer(a, "by-b")
    written = {m: m.write_session(f"at last, by {m.user}") for m in (a, b, c)}
    for reader in (a, b, c):
        reader.until_readable(*written.values())
    gone = d.write_session("by who was removed")
    in_b = c.write_session("in B's project", cwd=theirs[c])
    b.until_readable(in_b)
    assert [m.peek(gone.id) for m in (a, b, c)] == [None] * 3
    assert [d.peek(s.id) for s in written.values()] == [None] * 3


def _roles(member: Member) -> dict[str, str]:
    return {m["tag"]: m["role"] for m in member.json("team", "show")["members"]}


def _leader(member: Member) -> str:
    (found,) = [tag for tag, role in _roles(member).items() if role == "leader"]
    return found


def _team(member: Member) -> tuple[str, int, set[str]]:
    shown = member.json("team", "show")
    return shown["name"], shown["term"], {m["tag"] for m in shown["members"]}


def _shares(member: Member, project: str) -> bool:
    found = member.json("subscription", "list")["subscriptions"]
    return any(s["project"].endswith(f"/{project}") for s in found)
