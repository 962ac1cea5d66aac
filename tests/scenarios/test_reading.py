"""The output of commands: for people with the next step, for programs as JSON."""

import json
import re
from dataclasses import dataclass

import pytest

from tests.support.harness import PROJECT, Member, Result, until
from tests.support.town import Town, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon


@dataclass(frozen=True)
class Told:
    """Two members who share a project with one session, and what the commands for it said."""

    a: Member
    b: Member
    newest: Session
    said: dict[str, Result]


@pytest.fixture(scope="module")
def told(town: Town) -> Told:
    a, b = town.member("alice"), town.member("bob")
    newest = a.write_session("make the tests pass")
    up(a, b)
    said = {
        "create": a.run("team", "create", "backend"),
        "pair": b.run("pair", a.code),
        "add": a.run("team", "add", b.code),
        "share": a.run("project", "share", ".", "--yes"),
        "accept": b.run("accept", "repo", "--yes", "--wait"),
        "list": b.run("session", "list"),
    }
    return Told(a, b, newest, said)


def test_the_author_sees_the_own_sessions_as_by_you(told: Told) -> None:
    assert "by you" in told.a.run("session", "list").out


def test_show_gives_the_conversation_for_people(told: Told) -> None:
    shown = told.b.run("session", "show", told.newest.id[:8]).out

    assert re.search(r"## user  .* UTC\nmake the tests pass", shown)
    assert "by alice.box, claude-code" in shown


def test_each_command_ends_with_the_next_one_to_type(told: Told) -> None:
    for name, result in told.said.items():
        assert result.lines[-1].startswith("Next: karma-sync "), name


def test_who_does_not_lead_a_team_can_neither_add_to_it_nor_share_with_it(told: Told) -> None:
    place = told.b.clone("git@example.org:acme/web.git", "web")
    before = told.b.json("subscription", "list"), told.b.json("status")["peers"]
    for command in (("team", "add", told.a.code), ("project", "share", str(place), "--yes")):
        done = told.b.run(*command, check=False)
        assert done.code == 12, done
        assert "alice.box" in done.err

    assert (told.b.json("subscription", "list"), told.b.json("status")["peers"]) == before


def test_code_that_is_piped_on_is_nothing_but_the_code(told: Told) -> None:
    assert re.fullmatch(r"[A-Z2-7-]+\n", told.a.run("code").out)


def test_every_reading_command_speaks_json_with_a_schema_version(told: Told) -> None:
    for command in (
        ("code",),
        ("inbox",),
        ("status",),
        ("subscription", "list"),
        ("sub", "list"),
        ("session", "list"),
        ("session", "show", told.newest.id),
    ):
        assert told.b.json(*command)["schema_version"] == 1, command


def test_events_are_one_json_object_a_line(told: Told) -> None:
    events = [json.loads(line) for line in told.b.run("events", "--json").lines]

    assert events
    assert {event["schema_version"] for event in events} == {1}


def test_status_tells_who_is_connected_and_what_came(told: Told) -> None:
    def peers() -> list[tuple[str, bool]]:
        return [(p["tag"], p["connected"]) for p in told.b.json("status")["peers"]]

    # an accept may cost Syncthing its connection for a moment (docs/syncthing.md, "Connections")
    until(lambda: peers() == [("alice.box", True)], "A connected in B's status")
    (project,) = told.b.json("status")["projects"]

    assert (project["project"], project["status"]) == (PROJECT, "accepted")
    assert project["received"]["alice.box"] == 1
    assert (project["refused"], project["withheld"], project["waiting"]) == ({}, {}, 0)
