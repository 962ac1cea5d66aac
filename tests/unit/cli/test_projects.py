"""The messages of `project` commands, and that a refused command changes nothing."""

import json
from pathlib import Path

import pytest

from tests.support.harness import PROJECT, Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one


@pytest.fixture(scope="module")
def alice(town: Town) -> Member:
    alice = town.member("alice")
    alice.run("team", "create", "backend")
    alice.run("project", "share", ".", "--yes")
    return alice


def _plain(alice: Member, name: str) -> Path:
    place = alice.folder / name
    place.mkdir()
    alice.write_session("x", cwd=place)
    return place


def _project(alice: Member, place: Path) -> str:
    found = json.loads(alice.run("project", "scan", "--json").out)["directories"]
    return str(next(each["project"] for each in found if each["works_in"] == [str(place)]))


def test_a_project_is_named_by_its_ending_and_what_leaves_is_said(alice: Member) -> None:
    place = _plain(alice, "by ending")

    told = alice.run("project", "map", str(place), "repo", "--yes").out

    assert f"More of {PROJECT} in team backend would be sent." in told
    assert "sends now:   1 session" in told
    assert f"from {place}\n" in told
    assert "receivers:   none yet; later every member of the team" in told
    assert f"Sessions in {place} belong to {PROJECT}: 1 now." in told
    assert _project(alice, place) == PROJECT


def test_what_was_mapped_by_mistake_is_taken_back(alice: Member) -> None:
    place = _plain(alice, "mistake")
    alice.run("project", "map", str(place), PROJECT, "--yes")

    told = alice.run("project", "map", str(place), "--remove").out

    assert "session unshare" in told
    assert _project(alice, place) == ""
    again = alice.run("project", "map", str(place), "--remove", check=False)
    assert again.code == 5
    assert "was not mapped" in again.err


@pytest.mark.parametrize("named", ["nope", "acme/nope", "https://", "a b"])
def test_what_names_no_project_is_refused(alice: Member, named: str) -> None:
    place = alice.folder / "refused"

    told = alice.run("project", "map", str(place), named, check=False)

    assert told.code == 2
    assert "does not name a repository on a host, and no team of yours shares a project" in told.err
    assert "try: for instance github.com/acme/web" in told.err


def test_a_home_is_not_mapped(alice: Member) -> None:
    for place in ("/", "~"):
        told = alice.run("project", "map", place, PROJECT, check=False)
        assert told.code == 2
        assert "your home lies in" in told.err


def test_a_directory_without_git_is_shared_once_it_is_mapped(alice: Member) -> None:
    place = _plain(alice, "notes")
    refused = alice.run("project", "share", str(place), "--yes", check=False)
    assert refused.code == 5
    assert f"karma-sync project map {place} PROJECT" in refused.err

    alice.run("project", "map", str(place), "example.org/acme/notes")
    told = alice.run("project", "share", ".", "--yes", cwd=place).out

    assert "example.org/acme/notes in team backend" in told
    assert "sends now:   1 session," in told
    assert "it is accepted" in alice.run("accept", ".", cwd=place, check=False).err


def test_a_directory_that_is_not_there_is_not_shared(alice: Member) -> None:
    told = alice.run("project", "share", "nowhere", check=False)

    assert told.code == 5
    assert f"there is no directory {alice.repo / 'nowhere'}" in told.err


def test_a_password_in_a_remote_is_not_shown(alice: Member) -> None:
    place = alice.clone("alice:hunter2@example.org/acme/repo", "spoken")
    alice.write_session("x", cwd=place)

    for told in (
        alice.run("project", "scan"),
        alice.run("project", "scan", "--json"),
        alice.run("project", "share", str(place), check=False),
    ):
        assert "hunter2" not in told.out + told.err
    assert "'…@example.org/acme/repo' does not name a repository" in told.err


def test_a_directory_above_a_link_is_the_one_above_its_target(alice: Member) -> None:
    """`..` is resolved as the system does it, not by taking a name off the path."""
    clone = alice.clone("https://example.org/acme/dots.git", "dots")
    (clone / "deep").mkdir()
    elsewhere = alice.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(clone / "deep")

    told = alice.run("project", "share", "link/..", "--dry-run", cwd=elsewhere, check=False)

    assert "example.org/acme/dots" in told.out + told.err, told


def test_clones_without_a_session_are_shared_together(town: Town) -> None:
    hal = town.member("hal")
    hal.run("team", "create", "fresh")
    places = [hal.clone(f"git@example.org:acme/{n}.git", n) for n in ("new-web", "new-api")]

    told = hal.run("project", "share", *map(str, places), "--yes").out

    assert "no clone" not in told
    shared = hal.json("subscription", "list")["subscriptions"]
    assert {(s["project"], s["direction"]) for s in shared} == {
        ("example.org/acme/new-web", "both"),
        ("example.org/acme/new-api", "both"),
    }
