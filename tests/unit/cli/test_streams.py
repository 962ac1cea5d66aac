"""The command line whatever it is connected to: closed streams, other encodings, Ctrl-C."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import COMMAND_S, Member, until
from tests.support.interrupting import ctrl_c_works
from tests.support.terminal import a_process, run_on_terminal
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one


@pytest.fixture(scope="module")
def alice(town: Town) -> Member:
    return town.member("alice")


def through_shell(member: Member, script: str, **environ: str) -> tuple[int, str, str]:
    """The exit code and output of a shell script; `k` is our command, buffered as at a person's."""
    command = " ".join(f"'{part}'" for part in member.command(()))
    buffered = {k: v for k, v in member.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["/bin/bash", "-c", f'k() {{ {command} "$@"; }}; {script}'],
        env=buffered | environ,
        cwd=member.repo,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_S,
        check=False,
    )
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


@pytest.mark.parametrize("command", ["status", "status --json", "events", "code", "session list"])
def test_a_command_whose_streams_are_closed_says_nothing_and_works(
    alice: Member, command: str
) -> None:
    assert through_shell(alice, f"k {command} <&- >&- 2>&-") == (0, "", "")


@pytest.mark.parametrize("command", ["status", "status --json", "events", "--help", "session list"])
def test_a_reader_that_goes_away_is_no_reason_for_a_traceback(alice: Member, command: str) -> None:
    code, _, said = through_shell(alice, f"set -o pipefail; k {command} | true")

    assert code in {0, 1}  # as the reader was faster or slower
    assert "Traceback" not in said
    assert "Exception" not in said
    assert "Broken" not in said


@pytest.mark.parametrize(
    "command", ["status", "status --json", "--help", "session list", "session stats"]
)
def test_a_disk_without_room_for_the_output_is_said(alice: Member, command: str) -> None:
    code, _, said = through_shell(alice, f"k {command} > /dev/full")

    assert code == 1
    assert "karma-sync: the system: No space left on device\n" in said
    assert said.endswith("  try: correct that, then run it again\n")


def test_an_error_after_a_reader_went_away_is_still_said(alice: Member) -> None:
    code, _, said = through_shell(alice, "k session show none > /dev/full")

    assert code == 5
    assert said.startswith("karma-sync: ")


def test_what_a_terminal_cannot_show_is_replaced(alice: Member) -> None:
    code, told, said = through_shell(alice, "k pair --help", PYTHONIOENCODING="latin-1")

    assert (code, said) == (0, "")
    assert "karma-sync pair AEAGQNA-4GGC73T-?" in told


def test_a_pasted_code_that_is_no_text_is_refused(alice: Member) -> None:
    code, _, said = through_shell(alice, r"printf '\xff\xfe' | k pair")

    assert code == 2
    assert said.startswith("karma-sync: a pairing code cannot contain ")


@pytest.mark.parametrize("command", ["status --watch", "status --watch --json", "events --follow"])
def test_what_goes_on_for_ever_speaks_at_once_and_ctrl_c_ends_it_without_a_word(
    alice: Member, command: str, tmp_path: Path
) -> None:
    alice.run("pause")  # an event
    alice.run("resume")
    told, said = tmp_path / "out", tmp_path / "err"
    with told.open("wb") as out, said.open("wb") as err:
        typed = alice.command(command.split())
        buffered = {k: v for k, v in alice.environ.items() if k != "PYTHONUNBUFFERED"}
        with ctrl_c_works():
            going = subprocess.Popen(typed, env=buffered, stdout=out, stderr=err)
        with going:
            # into a file too: another program may read along
            try:
                until(lambda: told.stat().st_size, f"{command} to say something")
                going.send_signal(signal.SIGINT)
                code = going.wait(COMMAND_S)
            finally:
                going.kill()

    assert code == 130
    assert "Traceback" not in said.read_text()


# Ctrl-C at the very moment when a function is called, or a module is loaded.
INTERRUPTED = """
import os, signal, sys
at = sys.argv.pop(1)
def called(frame, event, argument):
    if f"{frame.f_globals.get('__name__')}:{frame.f_code.co_name}" == at:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)
from karma_sync.__main__ import main
sys.setprofile(called)
main()
"""


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("karma_sync.cli.main:<module>", -signal.SIGINT),
        ("typer.main:get_group", -signal.SIGINT),
        ("karma_sync.store.events:<module>", 130),
    ],
)
def test_ctrl_c_while_a_command_is_still_loading_says_nothing_either(
    alice: Member, moment: str, code: int
) -> None:
    with ctrl_c_works():
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, moment, "events", "--follow"],
            env=alice.environ,
            capture_output=True,
            timeout=COMMAND_S,
        )

    assert (done.returncode, done.stderr.strip(), done.stdout) == (code, b"", b"")


def test_who_types_pair_without_a_code_is_told_how_to_paste_it(alice: Member) -> None:
    process = a_process(alice.command(["pair"]), alice.environ, alice.repo)

    code, seen = run_on_terminal(process, ["AEAGQNA\n\x04"])

    assert "The pairing code of the other member [then Enter and Ctrl-D]: " in seen
    assert "cut off" in seen
    assert code == 2


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["search", "--regex", "retr[yi]"], "searching"),
        (["project", "scan"], "reading sessions"),
    ],
)
def test_a_command_that_may_take_long_shows_on_a_terminal_what_it_does(
    alice: Member, command: list[str], what: str
) -> None:
    environ = {**alice.environ, "TERM": "xterm"}
    environ.pop("NO_COLOR", None)

    code, seen = run_on_terminal(a_process(alice.command(command), environ, alice.repo), [])

    assert (code, what in seen) == (0, True), seen
