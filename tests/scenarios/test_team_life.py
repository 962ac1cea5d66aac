"""The life of a team after its first day: members leave or are removed; items stay or go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from karma_sync.app import App
from karma_sync.store import state
from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share, wait_for_offer
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Three:
    """A leads B and C; each sent one session, and has those of the others."""

    a: Member
    b: Member
    c: Member
    sessions: dict[str, Session]


def team_of_three(town: Town, users: tuple[str, str, str], name: str = "backend") -> Three:
    """A team of three new members who have all of each other's sessions."""
    a, b, c = town.members(*users)
    found_team(a, b, c, name=name)
    share(a, b, c)
    sessions = {m.user: m.write_session(f"by {m.user}") for m in (a, b, c)}
    for member in (a, b, c):
        member.until_readable(*sessions.values())
    return Three(a, b, c, sessions)


def tags(member: Member, team: str | None = None) -> set[str]:
    """The members of a team as one of them sees it."""
    option = ("--team", team) if team else ()
    return {m["tag"] for m in member.json("team", "show", *option)["members"]}


def ids(member: Member) -> set[str]:
    """The sessions of others that can be read here, and one's own."""
    return {s["session_id"] for s in member.sessions()}


def forgets(member: Member, *sessions: Session) -> Callable[[], bool]:
    """Whether none of these sessions can be read there any more."""
    return lambda: not any(member.peek(session.id) for session in sessions)


def configured(member: Member) -> tuple[set[str], set[str]]:
    """The folders and devices in Syncthing's configuration, but its own device."""
    devices = {d["deviceID"] for d in member.rest("config/devices")}
    return set(member.folders()), devices - {member.json("code")["device"]}


def has_no_channel(member: Member) -> bool:
    """Whether only the documents of teams are exchanged."""
    return {folder[:5] for folder in member.folders()} == {"ks-m-"}


def directories(member: Member) -> set[str]:
    """The folders on disk."""
    return {path.name for path in member.paths.folders.iterdir()}


def rows(member: Member) -> dict[str, int]:
    """How many rows each table of state.db has that can be about a team."""
    app = App(member.paths, member.environ)
    try:
        with app.state.reading() as tx:
            return {
                "team": len(state.teams.all(tx)),
                "subscription": len(state.subscriptions.all(tx)),
                "agreed": len(state.agreements.all(tx)),
                "pairing": len(state.pairings.all(tx)),
                "contact": len(state.contacts.all(tx)),
                "former": len(state.formers.all(tx)),
                "removal": len(state.removals.all(tx)),
                "document": sum(len(state.documents(tx, t.id)) for t in state.teams.all(tx)),
            }
    finally:
        app.close()


@pytest.fixture(scope="module")
def left(town: Town) -> Three:
    three = team_of_three(town, ("alice", "bob", "carol"))
    three.b.run("team", "leave", "--yes")
    return three


def test_who_leaves_is_gone_at_all_others_with_what_it_sent(left: Three) -> None:
    a, b, c = left.a, left.b, left.c
    device = b.json("code")["device"]
    for other in (a, c):
        until(lambda o=other: b.tag not in tags(o), f"B gone at {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        until(forgets(other, left.sessions["bob"]), f"what B sent gone at {other.tag}")

    assert a.json("team", "show")["removed"][0]["how"] == "left"
    after = a.write_session("after B left")
    c.until_readable(after)
    assert b.peek(after.id) is None
    assert device in configured(a)[1], "for a while B may see that we know"


def test_nothing_is_left_at_who_left_but_that_it_did(left: Three) -> None:
    b = left.b
    until(lambda: not b.folders(), "no folder at B")
    until(lambda: not directories(b), "no directory at B")

    assert configured(b) == (set(), set())
    assert {name: count for name, count in rows(b).items() if count} == {"former": 1}
    (former,) = b.json("team", "list")["former"]
    assert (former["name"], former["how"]) == ("backend", "left")
    assert left.sessions["alice"].id in ids(b), "for seven days"


@pytest.fixture(scope="module")
def removed(town: Town) -> Three:
    """B was removed while it was offline; its Syncthing is not back yet."""
    three = team_of_three(town, ("dora", "emil", "fay"))
    three.b.down()
    three.a.run("team", "remove", "emil", "--retract", "--yes")
    return three


def test_who_is_removed_is_in_no_list_of_any_member_and_its_items_go(removed: Three) -> None:
    device = removed.b.json("code")["device"]
    for other in (removed.a, removed.c):
        until(lambda o=other: removed.b.tag not in tags(o), f"gone at {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        until(forgets(other, removed.sessions["emil"]), f"its session gone at {other.tag}")
        shared = {f["id"] for f in other.rest("config/folders") if _shared_with(f, device)}
        until(lambda o=other: len(_with(o, device)) == 1, f"only the notice at {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        assert all(folder.startswith("ks-r-") for folder in shared)


def _shared_with(folder: dict[str, Any], device: str) -> bool:
    return device in {entry["deviceID"] for entry in folder["devices"]}


def _with(member: Member, device: str) -> set[str]:
    return {f["id"] for f in member.rest("config/folders") if _shared_with(f, device)}


def test_the_removed_one_learns_of_it_and_deletes_what_it_received(removed: Three) -> None:
    b = removed.b
    b.up()
    until(lambda: not b.json("team", "list")["teams"], "B to know")
    until(forgets(b, removed.sessions["dora"], removed.sessions["fay"]), "what B received gone")

    (former,) = b.json("team", "list")["former"]
    assert former["how"] == "removed"
    assert "removed" in b.run("events").out
    for other in (removed.a, removed.c):
        until(lambda o=other: not _with(o, b.json("code")["device"]), f"told: {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    found = {name: count for name, count in rows(b).items() if count}
    assert found == {"former": 1, "removal": 1}
    assert {folder[:5] for folder in b.folders()} == {"ks-r-"}


def test_who_was_removed_can_be_added_again(removed: Three) -> None:
    a, b, c = removed.a, removed.b, removed.c
    before = {folder for folder in a.folders() if folder.startswith("ks-c-")}
    b.run("pair", a.code)
    a.run("team", "add", b.code, "--yes")
    wait_for_offer(b, "repo")
    b.run("accept", "repo", "--yes")
    again = b.write_session("back again")

    for other in (a, c):
        other.until_readable(again)
    b.until_readable(removed.sessions["dora"], removed.sessions["fay"])
    assert tags(b) == tags(a) == {"dora.box", "emil.box", "fay.box"}
    assert {folder for folder in a.folders() if folder.startswith("ks-c-")} - before


@pytest.fixture(scope="module")
def led(town: Town) -> Three:
    """Names the leader's successors: B, then C."""
    three = team_of_three(town, ("gus", "hana", "ivo"))
    three.a.run("team", "successors", "hana", "ivo", "--yes")
    until(lambda: leader(three.c) == "gus.box" and roles(three.c)["ivo.box"] == "successor 2", "C")
    return three


def roles(member: Member) -> dict[str, str]:
    """By tag, what each member is in the team."""
    return {m["tag"]: m["role"] for m in member.json("team", "show")["members"]}


def leader(member: Member) -> str:
    (found,) = [tag for tag, role in roles(member).items() if role == "leader"]
    return found


def test_only_the_leader_leads(led: Three) -> None:
    for command in (
        ["remove", "ivo", "--yes"],
        ["dissolve", "--yes"],
        ["rename", "other"],
        ["policy", "--removed", "keep"],
        ["transfer", "ivo", "--yes"],
        ["successors", "ivo", "--yes"],
    ):
        refused = led.b.run("team", *command, check=False)
        assert (refused.code, "only the leader" in refused.err) == (12, True), command
    refused = led.a.run("team", "leave", "--yes", check=False)
    assert refused.code == 6
    assert "team transfer" in refused.err


def test_a_successor_takes_over_and_the_returning_leader_steps_down(led: Three) -> None:
    a, b, c = led.a, led.b, led.c
    a.down()
    a.run("team", "rename", "unseen")  # by who leads no longer: nobody will see it
    b.run("team", "take-over", "--yes")
    b.run("team", "rename", "taken")
    until(lambda: leader(c) == b.tag, "C follows B")
    a.up()

    until(lambda: leader(a) == b.tag, "A follows B")
    for member in (a, b, c):
        shown = member.json("team", "show")
        assert (shown["name"], shown["term"]) == ("taken", 3)
    assert a.run("team", "rename", "again", check=False).code == 12
    session = a.write_session("as a member")
    for member in (b, c):
        member.until_readable(session)


def test_leadership_passes_on_while_the_new_leader_is_off(led: Three) -> None:
    a, b, c = led.a, led.b, led.c
    c.down()
    b.run("team", "transfer", "ivo", "--yes")
    until(lambda: leader(a) == c.tag, "A follows")
    assert b.run("team", "rename", "mine", check=False).code == 12

    c.up()
    until(lambda: leader(c) == c.tag, "C knows that it leads")
    c.run("team", "rename", "third")
    for member in (a, b):
        until(lambda m=member: m.json("team", "show")["name"] == "third", f"{member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default


def test_an_unshared_project_stops_and_what_was_exchanged_stays(led: Three) -> None:
    a, b, c = led.a, led.b, led.c
    c.run("project", "unshare", "repo", "--yes")
    for member in (a, b, c):
        until(lambda m=member: has_no_channel(m), f"channels of {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    assert led.sessions["hana"].id in ids(a)

    assert a.run("accept", "repo", "--yes", check=False).code == 6
    a.run("decline", "repo", "--yes")
    for member in (b, c):
        until(forgets(member, led.sessions["gus"]), f"withdrawn at {member.tag}")

    c.run("project", "share", str(c.repo), "--yes")
    wait_for_offer(a, "repo")
    wait_for_offer(b, "repo")
    standing = {m.user: m.json("subscription", "list")["subscriptions"][0] for m in (a, b)}
    assert standing["hana"]["status"] == "offered", "an answer to the earlier one does not count"
    assert standing["gus"]["status"] == "declined"


def test_a_member_proposes_a_project_and_the_leaders_inbox_shows_it(led: Three) -> None:
    a, c = led.a, led.c
    place = a.clone("git@example.org:acme/new.git", "new")
    a.run("project", "propose", str(place))

    found = until(lambda: c.json("inbox")["proposals"], "the proposal")
    assert found == [{"team": "third", "member": a.tag, "project": "example.org/acme/new"}]
    assert "acme/new" in c.run("inbox").out


def test_a_dissolved_team_exchanges_nothing_and_everybody_can_leave(led: Three) -> None:
    a, b, c = led.a, led.b, led.c
    c.run("team", "dissolve", "--yes")
    for member in (a, b, c):
        until(lambda m=member: m.json("team", "show")["status"] == "dissolved", member.tag)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        until(lambda m=member: has_no_channel(m), f"channels of {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    assert led.sessions["hana"].id in ids(a)

    for member in (c, b, a):
        member.run("team", "leave", "--keep", "--keep-shared", "--yes")
        until(lambda m=member: not m.folders(), f"nothing at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    assert led.sessions["hana"].id in ids(a), "it was to be kept"


def test_a_guest_receives_the_named_project_and_can_send_nothing(town: Town) -> None:
    a, b, guest = town.members("jan", "kim", "lea")
    found_team(a, b)
    share(a, b)
    place = a.clone("git@example.org:acme/hidden.git", "hidden")
    share(a, b, project="hidden", cwd=place)
    guest.run("pair", a.code)
    a.run("team", "guest", guest.code, "--project", "repo", "--yes")
    session, hidden = b.write_session("for the guest"), a.write_session("hidden", cwd=place)
    own = guest.write_session("by the guest")
    wait_for_offer(guest, "repo")

    refused = guest.run("accept", "repo", "--direction", "both", "--yes", check=False)
    assert (refused.code, "guest" in refused.err) == (6, True)
    guest.run("accept", "repo", "--yes")
    guest.until_readable(session)
    b.until_readable(hidden)
    assert [s["project"] for s in guest.json("subscription", "list")["subscriptions"]] == [PROJECT]
    assert (guest.peek(hidden.id), a.peek(own.id), b.peek(own.id)) == (None, None, None)
    assert set(guest.folders().values()) == {"sendreceive", "receiveonly"}
    device = guest.json("code")["device"]
    assert len(_with(a, device)) == len(_with(b, device)) == 3, "documents and two channels"
