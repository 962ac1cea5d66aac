"""The command line with nothing there yet: empty lists say what they wait for; help helps."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
from typer.main import get_command

from karma_sync import errors
from karma_sync.cli.main import app
from tests.support.harness import Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one


@cache
def helps() -> dict[str, str]:
    """The help of every command there is, by how it is typed."""

    def below(command: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, (*path, name))
        if not hasattr(command, "commands"):
            yield " ".join(path), " ".join(str(getattr(command, "help", "")).split())

    return dict(below(get_command(app), ()))


def groups() -> list[str]:
    """The commands that have commands."""
    return [name for name, each in get_command(app).commands.items() if hasattr(each, "commands")]  # type: ignore[attr-defined] # a group of click's


@pytest.fixture(scope="module")
def alone(town: Town) -> Member:
    return town.member("alice")


@pytest.mark.parametrize("name", helps())
def test_the_line_of_a_command_is_a_verb_and_what_it_acts_on(name: str) -> None:
    line = helps()[name].partition(". ")[0]

    assert 2 <= len(line.split()) <= 6, line
    assert line[0].isupper()


@pytest.mark.parametrize("command", helps())
def test_the_help_of_a_command_has_an_example(command: str) -> None:
    assert "Example: karma-sync " in helps()[command]


@pytest.mark.parametrize("group", ["", *groups()])
def test_no_line_in_a_list_of_commands_is_cut_off(alone: Member, group: str) -> None:
    told = alone.run(*group.split(), "--help").lines

    assert [line for line in told if line.endswith("...") and "Usage:" not in line] == []


def test_help_is_printed_with_its_example(alone: Member) -> None:
    told = " ".join(alone.run("session", "list", "--help").out.split())

    assert "Example: karma-sync session list" in told


def test_the_help_of_the_program_lists_the_exit_codes(alone: Member) -> None:
    told = " ".join(alone.run("--help").out.split())
    codes = {each.exit_code for each in vars(errors).values() if hasattr(each, "exit_code")}

    assert "Exit codes: 0 done" in told
    assert {int(n) for n in re.findall(r"\b\d+\b", told.partition("Exit codes: ")[2])} == {
        *codes,
        0,
    }


def test_an_empty_list_says_what_it_waits_for(alone: Member) -> None:
    for command, said in {
        ("inbox",): "There are no invitations.",
        ("session", "list"): "There are no sessions yet.",
        ("subscription", "list"): "No team shares a project with you yet.",
        ("status",): "in no team",
    }.items():
        assert said in alone.run(*command).out


def test_every_command_works_without_the_daemon_and_says_that_it_is_not_running(
    alone: Member,
) -> None:
    for text in ("inbox", "session list", "subscription list", "events", "sent", "project scan"):
        command = text.split()
        told = alone.run(*command)
        assert "daemon is not running" in told.err
        assert "daemon" not in told.out
    assert "daemon is not running" in alone.run("status").out
    assert alone.run("down").out == "The daemon of alice.box is not running.\n"


def test_empty_answers_parse_as_json_too(alone: Member) -> None:
    assert alone.json("session", "list")["sessions"] == []
    assert alone.json("subscription", "list")["subscriptions"] == []
    assert alone.json("inbox")["contacts"] == []
    assert alone.json("status")["daemon"] is None


def test_code_tells_tag_and_fingerprint_in_json(alone: Member) -> None:
    code = alone.json("code")

    assert code["tag"] == "alice.box"


def test_version_is_one_line(alone: Member) -> None:
    assert alone.run("--version").out.startswith("karma-sync ")
