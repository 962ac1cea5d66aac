"""Completion in a shell, through the protocol that the shell speaks."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.completion import get_completion_script  # type: ignore[attr-defined]

from karma_sync.cli.completion import in_zsh_at_first_tab
from tests.support.harness import COMMAND_S, Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one

DATABASES = ("state.db", "work.db", "library.db")


def completed(member: Member, *words: str) -> list[str]:
    """The words that bash is offered for the last of these; the command must not fail."""
    typed = ("karma-sync", *words)
    asked = {
        "_KARMA_SYNC_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
    }
    before = dict(member.environ)
    member.environ.update(asked)
    try:
        done = member.run(check=False)
    finally:
        member.environ.clear()
        member.environ.update(before)
    assert (done.code, done.err) == (0, ""), done
    return done.out.split()


def databases(member: Member) -> list[str]:
    """The databases below the home."""
    return sorted(path.name for path in member.home.rglob("*.db"))


@pytest.fixture(scope="module")
def other(town: Town) -> Member:
    return town.member("bob")


@pytest.fixture(scope="module")
def leader(town: Town, other: Member) -> Member:
    """She leads a team with another member and a guest, and shares `repo` with a session in it.

    Gus was removed from it.
    """
    member = town.member("lea")
    member.run("team", "create", "backend")
    member.run("team", "add", other.code)
    member.run("team", "add", town.member("gus").code)
    member.run("team", "remove", "gus.box", "--yes")
    member.write_session("first")
    member.run("project", "share", ".", "--yes")
    member.run("team", "guest", town.member("gina").code, "--project", "repo", "--yes")
    return member


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["stat"], ["status"]),
        (["session", "sh"], ["show", "share"]),
        (["accept", ""], ["example.org/acme/repo"]),
        (["accept", "exam"], ["example.org/acme/repo"]),
        (["accept", "re"], ["repo"]),
        (["accept", "acme/"], ["acme/repo"]),
        (["accept", "repo", "--team", ""], ["backend"]),
        (["sent", "--to", ""], ["bob.box"]),
        (["sent", "--to", "carol"], []),
        (["team", "retract", ""], ["gus.box"]),
        (["team", "remove", ""], ["bob.box", "gina.box"]),
        (["team", "transfer", ""], ["bob.box"]),
        (["observation", "list", "--project", "re"], ["repo"]),
        (["observation", "search", "word", "--author", ""], ["bob.box"]),
        (["observation", "add", "--project", "acme/"], ["acme/repo"]),
        (["session", "list", "--project", ""], []),
        (["session", "show", ""], []),
        (["invitation", "accept", ""], []),
    ],
)
def test_names_are_completed(leader: Member, words: list[str], offered: Sequence[str]) -> None:
    assert sorted(completed(leader, *words)) == sorted(offered)


def test_own_sessions_are_completed_from_the_directory_of_the_agent(leader: Member) -> None:
    (session,) = completed(leader, "session", "preview", "")

    assert completed(leader, "session", "withhold", session[:4]) == [session]
    assert completed(leader, "session", "withhold", "zz") == []


@pytest.mark.parametrize(
    "words",
    [
        ["accept", ""],
        ["sent", "--to", ""],
        ["session", "show", ""],
        ["session", "unshare", ""],
        ["session", "preview", ""],
        ["session", "list", "--project", ""],
        ["team", "add", "--team", ""],
        ["invitation", "accept", ""],
    ],
)
def test_a_home_without_databases_completes_nothing_and_gets_none(
    other: Member, words: list[str]
) -> None:
    before = databases(other)

    assert completed(other, *words) == []
    assert databases(other) == before


def test_a_damaged_database_completes_nothing(town: Town) -> None:
    member = town.member("dan")
    member.run("status")
    for path in member.home.rglob("*.db"):
        path.write_bytes(b"no database" * 1000)

    assert completed(member, "accept", "") == []
    assert completed(member, "session", "show", "") == []


def test_the_script_for_a_shell_is_printed(other: Member) -> None:
    assert "_KARMA_SYNC_COMPLETE" in in_bash(other, "--show-completion")


def test_completion_is_installed_for_the_shell(town: Town) -> None:
    member = town.member("ida")

    told = in_bash(member, "--install-completion")

    assert told.startswith("bash completes karma-sync")
    (script,) = (Path(member.environ["HOME"]) / ".bash_completions").iterdir()
    assert "_KARMA_SYNC_COMPLETE=complete_bash" in script.read_text()


def zsh_script() -> str:
    """The script for zsh, as it is installed."""
    made = get_completion_script(  # noqa: S604 the shell is a name here
        prog_name="karma-sync", complete_var="_KARMA_SYNC_COMPLETE", shell="zsh"
    )
    return in_zsh_at_first_tab(made)


def test_the_script_for_zsh_completes_when_zsh_runs_it_as_a_function() -> None:
    assert '  _karma_sync_completion "$@"\n' in zsh_script()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_completes_at_the_first_tab_and_at_the_next(tmp_path: Path) -> None:
    (tmp_path / "_karma-sync").write_text(zsh_script())
    # stands in for the shell's own functions, which work at a prompt only
    own = "compdef() { print registers }; env() { print 'print completes' }; CURRENT=1"
    commands = f"{own}; fpath=({shlex.quote(str(tmp_path))}); autoload -Uz _karma-sync"

    done = subprocess.run(
        ["zsh", "-fc", f"{commands}; _karma-sync; _karma-sync; source {tmp_path}/_karma-sync"],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
    )

    assert (done.stdout.split(), done.stderr) == (["completes", "completes", "registers"], "")


def in_bash(member: Member, option: str) -> str:
    """The output of the command when bash runs it."""
    command = shlex.join(member.command([option]))
    done = subprocess.run(
        ["/bin/bash", "-c", f"{command}; exit $?"],  # a second command keeps bash as the parent
        env=member.environ,
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
