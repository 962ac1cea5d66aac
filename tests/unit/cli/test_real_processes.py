"""Each command once in a process of its own: other tests run most of them in their own process.

`REAL` names the module that runs a command for real if this one does not.
"""

import pytest

from karma_sync.cli.commands import PANELS
from tests.support.harness import PROJECT, Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon

# In this order, by a member with one session and another's pairing code, each with its exit code.
STORY = [
    ("init --user eve --machine box", 6),
    ("code", 0),
    ("pair {code}", 0),
    ("team create backend", 0),
    ("team add {code}", 0),
    ("project share . --yes", 0),
    ("pause", 0),
    ("resume", 0),
    ("session withhold {session}", 0),
    ("exclude /nowhere", 0),
    ("accept nothing --yes", 5),
    ("decline nothing", 5),
    ("invitation accept nothing", 5),
    ("redact {session} --dry-run", 2),
    ("rename --machine attic", 6),
    ("context", 0),
    ("mute nobody", 5),
    ("unmute nobody", 5),
]
# What changes nothing, and says the same wherever it runs.
READ_ONLY = [
    "--help",
    "status --help",
    "code",
    "inbox",
    "team list",
    "project list --json",
    "subscription list",
    "search hello",
    "session list",
    "session show {session} --raw",
    "sent",
    "exclude --list",
    "who README.md",
    "browse",
    "observation list",
    "invite list",
    "machine list",
    "join nothing",
    "mcp log",
    "events",
    "status --json",
    "down",
    "accept nothing --yes",
    "frobnicate",
]
REAL = {
    "up": "tests/unit/cli/test_syncthing.py",
    "demo": "tests/scenarios/test_demo.py",
    "service": "tests/unit/daemon/test_autostart.py",
}


@pytest.fixture(scope="module")
def rhea(town: Town) -> tuple[Member, dict[str, str]]:
    """A member after all of the story, and what stands for the words in braces."""
    member, other = town.member("rhea"), town.member("otto")
    words = {"{code}": other.code, "{session}": member.write_session("hello").id}
    for typed, code in STORY:
        done = member.run(*_args(typed, words), real=True, check=False)
        assert (done.code, "Traceback" in done.err) == (code, False), done
    return member, words


def test_every_command_has_a_test_that_runs_it_for_real() -> None:
    listed = {name for panel in PANELS.values() for name in panel}
    run_here = {typed.split()[0] for typed, _ in STORY} | {typed.split()[0] for typed in READ_ONLY}

    assert listed <= run_here | REAL.keys()


@pytest.mark.parametrize("typed", READ_ONLY)
def test_a_command_says_the_same_in_this_process_and_in_its_own(
    rhea: tuple[Member, dict[str, str]], typed: str
) -> None:
    member, words = rhea
    args = _args(typed, words)

    here = member.run(*args, check=False)

    assert here == member.run(*args, check=False, real=True)


def test_what_a_command_in_this_process_changes_is_seen_by_another_process(
    rhea: tuple[Member, dict[str, str]],
) -> None:
    member, _ = rhea
    member.run("subscription", "change", PROJECT, "--direction", "receive")

    assert "receive" in member.run("subscription", "list", real=True).out


def _args(typed: str, words: dict[str, str]) -> list[str]:
    return [words.get(word, word) for word in typed.split()]


def test_a_command_leaves_no_write_ahead_log_which_may_hold_deleted_text(town: Town) -> None:
    member = town.member("walter")
    member.run("team", "create", "backend", real=True)
    member.run("exclude", "secret-client", real=True)
    member.run("exclude", "--remove", "secret-client", "--yes", real=True)
    data = {path.name: path.read_bytes() for path in member.home.rglob("*") if path.is_file()}

    assert [name for name in data if name.endswith("-wal")] == []
    assert [name for name, content in data.items() if b"secret-client" in content] == []
