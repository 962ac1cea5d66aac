"""Every move of a subscription takes effect: at once on the own side, soon at the peer."""

import json

import pytest

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share, up

pytestmark = pytest.mark.memory


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`, in both directions; one session of each has arrived."""
    a, b = town.pair()
    first, second = a.write_session("from A"), b.write_session("from B")
    b.until_readable(first)
    a.until_readable(second)
    return a, b


def test_a_paused_project_stops_both_ways_and_goes_on_where_it_was(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    a.run("subscription", "pause", "repo")
    until(lambda: _paused(a) == 2, "both channels paused at A")
    mine, theirs = a.write_session("written by A in the pause"), b.write_session("by B in it")
    until(lambda: _says(b, "alice.box", "paused"), "B to see that A paused")

    assert b.peek(mine.id) is None
    assert a.peek(theirs.id) is None

    a.run("subscription", "resume", "repo")
    b.until_readable(mine)
    a.until_readable(theirs)


def test_everything_can_be_paused_at_once_and_resumed(pair: tuple[Member, Member]) -> None:
    a, b = pair
    a.run("pause", "--for", "2h")
    until(lambda: _paused(a) == 2, "both channels paused at A")

    assert a.json("status")["paused"]["until"]
    assert _says(b, "alice.box", "accepted"), "a pause as a whole is nobody's business"

    a.run("resume")
    written = a.write_session("after the pause")
    b.until_readable(written)
    assert a.run("resume", check=False).code == 6


@pytest.mark.slow  # the pause has to last over two restarts
def test_a_pause_outlives_restarts_and_ends_at_its_time(town: Town) -> None:
    a, b = town.member("erin"), town.member("frank")
    up(a, b)
    found_team(a, b)
    share(a, b)
    a.until_readable(b.write_session("before"))
    a.run("pause", "--for", "40s")
    a.down()
    mine, theirs = a.write_session("by A in the pause"), b.write_session("by B in the pause")
    a.up()
    until(lambda: _paused(a) == 2, "both channels paused again")
    a.kill9()
    until(lambda: not a.processes(), "its Syncthing to go too")
    a.up()

    assert a.json("status")["paused"]["until"]
    assert _paused(a) == 2
    assert (b.peek(mine.id), a.peek(theirs.id)) == (None, None)
    until(lambda: a.json("status")["paused"] is None, "the end of the pause")
    b.until_readable(mine)
    a.until_readable(theirs)
    told = [event for event in _events(a) if event[2].startswith("everything")]
    assert [what for what, *_ in told] == ["paused", "resumed"]


def test_narrowing_keeps_what_was_sent_and_widening_sends_again(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    sent = a.write_session("before narrowing")
    b.until_readable(sent)
    a.run("subscription", "change", "repo", "--direction", "receive")
    until(lambda: not a.outboxes(), "A's outbox to go")
    kept_back = a.write_session("while only receiving")
    theirs = b.write_session("B goes on")
    a.until_readable(theirs)

    assert b.peek(sent.id) == sent.content
    assert b.peek(kept_back.id) is None

    a.run("subscription", "change", "repo", "--direction", "both", "--yes")
    b.until_readable(sent, kept_back)


def test_a_decline_withdraws_what_was_sent_and_a_new_accept_sends_it_anew(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    sent = a.write_session("A regrets this")
    b.until_readable(sent)
    before = set(a.folders())
    a.run("decline", "repo", "--yes")
    until(lambda: b.peek(sent.id) is None, "the withdrawn session to go at B")
    until(lambda: not _mentions(b, sent.id), "the withdrawn session to go from B's disk")

    assert a.run("accept", "repo", "--yes", check=False).code == 6
    a.run("subscription", "reopen", "repo")
    a.run("accept", "repo", "--yes", "--since", "all")
    b.until_readable(sent)
    assert not (set(a.folders()) - before) & before, "a channel's id is never used twice"


def test_status_tells_what_each_receiver_has_confirmed(pair: tuple[Member, Member]) -> None:
    a, b = pair
    written = a.write_session("to be confirmed")
    b.until_readable(written)

    def confirmed() -> bool:
        (project,) = a.json("status")["projects"]
        receipt = project["receivers"].get("bob.box")
        return bool(receipt) and receipt["whole"] and receipt["items"] == project["sent"]

    until(confirmed, "B's receipt to cover all that A sent")
    assert a.run("status", "--check").code == 0


def test_events_tell_each_change_once_to_who_made_it_and_to_the_others(
    pair: tuple[Member, Member],
) -> None:
    mine, theirs = (_events(member) for member in pair)
    moves = [
        ("accepted", f"{PROJECT} in backend: both, since "),
        ("paused", f"{PROJECT} in backend: both, since "),
        ("resumed", f"{PROJECT} in backend: both, since "),
        ("paused", "everything, until "),
        ("resumed", "everything"),
        ("changed", f"{PROJECT} in backend: receive, since "),
        ("changed", f"{PROJECT} in backend: both, since "),
        ("declined", f"{PROJECT} in backend"),
        ("reopened", f"{PROJECT} in backend"),
        ("accepted", f"{PROJECT} in backend: both"),
    ]
    items = {"packaged", "received"}
    own = [(what, why) for what, who, why in mine if who == "alice.box" and what not in items]

    assert own[:2] == [("founded", "team backend"), ("shared", f"{PROJECT} with backend")]
    assert [what for what, _ in own[2:]] == [what for what, _ in moves]
    assert all(why.startswith(start) for (_, why), (_, start) in zip(own[2:], moves, strict=True))
    assert mine.count(("added", "bob.box", "team backend")) == 1
    assert mine.count(("joined", "bob.box", "team backend")) == 1
    assert theirs.count(("joined", "bob.box", "team backend")) == 1
    assert ("paused", "alice.box", f"{PROJECT} in backend: both") in theirs
    assert sum(what == "withdrawn" for what, *_ in theirs) == 1
    assert [event for event in (*mine, *theirs) if event[0].startswith("fault")] == []


def test_a_command_without_the_daemon_is_told_of_too(town: Town) -> None:
    alone = town.member("dave")
    alone.run("team", "create", "solo")
    alone.run("pause")

    assert _events(alone) == [
        ("founded", "dave.box", "team solo"),
        ("paused", "dave.box", "everything"),
    ]


def test_a_name_can_change_only_while_nobody_knows_it(
    town: Town, pair: tuple[Member, Member]
) -> None:
    lonely = town.member("carol")
    lonely.run("rename", "--machine", "desk")

    assert lonely.json("code")["tag"] == "carol.desk"
    assert pair[0].run("rename", "--machine", "desk", check=False).code == 6


def _events(member: Member) -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in member.run("events", "--json").lines]
    return [(e["type"], e["subject"], e["payload"]) for e in found]


def _paused(member: Member) -> int:
    return sum(folder["paused"] for folder in member.rest("config/folders"))


def _says(member: Member, other: str, status: str) -> bool:
    (found,) = member.json("subscription", "list")["subscriptions"]
    return any((o["member"], o["status"]) == (other, status) for o in found["others"])


def _mentions(member: Member, session_id: str) -> bool:
    """Whether any file of the library, the database included, still names the session."""
    files = [p for p in member.paths.library.rglob("*") if p.is_file()]
    return any(session_id.encode() in path.read_bytes() for path in files)
