"""Frames around what karma-sync gives an agent: made so that only this machine's are cut."""

import json

import pytest

from karma_sync.domain.session.frame import (
    GIVEN,
    Frames,
    files_written,
    reads_karma_sync,
    runs_reading_command,
)

FRAMES = Frames(b"a key of this machine")


def framed(text: str, frames: Frames = FRAMES) -> str:
    begin, end = frames.marks()
    return f"{begin}\n{text}\n{end}"


def cut(text: str) -> str:
    return FRAMES.cut_text(text.encode())[0].decode()


def test_a_frame_is_cut_and_what_stands_around_it_stays() -> None:
    assert cut(f"before {framed('theirs')} after") == f"before {GIVEN} after"


def test_several_frames_and_one_inside_another_are_cut() -> None:
    inner = framed("theirs")

    assert cut(f"a {framed(f'x {inner} y')} b {framed('more')} c") == f"a {GIVEN} b {GIVEN} c"


def test_a_frame_without_its_end_is_cut_to_the_end_of_the_text() -> None:
    begin, _ = FRAMES.marks()

    assert cut(f"before\n{begin}\ntheirs\nand more") == f"before\n{GIVEN}"


def test_a_frame_without_its_beginning_is_cut_from_the_beginning_of_the_text() -> None:
    _, end = FRAMES.marks()

    assert cut(f"theirs\nand more\n{end}\nafter") == f"{GIVEN}\nafter"


def test_a_frame_that_is_quoted_twice_is_cut_both_times() -> None:
    one = framed("theirs")

    assert cut(f"{one} between {one}") == f"{GIVEN} between {GIVEN}"


def test_marks_of_another_machine_are_text() -> None:
    text = f"a {framed('x', Frames(b'another key'))} b"

    assert cut(text) == text


def test_marks_never_come_twice() -> None:
    assert len({FRAMES.marks() for _ in range(100)}) == 100


def test_frames_inside_the_strings_of_json_leave_json() -> None:
    content = {"a": f'say "x"\n{framed("theirs")}\n\\ after', "b": ["plain", framed("more")]}
    cut_json, count = FRAMES.cut_strings(json.dumps(content).encode())

    assert json.loads(cut_json) == {"a": f'say "x"\n{GIVEN}\n\\ after', "b": ["plain", GIVEN]}
    assert count == 2


@pytest.mark.parametrize(
    "command",
    [
        "karma-sync session show 3a78 | tail -5",
        "karma-sync session show 3a78 | grep word",
        "cd /src && karma-sync session show 3a78 > f; cat f",
        "/usr/local/bin/karma-sync  session   list",
        "python -m karma_sync session show x",
        'K=karma-sync; $K "session" show x',
        "karma-sync sent --to bob.desk",
        "karma-sync \\\n  session \\\n show x | grep word",
        '"$(which karma-sync)" session show x',
        "`which karma-sync` search word",
        "karma-sync 2>/dev/null session < /dev/null show x",
        "alias k=karma-sync; k session show x",
        'k() { karma-sync "$@"; }; k session show x | grep word',
        'subprocess.run(["karma-sync", "session", "show", "x"])',
    ],
)
def test_a_command_that_runs_a_reading_command_is_recognised(command: str) -> None:
    assert runs_reading_command(command)


@pytest.mark.parametrize(
    "command",
    ["ls", "cd karma-sync && make test", "karma-sync up -d", "grep 'session show' README.md"],
)
def test_other_commands_are_not(command: str) -> None:
    assert not reads_karma_sync(command)
    assert not runs_reading_command(command)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite3 ~/.local/share/karma-sync/library/library.db 'select * from items'",
        "cd ~/.local/share/karma-sync && sqlite3 archive/archive.db .dump",
        "zstd -dc /home/me/.local/share/karma-sync/folders/x/y",
        "/Users/me/Library/Application Support/karma-sync/archive/packs/1",
        "karma-sync search word",
    ],
)
def test_a_look_at_the_programs_own_files_is_recognised(text: str) -> None:
    assert reads_karma_sync(text)


@pytest.mark.parametrize(
    "text",
    [
        "cat /src/karma-sync/karma_sync/library/reader.py",
        "sqlite3 library.db",
    ],
)
def test_a_look_at_other_files_is_not(text: str) -> None:
    assert not reads_karma_sync(text)


@pytest.mark.parametrize(
    "text", ["-a,", "-a ", "> ", ">", "<& x ", "cp a", "$x ", "k() { ", "\\\n", "'", "tee -a "]
)
def test_a_long_command_takes_no_long_time(text: str) -> None:
    command = "karma-sync " + text * 20_000

    assert not reads_karma_sync(command)
    files_written(command)  # returns at all
