"""Without pairing beforehand: first the contact, then the invitation, and nothing unasked."""

from dataclasses import dataclass
from typing import Any

import pytest

from karma_sync.metadata.signing import SigningKey
from tests.harness import PROJECT, Member, until
from tests.town import Town, up, wait_for_offer

pytestmark = pytest.mark.daemon

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """B's view at each stage: asked by a device, invited by its team, after having said no."""

    a: Member
    b: Member
    contact: Json
    contact_text: str
    while_contact: Json
    folders_while_contact: dict[str, str]
    invitation: Json
    invitation_text: str
    while_invited: Json
    folders_while_invited: dict[str, str]
    declined: str


@pytest.fixture(scope="module")
def asked(town: Town) -> Asked:
    """A adds B to a team with a project and a session; B accepts the contact, not the team."""
    a, b = town.members("alice", "bob")
    a.write_session("not for everybody")
    a.run("team", "create", "backend")
    a.run("project", "share", ".", "--yes")
    a.run("team", "add", b.code)
    contact = until(lambda: b.json("inbox")["contacts"], "A's contact in B's inbox")[0]
    contact_text = b.run("inbox").out
    while_contact, folders_while_contact = b.json("subscription", "list"), b.folders()
    b.run("invitation", "accept", contact["id"])
    invitation = until(lambda: b.json("inbox")["invitations"], "the invitation to backend")[0]
    invitation_text = b.run("inbox").out
    while_invited, folders_while_invited = b.json("subscription", "list"), b.folders()
    b.run("invitation", "decline", invitation["id"])
    for member in (a, b):
        member.down()
    up(a, b)  # A offers its folders anew
    return Asked(
        *(a, b),
        *(contact, contact_text, while_contact, folders_while_contact),
        *(invitation, invitation_text, while_invited, folders_while_invited),
        invitation["id"],
    )


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
    assert asked.contact["name"] == "alice.box"
    assert "alice.box (its own claim, not verified)" in asked.contact_text
    assert f"Next: karma-sync invitation accept {asked.contact['id']}" in asked.contact_text


def test_a_contact_alone_gives_no_team_no_project_and_no_folder(asked: Asked) -> None:
    assert asked.while_contact["subscriptions"] == []
    assert asked.folders_while_contact == {}


def test_an_accepted_contact_brings_the_invitation_with_team_and_leader(asked: Asked) -> None:
    assert (asked.invitation["team_name"], asked.invitation["leader_tag"]) == (
        "backend",
        "alice.box",
    )
    assert asked.invitation["leader_key"] == SigningKey.load(asked.a.paths.key).public
    assert "backend, led by alice.box" in asked.invitation_text


def test_an_invitation_shows_the_leaders_fingerprint_before_it_is_answered(asked: Asked) -> None:
    assert asked.a.json("code")["fingerprint"] in asked.invitation_text


def test_an_invitation_fetches_nothing_but_metadata(asked: Asked) -> None:
    assert asked.while_invited["subscriptions"] == []
    assert [folder[:5] for folder in asked.folders_while_invited] == ["ks-m-"]


def test_a_declined_invitation_never_comes_back_and_the_next_one_does(
    asked: Asked, joined: Member
) -> None:
    waiting = joined.json("inbox")

    assert waiting["contacts"] == []
    assert asked.declined not in {i["id"] for i in waiting["invitations"]}
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


def test_an_answer_cannot_be_given_twice(asked: Asked) -> None:
    again = asked.b.run("invitation", "accept", asked.declined, check=False)

    assert again.code == 6
    assert "declined already" in again.err


def test_a_declined_contact_never_comes_back(town: Town, asked: Asked) -> None:
    (carol,) = town.members("carol")
    asked.a.run("team", "add", carol.code, "--team", "backend")
    (contact,) = until(lambda: carol.json("inbox")["contacts"], "A's contact in C's inbox")
    carol.run("invitation", "decline", contact["id"])
    carol.down()
    carol.up()
    asked.b.run("team", "create", "other")
    asked.b.run("team", "add", carol.code, "--team", "other")

    (left,) = until(lambda: carol.json("inbox")["contacts"], "B's contact in C's inbox")

    assert left["name"] == "bob.box"
    assert carol.folders() == {}
