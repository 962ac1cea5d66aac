"""The demo keeps its promises: what was sent is readable, and nothing of it is left behind."""

import csv
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.harness import programs
from tests.support.interrupting import ctrl_c_works

pytestmark = pytest.mark.daemon


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """The temporary directory that the demo is given; afterwards it is empty and unused."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    yield directory
    assert list(directory.iterdir()) == []
    assert running_below(directory) == []


def running_below(directory: Path) -> list[str]:
    """Command lines of the processes that live in homes below a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("KARMA_SYNC_HOME", "")
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if home.startswith(f"{directory}/") or f"--home={directory}/" in line:
            found.append(line)
    return found


# One line is enough where its time is not the question: two lines are a second apart.
ONE_LINE = """
from karma_sync.__main__ import main
from karma_sync.demo import story
story.APPENDS = 1
main()
"""


def start(temporary: Path, *arguments: str, has_one_line: bool = False) -> subprocess.Popen[str]:
    program = ("-c", ONE_LINE) if has_one_line else ("-m", "karma_sync")
    with ctrl_c_works():
        return subprocess.Popen(
            [sys.executable, "-P", *program, "demo", "--json", *arguments],
            env=os.environ | {"TMPDIR": str(temporary), "KARMA_SYNC_SYNCTHING": str(programs()[0])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def record(cwd: str, text: str) -> str:
    return json.dumps(
        {
            "type": "user",
            "uuid": str(uuid.uuid4()),
            "sessionId": str(uuid.uuid4()),
            "cwd": cwd,
            "timestamp": "2026-05-31T10:00:00.000Z",
            "message": {"role": "user", "content": text},
        }
    )


def test_the_demo_ends_with_one_line_that_tells_what_was_sent_and_read(temporary: Path) -> None:
    demo = start(temporary)
    said, story = demo.communicate(timeout=150)

    assert demo.returncode == 0, story
    told = json.loads(said.splitlines()[-1])
    assert len(said.splitlines()) == 1
    assert told["members"] == 2
    assert told["syncthing_version"].startswith("v")
    assert told["sessions_sent"] == told["sessions_readable"] == 3
    assert told["bytes"] > 0
    assert told["first_session_s"] > 0
    assert told["append_s"]["n"] == 10
    assert 0 < told["append_s"]["p50"] <= told["append_s"]["p95"]
    assert "bob.desk $ karma-sync accept demo" in story
    assert "[REDACTED:github]" in story


def test_transcripts_of_a_directory_are_read_back_as_they_were_packaged(
    temporary: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "transcripts"
    (directory / "deep").mkdir(parents=True)
    plain, split = directory / "plain.jsonl", directory / "deep" / "agent-a1.jsonl"
    plain.write_text(record("/home/ann/web", "hello") + "\n")
    split.write_text("\n".join(record("C:\\web", "x" * 9000) for _ in range(90)))
    secret = directory / "secret.jsonl"
    secret.write_text(record("-/odd", "postgres://app:Zx81kPqLw0aNt7@db.example.com/x") + "\n")
    (directory / "other.jsonl").write_text('{"type": "session_meta", "payload": {}}\n')
    todo = directory / "todos" / "plain-agent-plain.json"
    todo.parent.mkdir()
    todo.write_text('[{"status": "pending"}]')
    result = directory / "plain" / "tool-results" / "toolu_1.txt"
    result.parent.mkdir(parents=True)
    result.write_text("output")
    report = tmp_path / "report.tsv"

    arguments = ("--transcripts", str(directory), "--report", str(report))
    demo = start(temporary, *arguments, has_one_line=True)
    said, story = demo.communicate(timeout=150)

    assert demo.returncode == 0, story
    with report.open() as table:
        rows = {row["path"]: row for row in csv.DictReader(table, delimiter="\t")}
    parts = {"todos/plain-agent-plain.json", "plain/tool-results/toolu_1.txt"}
    assert rows.keys() == {"plain.jsonl", "deep/agent-a1.jsonl", "secret.jsonl"} | parts
    for row in rows.values():
        assert row["packaged_sha256"] == row["read_sha256"]
    assert rows["plain.jsonl"]["raw_sha256"] == rows["plain.jsonl"]["read_sha256"]
    assert rows["secret.jsonl"]["raw_sha256"] != rows["secret.jsonl"]["read_sha256"]
    assert rows["secret.jsonl"]["cuts"] == "url=1"
    assert json.loads(said)["sessions_readable"] == 3


@pytest.mark.slow  # it waits for what does not come
def test_a_transcript_that_cannot_be_sent_is_named_and_fails_the_demo(
    temporary: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "transcripts"
    directory.mkdir()
    (directory / "good.jsonl").write_text(record("/home/ann/web", "hello") + "\n")
    (directory / "huge.jsonl").write_text(record("/nowhere", "a") + "\n")
    repository = tmp_path / "elsewhere"
    repository.mkdir()
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    (directory / "mixed.jsonl").write_text(record(str(repository), "x") + "\n")
    origin = "https://github.com/other/project"
    subprocess.run(["git", "-C", repository, "remote", "add", "origin", origin], check=True)

    demo = start(temporary, "--transcripts", str(directory), has_one_line=True)
    _, story = demo.communicate(timeout=150)

    assert demo.returncode == 1
    assert "1 of 3 files did not arrive" in story
    assert "mixed.jsonl: not packaged" in story


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_nothing_is_left_when_the_demo_is_interrupted(
    temporary: Path, number: signal.Signals
) -> None:
    demo = start(temporary)
    assert demo.stderr
    for line in demo.stderr:
        if "karma-sync team create" in line:  # both daemons are up
            break

    demo.send_signal(number)

    demo.communicate(timeout=60)
    assert demo.returncode != 0


def test_without_syncthing_the_demo_says_how_to_get_it(temporary: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "karma_sync", "demo"],
        env=os.environ | {"TMPDIR": str(temporary), "KARMA_SYNC_SYNCTHING": "/nowhere/syncthing"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 4
    assert "try: " in ran.stderr
