"""The log: where it goes, how large it gets, and what it never contains."""

import logging
import os
import re
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from karma_sync.cli.daemon.autostart import tail
from karma_sync.daemon.log_setup import LOG_BYTES, LOG_FILES, Discreet, Prioritised
from karma_sync.errors import BadInput
from tests.support.harness import COMMAND_S, Member, until
from tests.support.town import Town, found_team, share

SECRET = "the-words-of-a-conversation"
FLOOD_S = 120

FLOOD = """
import logging, pathlib, sys
from karma_sync.daemon.log_setup import log_daemon
log_daemon(pathlib.Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    logging.getLogger("karma_sync.test").info("%d %s", number, "x" * 200)
print("last words", file=sys.stderr)
"""

TWO_LOGGERS = """
import logging
from karma_sync.daemon.log_setup import log_daemon
log_daemon(None)
logging.getLogger("karma_sync.test").warning("two\\nlines")
logging.getLogger("karma_sync.test").info("ours")
logging.getLogger("karma_sync.test").debug("details")
logging.getLogger("apscheduler").info("theirs")
"""

# The daemon as `up` runs it, with a cycle every 50 ms; it adds a byte to a file after each.
HURRIED = """
import pathlib, sys
from karma_sync.daemon import main as daemon
from karma_sync.__main__ import main
from karma_sync.daemon.threads import Workers
count, daemon.CYCLE_S, daemon.FULL_PASS_S = pathlib.Path(sys.argv.pop(1)), 0.2, 0.4
wake = Workers.wake
def counted(self):
    wake(self)
    with count.open("ab") as out:
        out.write(b".")
Workers.wake = counted
main()
"""


def python(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script; its standard error is captured."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KARMA_", "JOURNAL_"))}
    return subprocess.run(
        [sys.executable, "-c", *args],
        capture_output=True,
        text=True,
        timeout=FLOOD_S,
        env=kept | environ,
        check=True,
    )


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("karma_sync", logging.WARNING, __file__, 1, message, args, info)


def caught(secret: str) -> ValueError:
    """An error whose message quotes data."""
    try:
        int(secret)
    except ValueError as error:
        return error
    raise AssertionError("unreachable")


# ---- what stands in it


def test_an_error_that_is_not_ours_is_logged_without_what_it_quotes() -> None:
    said = Discreet().format(record("cycle: %s", caught(SECRET), error=caught(SECRET)))

    assert SECRET not in said
    assert re.match(r"cycle: ValueError at .*test_log_setup\.py:\d+\n", said)


def test_an_error_is_not_quoted_where_it_is_the_message_itself() -> None:
    bare = record("")
    bare.msg = caught(SECRET)

    assert SECRET not in Discreet().format(bare)


@pytest.mark.parametrize(
    "error", [BadInput("no such team"), FileNotFoundError(2, "No such file", "/a/b")]
)
def test_our_errors_and_those_of_the_system_are_logged_as_they_are(error: Exception) -> None:
    assert Discreet().format(record("cycle: %s", error)) == f"cycle: {error}"


def test_each_line_for_the_journal_begins_with_its_priority() -> None:
    assert Prioritised().format(record("two\nlines")) == "<4>two\n<4>lines"


# ---- where it goes


def test_in_the_foreground_lines_have_a_time_and_a_level() -> None:
    lines = python(TWO_LOGGERS).stderr.splitlines()

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING two", lines[0])
    assert lines[1] == "lines"
    assert [line.split()[-1] for line in lines[2:]] == ["ours"]


def test_with_debug_set_everything_of_ours_is_logged_and_nothing_of_others() -> None:
    said = python(TWO_LOGGERS, KARMA_SYNC_DEBUG="1").stderr

    assert "DEBUG details" in said
    assert "theirs" not in said


def test_under_journald_lines_have_a_priority_and_no_time(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w+") as stream:
        found = os.fstat(stream.fileno())
        subprocess.run(
            [sys.executable, "-c", TWO_LOGGERS],
            stderr=stream,
            timeout=FLOOD_S,
            env=os.environ | {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
            check=True,
        )
        stream.seek(0)

        assert stream.read() == "<4>two\n<4>lines\n<6>ours\n"


def test_a_terminal_whose_own_program_logs_to_journald_is_no_journal() -> None:
    assert python(TWO_LOGGERS, JOURNAL_STREAM="8:12345").stderr.count("WARNING two") == 1


def test_the_file_is_kept_small_and_private_and_has_the_last_words(tmp_path: Path) -> None:
    log = tmp_path / "state" / "karma-sync.log"
    python(FLOOD, str(log), str(LOG_FILES * LOG_BYTES // 200))
    files = sorted(log.parent.iterdir())

    assert [file.name for file in files] == [log.name, f"{log.name}.1", f"{log.name}.2"]
    assert all(file.stat().st_size <= LOG_BYTES for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert log.read_text().endswith("last words\n")


def test_following_a_log_goes_on_when_it_is_rotated(tmp_path: Path) -> None:
    log = tmp_path / "karma-sync.log"
    log.write_text("one\ntwo\nthree\n")
    with closing(tail(log, 2, follow=True)) as pieces:
        assert next(pieces) == b"two\nthree\n"

        with log.open("a") as out:
            out.write("four\n")
        assert next(pieces) == b"four\n"

        log.rename(tmp_path / "karma-sync.log.1")
        log.write_text("five\n")
        assert next(pieces) == b"five\n"


# ---- a real daemon's


@pytest.mark.daemon
def test_a_start_that_fails_says_why_and_leaves_it_in_the_log(town: Town) -> None:
    member = town.member("frida")
    port = int(re.findall(r"port = (\d+)", member.paths.settings.read_text())[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        failed = member.run("up", "-d", check=False)

    assert failed.code == 4
    assert f"karma-sync: port {port} cannot be used" in failed.err
    assert "try: set network.port" in failed.err
    assert f"port {port} cannot be used" in member.paths.log.read_text()
    member.up()
    member.down()


@pytest.mark.daemon
def test_a_start_that_fails_is_told_from_what_was_logged_before(town: Town) -> None:
    member = town.member("greta")
    member.paths.log.write_text("karma-sync: an old complaint\n" + "x" * LOG_BYTES)
    member.environ["KARMA_SYNC_SYNCTHING"] = "/nowhere"
    failed = member.run("up", "-d", check=False)

    assert failed.code == 4
    assert failed.err.startswith("karma-sync: /nowhere")


@pytest.mark.daemon
def test_an_idle_cycle_logs_nothing(town: Town, tmp_path: Path) -> None:
    member = town.member("hilda")
    cycles = tmp_path / "cycles"
    command = [sys.executable, "-c", HURRIED, str(cycles), "up", "--log-to-file"]
    daemon = subprocess.Popen(command, env=member.environ, cwd=member.repo)
    try:
        found_team(member)
        share(member)
        member.until_readable(member.write_session("hello"))

        wait_for_more(cycles, 5)
        before = member.paths.log.read_text()
        wait_for_more(cycles, 30)
        after = member.paths.log.read_text()
    finally:
        daemon.terminate()
        ended = daemon.wait(COMMAND_S)

    assert ended == 0
    assert after == before
    assert len(before.splitlines()) == 1, before


@pytest.mark.daemon
def test_nothing_secret_or_private_is_logged(town: Town) -> None:
    member = town.member("irene")
    member.environ["KARMA_SYNC_DEBUG"] = "1"
    member.up()
    found_team(member)
    share(member)
    session = member.write_session(SECRET)
    member.until_readable(session)
    _, api_key = member.gui()
    spoil(member, session.id)
    another = member.write_session(f"{SECRET} again")
    member.until_readable(another)
    member.down()

    said = member.paths.log.read_text()
    assert SECRET not in said
    assert api_key not in said
    assert api_key not in member.paths.syncthing_log.read_text()


def spoil(member: Member, session_id: str) -> None:
    """Add lines to a transcript that cannot be read."""
    (transcript,) = member.claude.glob(f"projects/*/{session_id}.jsonl")
    with transcript.open("ab") as out:
        out.write(f'{{"type": "user", "cwd": "{SECRET}\n[1, "{SECRET}"]\n'.encode())
        out.write(f'"{SECRET}"\n'.encode() + b"\xff\xfe" + SECRET.encode() + b"\n")


def wait_for_more(count: Path, more: int) -> None:
    """Wait until this many more cycles were requested."""
    start = count.stat().st_size if count.exists() else 0
    until(lambda: count.exists() and count.stat().st_size >= start + more, f"{more} cycles")
