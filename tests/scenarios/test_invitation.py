"""Without pairing beforehand: first the contact, then the invitation, and nothing unasked."""

from dataclasses import dataclass
from typing import Any

import pytest

from karma_sync.signing import SigningKey
from tests.support.harness import PROJECT, Member, until
from tests.support.memory_town import MemoryTown
from tests.support.town import Town, up, wait_for_offer

pytestmark = pytest.mark.memory

Json = dict[str, Any]


@dataclass(frozen=True)
class View:
    """B's view at one moment: the invitations that wait for its answer, and its own data."""

    waiting: Json
    inbox: str
    subscriptions: list[Json]
    folders: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """B was asked by a device, then invited by its team, and said no to that."""

    a: Member
    b: Member
    contact: View
    invitation: View


def _view(b: Member, kind: str) -> View:
    (waiting,) = until(lambda: b.json("inbox")[kind], f"one of B's {kind}")
    subscriptions = b.json("subscription", "list")["subscriptions"]
    return View(waiting, b.run("inbox").out, subscriptions, b.folders())


def test_who_is_in_no_team_is_told_of_an_invitation_that_waits(here: MemoryTown) -> None:
    a, b = here.members("alice", "bob")
    a.run("team", "create", "backend")
    alone = b.run("accept", "repo", check=False).err
    a.run("team", "add", b.code, "--yes")
    here.settle()
    (contact,) = b.json("inbox")["contacts"]
    asked = b.run("accept", "repo", check=False).err
    b.run("invitation", "accept", contact["id"])
    here.settle()

    wait = "karma-sync accept repo --wait, to wait for it"
    assert f"try: {wait}" in alone
    for said in (asked, b.run("accept", "repo", check=False).err):
        assert f"try: karma-sync inbox, or {wait}" in said
    assert "try: karma-sync inbox" in b.run("team", "show", check=False).err


@pytest.fixture(scope="module")
def asked(town: Town) -> Asked:
    """A adds B to a team with a project and a session; B accepts the contact, not the team."""
    a, b = town.members("alice", "bob")
    a.write_session("not for everybody")
    a.run("team", "create", "backend")
    a.run("project", "share", ".", "--yes")
    a.run("team", "add", b.code, "--yes")
    contact = _view(b, "contacts")
    b.run("invitation", "accept", contact.waiting["id"])
    invitation = _view(b, "invitations")
    b.run("invitation", "decline", invitation.waiting["id"])
    for member in (a, b):
        member.down()
    up(a, b)  # A offers its folders anew
    return Asked(a, b, contact, invitation)


@pytest.fixture(scope="module")
def joined(asked: Asked) -> Member:
    """B, who accepted the invitation to a second team of A's."""
    a, b = asked.a, asked.b
    a.run("team", "create", "frontend")
    a.run("team", "add", b.code, "--team", "frontend")
    (second,) = until(lambda: b.json("inbox")["invitations"], "the invitation to frontend")
    assert second["team_name"] == "frontend"
    b.run("invitation", "accept", second["id"])
    return b


def test_a_stranger_appears_in_the_inbox_as_not_verified(asked: Asked) -> None:
    assert asked.contact.waiting["name"] == "alice.box"
    assert (
        f"alice.box, key {asked.a.json('code')['fingerprint']} (its own claim, not verified)"
        in asked.contact.inbox
    )
    assert (
        f"Next: karma-sync invitation accept {asked.contact.waiting['id']}" in asked.contact.inbox
    )


def test_a_contact_alone_gives_no_team_no_project_and_no_folder(asked: Asked) -> None:
    assert asked.contact.subscriptions == []
    assert asked.contact.folders == {}


def test_an_accepted_contact_brings_the_invitation_with_team_and_leader(asked: Asked) -> None:
    assert (asked.invitation.waiting["team_name"], asked.invitation.waiting["leader_tag"]) == (
        "backend",
        "alice.box",
    )
    assert asked.invitation.waiting["leader_key"] == SigningKey.load(asked.a.paths.key).public
    assert "backend, led by alice.box" in asked.invitation.inbox


def test_an_invitation_shows_the_leaders_fingerprint_before_it_is_answered(asked: Asked) -> None:
    assert asked.a.json("code")["fingerprint"] in asked.invitation.inbox


def test_an_invitation_fetches_nothing_but_metadata(asked: Asked) -> None:
    assert asked.invitation.subscriptions == []
    assert [folder[:5] for folder in asked.invitation.folders] == ["ks-m-"]


def test_a_declined_invitation_never_comes_back_and_the_next_one_does(
    asked: Asked, joined: Member
) -> None:
    waiting = joined.json("inbox")

    assert waiting["contacts"] == []
    assert asked.invitation.waiting["id"] not in {i["id"] for i in waiting["invitations"]}
    until(lambda: len(joined.folders()) == 1, "frontend's metadata folder alone at B")


def test_who_declined_is_in_no_team_and_has_nothing_of_it(asked: Asked, joined: Member) -> None:
    asked.a.run("project", "share", ".", "--team", "frontend", "--yes")
    wait_for_offer(joined, "repo")
    found = joined.json("subscription", "list")["subscriptions"]

    assert [(s["team"], s["project"]) for s in found] == [("frontend", PROJECT)]


def test_an_accepted_invitation_leads_to_sessions(asked: Asked, joined: Member) -> None:
    project = asked.a.clone("https://example.org/acme/web.git", "web")
    session = asked.a.write_session("for the second team", cwd=project)
    asked.a.run("project", "share", str(project), "--team", "frontend", "--yes")
    wait_for_offer(joined, "web")
    joined.run("accept", "web", "--yes")

    joined.until_readable(session)


def test_a_leader_adds_a_contact_without_another_code(town: Town) -> None:
    """A member that paired with the leader's code appears in the leader's inbox, with its key."""
    leader, newcomer = town.members("lea", "nora")
    leader.run("team", "create", "night")
    session = leader.write_session("for the newcomer")
    leader.run("project", "share", ".", "--yes")
    paired = newcomer.run("pair", leader.code)
    assert "paired with lea.box" in newcomer.run("status").out
    (waits,) = newcomer.json("inbox")["paired"]
    assert (waits["tag"], "lea.box" in newcomer.run("inbox").out) == ("lea.box", True)
    assert "Next: karma-sync code, for lea.box to type: karma-sync team add CODE" in paired.out

    (contact,) = until(lambda: leader.json("inbox")["contacts"], "the newcomer in the inbox")
    assert f"karma-sync team add {contact['id']} for your team" in leader.run("inbox").out
    accepted = leader.run("invitation", "accept", contact["id"]).out
    assert f"karma-sync team add {contact['id']}" in accepted
    assert f"karma-sync team add {contact['id']}" in leader.run("inbox").out
    asked = leader.run("team", "add", contact["id"], check=False)
    assert asked.code == 8
    assert newcomer.json("code")["fingerprint"] in asked.out

    leader.run("team", "add", contact["id"], "--yes")
    wait_for_offer(newcomer, "repo")
    newcomer.run("accept", "repo", "--yes")
    newcomer.until_readable(session)
    late = leader.run("invitation", "accept", contact["id"], check=False)
    assert (late.code, "nora.box is in team night" in late.err) == (6, True)
    assert leader.json("inbox")["contacts"] == []


def test_a_leader_adds_whom_it_paired_with_by_the_id_in_the_inbox(town: Town) -> None:
    leader, newcomer = town.members("lou", "ned")
    leader.run("team", "create", "day")
    newcomer.run("pair", leader.code)
    told = leader.run("pair", newcomer.code).out
    (paired,) = leader.json("inbox")["paired"]

    assert f"Next: karma-sync team add {paired['id']} for your team" in told
    leader.run("team", "add", paired["id"], "--yes")
    until(lambda: newcomer.json("status")["peers"], "the newcomer in the team")


def test_an_empty_team_says_what_to_do(town: Town) -> None:
    (leader,) = town.members("liz")
    leader.run("team", "create", "small")
    told = leader.run("status").out

    assert "team small has no other member yet" in told
    assert "team small shares no project yet" in told
    assert "Next: karma-sync invite, or karma-sync team add CODE" in told


def test_an_answer_cannot_be_given_twice(asked: Asked) -> None:
    again = asked.b.run("invitation", "decline", asked.invitation.waiting["id"], check=False)

    assert again.code == 6
    assert "already declined" in again.err


def test_a_declined_contact_never_comes_back(town: Town, asked: Asked) -> None:
    (carol,) = town.members("carol")
    asked.a.run("team", "add", carol.code, "--team", "backend", "--yes")
    (contact,) = until(lambda: carol.json("inbox")["contacts"], "A's contact in C's inbox")
    carol.run("invitation", "decline", contact["id"])
    carol.down()
    carol.up()
    asked.b.run("team", "create", "other")
    asked.b.run("team", "add", carol.code, "--team", "other")

    (left,) = until(lambda: carol.json("inbox")["contacts"], "B's contact in C's inbox")

    assert left["name"] == "bob.box"
    assert carol.folders() == {}
