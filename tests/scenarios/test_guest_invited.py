"""A guest is told that it is invited as one, before it says yes and afterwards."""

import pytest

from tests.support.memory_town import MemoryMember, MemoryTown

PROJECT = "example.org/acme/repo"
TERMS = f"as a guest: you receive {PROJECT} alone, and nobody receives anything from you."


@pytest.fixture
def invited(here: MemoryTown) -> MemoryMember:
    """Gina, whom Alice invites as a guest; she has not paired, and fetches the invitation."""
    alice, gina = (here.member(user).up() for user in ("alice", "gina"))
    alice.run("team", "create", "backend")
    alice.run("project", "share", ".", "--yes")
    said = alice.run("team", "guest", gina.code, "--project", "repo", "--yes").out
    assert "gina.box is on the roster of backend, as a guest." in said
    here.settle()
    [contact] = gina.json("inbox")["contacts"]
    gina.run("invitation", "accept", contact["id"])
    here.settle()
    return gina


def test_the_inbox_says_what_a_guest_would_receive(invited: MemoryMember) -> None:
    [asked] = invited.json("inbox")["invitations"]
    shown = invited.run("inbox").out

    assert asked["limited_to"] == [PROJECT]
    assert "backend, as a guest, led by alice.box" in shown
    assert f"{asked['id']} invites you {TERMS}" in shown
    assert "alice.box invites you to backend as a guest" in invited.run("status").out


def test_who_accepts_is_told_what_it_is(invited: MemoryMember, here: MemoryTown) -> None:
    [asked] = invited.json("inbox")["invitations"]

    said = invited.run("invitation", "accept", asked["id"]).out
    here.settle()

    assert f"You are in it {TERMS}" in said
    events = invited.run("events").out
    assert "invites you to team backend, as a guest" in events
    assert "joined: gina.box: team backend, as a guest" in events


def test_an_invitation_that_becomes_one_of_a_guest_is_shown_again_first(here: MemoryTown) -> None:
    alice, dan = (here.member(user).up() for user in ("alice", "dan"))
    alice.run("team", "create", "backend")
    alice.run("project", "share", ".", "--yes")
    alice.run("team", "add", dan.code, "--yes")
    here.settle()
    [contact] = dan.json("inbox")["contacts"]
    dan.run("invitation", "accept", contact["id"])
    here.settle()
    [asked] = dan.json("inbox")["invitations"]
    assert "guest" not in dan.run("inbox").out
    alice.run("team", "remove", "dan", "--yes")
    alice.run("team", "guest", dan.code, "--project", "repo", "--yes")
    here.settle()

    refused = dan.run("invitation", "accept", asked["id"], check=False)
    assert refused.code == 6
    assert "not what you were shown" in refused.err
    assert "as a guest" in dan.run("inbox").out
    dan.run("invitation", "accept", asked["id"])
    here.settle()
    assert dan.json("team", "show")["you"] == "you are a guest"
