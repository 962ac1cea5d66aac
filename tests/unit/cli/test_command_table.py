"""The list of commands: it says what the commands say, and needs none of them."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer import Exit
from typer.main import get_command

from karma_sync.cli.commands import ALIASES, PANELS
from karma_sync.cli.main import app
from karma_sync.domain.session.frame import FRAMING_COMMANDS, NAMING_COMMANDS, READING_COMMANDS
from tests.support.memory_town import MemoryTown

LISTED = {name: text for panel in PANELS.values() for name, (_, text) in panel.items()}
# Loaded only by a command that needs them: each takes longer than all of `--help`, or half of it.
HEAVY = {
    "pydantic",
    "requests",
    "watchdog",
    "apscheduler",
    "rich",
    "humanize",
    "cryptography",
    "msgspec",
}
HEAVY |= {"ssl", "asyncio", "logging", "importlib.metadata", "platformdirs", "sqlite3"}


@pytest.mark.parametrize("name", LISTED)
def test_a_list_says_of_a_command_what_it_says_itself(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined] # a group of click's

    assert command.get_short_help_str(200).rstrip(".") == LISTED[name].rstrip(".")


def given(name: str, *typed: str) -> dict[str, object]:
    """The parameters that `search` or `session list` gets."""
    commands = get_command(app).commands  # type: ignore[attr-defined] # a group of click's
    command = commands["search"] if name == "search" else commands["session"].commands["list"]
    params: dict[str, object] = command.make_context(
        name, list(typed), help_option_names=["-h", "--help"]
    ).params
    return params


@pytest.mark.parametrize("name", ["search", "list"])
@pytest.mark.parametrize("word", ["-the", "-http", "-h1", "-hh", "--the", "-", "-x", "-über"])
def test_a_word_may_begin_with_a_dash(name: str, word: str) -> None:
    found = given(name, "before", word, "--limit", "3", "after")

    assert found["words"] == ["before", word, "after"]
    assert found["limit"] == 3


def test_an_option_takes_a_value_that_begins_with_a_dash() -> None:
    found = given("search", "--regex", "-the", "-hers")

    assert (found["regex"], found["words"]) == ("-the", ["-hers"])


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_is_help_among_words_too(asked: str) -> None:
    with pytest.raises(Exit):
        given("search", "word", asked)


@pytest.mark.parametrize("name", LISTED)
def test_help_names_values_as_people_do_and_no_type_of_python(name: str) -> None:
    commands = [get_command(app).commands[name]]  # type: ignore[attr-defined] # a group of click's
    commands += getattr(commands[0], "commands", {}).values()

    shown = "".join(
        each.get_help(each.make_context(name, [], resilient_parsing=True)) for each in commands
    )

    assert re.findall(r"<(?:str|int|float|path|file|dir|list)\b[^>]*>", shown) == []
    assert "[[" not in shown


def test_an_alias_is_another_name_of_what_is_listed() -> None:
    assert set(ALIASES.values()) <= LISTED.keys()
    assert set(get_command(app).commands) == LISTED.keys() | ALIASES.keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("typed", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["code", "--help"], set()),
        (["status", "--help"], set()),
    ],
)
def test_help_loads_nothing_that_takes_long(typed: list[str], needed: set[str]) -> None:
    assert loaded(typed) & HEAVY == needed


@pytest.mark.parametrize(
    "typed",
    [
        ["code"],
        ["status"],
        ["inbox"],
        ["events", "--team", "backend", "--type", "shared"],
        ["session", "show", "abc"],
        ["search", "two", "words"],
        ["accept", "web"],
    ],
)
def test_words_and_options_that_are_left_out_are_not_checked_by_pydantic(
    typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARMA_SYNC_HOME", str(tmp_path))

    assert loaded(typed, code=3) & {"typer._adapters"} == set()


@pytest.mark.parametrize("typed", [["code"], ["status"], ["events"], ["team", "list"]])
def test_what_reads_no_documents_of_peers_loads_no_pydantic(
    typed: list[str], here: MemoryTown
) -> None:
    member = here.member("rhea")
    member.run("team", "create", "backend")

    assert "pydantic.main" not in loaded(typed, environ=member.environ)


def loaded(typed: list[str], code: int = 0, environ: Mapping[str, str] | None = None) -> set[str]:
    """The modules that a command had loaded at its end."""
    program = (
        "import atexit, sys; sys.argv[0] = 'karma-sync';"
        " atexit.register(lambda: print('MODULES', *sys.modules));"
        " from karma_sync.__main__ import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, *typed],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )
    assert ran.returncode == code, ran
    return set(ran.stdout.rpartition("MODULES")[2].split())


# Commands that give neither texts of others, nor texts of sessions that stay here, nor their names.
NOT_READING = {
    *("init", "up", "down", "demo", "code", "pair", "rename"),
    *(
        "invitation accept",
        "invitation decline",
        "team create",
    ),
    *("team leave", "team remove", "team dissolve", "team rename", "team policy"),
    *("team transfer", "team successors", "team take-over", "project unshare", "project propose"),
    *("subscription decline", "subscription pause", "decline", "pause", "invite revoke"),
    *("session withhold", "session restore"),
    *("machine add", "machine remove", "mute", "unmute", "team retract"),
    *("observation add", "observation delete", "observation export", "observation manifest"),
}


def test_each_command_is_known_to_give_an_agent_text_of_others_or_not() -> None:
    found = {name for name in leaves(get_command(app), "") if not name.startswith("service ")}

    assert found >= READING_COMMANDS
    assert found >= NAMING_COMMANDS - {"invite"}  # which has commands below it
    assert not READING_COMMANDS & NAMING_COMMANDS
    assert found - READING_COMMANDS - NAMING_COMMANDS - FRAMING_COMMANDS == NOT_READING


# The JSON of `observation import` holds counts alone.
@pytest.mark.parametrize("name", sorted(READING_COMMANDS - {"observation import"}))
def test_a_reading_command_prints_without_a_frame_only_what_the_person_lets_an_agent_see(
    name: str,
) -> None:
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    options = {each.name for each in command.params}

    assert not options & {"as_json", "raw"} or "private" in options


def leaves(command: Any, name: str) -> Iterator[str]:
    """The full names of all commands below this one."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name
        return
    for each in below:
        if each not in ALIASES:
            yield from leaves(below[each], f"{name} {each}".strip())
