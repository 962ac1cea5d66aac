"""`session export`: the agent's layout, byte for byte, or one file to read."""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.agents.claude.source import ClaudeSource
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session, encoded

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Shared:
    """A session of A's that B exports."""

    a: Member
    b: Member
    session: Session


@pytest.fixture(scope="module")
def shared(town: Town) -> Shared:
    a, b = town.members("alice", "bob")
    session = a.write_session("<script>alert(1)</script> mend it", odd=False)
    said = {"type": "user", "sessionId": session.id, "message": {"content": "look around"}}
    session.beside("subagents/agent-a7.jsonl", json.dumps(said).encode() + b"\n")
    session.beside("tool-results/out.txt", b"much output\n")
    tasks = a.claude / "tasks" / session.id
    tasks.mkdir(parents=True)
    (tasks / "1.json").write_text(json.dumps({"subject": "mend it", "status": "completed"}))
    found_team(a, b)
    share(a, b)
    until(lambda: b.peek(session.id, "tool-results/out.txt"), "all of it at B")
    return Shared(a, b, session)


def test_the_original_layout_is_what_the_agent_wrote(shared: Shared, tmp_path: Path) -> None:
    to = tmp_path / "out"
    done = shared.b.run("session", "export", shared.session.id, "--to", str(to))

    project = to / "projects" / encoded(shared.session.cwd)
    transcript = project / f"{shared.session.id}.jsonl"
    assert transcript.read_bytes() == shared.session.content
    own = project / shared.session.id
    assert (own / "tool-results" / "out.txt").read_bytes() == b"much output\n"
    assert (own / "subagents" / "agent-a7.jsonl").is_file()
    assert (to / "tasks" / shared.session.id / "1.json").is_file()
    assert done.out.startswith("4 files, ")
    [found] = ClaudeSource([to]).sessions()
    assert (found.session_id, len(found.files)) == (shared.session.id, 4)
    assert {stat.S_IMODE(p.stat().st_mode) for p in to.rglob("*") if p.is_file()} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in to.rglob("*") if p.is_dir()} == {0o700}


def test_nothing_is_overwritten(shared: Shared, tmp_path: Path) -> None:
    command = ("session", "export", shared.session.id, "--to", str(tmp_path))
    shared.b.run(*command)
    [transcript] = tmp_path.glob("projects/*/*.jsonl")
    transcript.write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    assert shared.b.run(*command, check=False).code == 6
    assert transcript.read_text() == "mine"
    assert sorted(tmp_path.rglob("*")) == before


def test_it_never_writes_where_an_agent_would_take_it_for_its_own(shared: Shared) -> None:
    before = sorted(shared.b.claude.rglob("*"))
    link = shared.b.folder / "a-link"
    link.symlink_to(shared.b.claude)

    for to in (shared.b.claude, shared.b.claude / "projects", link, shared.b.paths.data / "x"):
        refused = shared.b.run("session", "export", shared.session.id, "--to", str(to), check=False)
        assert refused.code == 2
        assert "would take the session for its own" in refused.err
    assert sorted(shared.b.claude.rglob("*")) == before


def test_one_file_to_read(shared: Shared, tmp_path: Path) -> None:
    for option, name in (("--markdown", "md"), ("--html", "html")):
        command = ("session", "export", shared.session.id, option)
        shared.b.run(*command, "--to", str(tmp_path))
        written = (tmp_path / f"{shared.session.id}.{name}").read_text()

        assert "by alice.box" in written
        assert "Bash ls -la" in written
        assert "look around" in written
        assert "<script" not in written
        assert shared.b.run(*command).out == written


@pytest.mark.parametrize("options", [[], ["--html", "--markdown"]])
def test_what_cannot_be_meant_is_refused(shared: Shared, options: list[str]) -> None:
    refused = shared.b.run("session", "export", shared.session.id, *options, check=False)

    assert refused.code == 2


def test_an_empty_name_of_a_directory_is_not_the_current_one(
    shared: Shared, tmp_path: Path
) -> None:
    for command in (
        ("session", "export", shared.session.id, "--to", ""),
        ("session", "export", shared.session.id, "--html", "--to", " "),
        ("session", "fork", shared.session.id, "--into", "", "--dry-run"),
        ("project", "share", "", "--dry-run"),
    ):
        refused = shared.b.run(*command, cwd=tmp_path, check=False)

        assert refused.code == 2
        assert "an empty text names no directory" in refused.err
    assert list(tmp_path.iterdir()) == []


def test_an_agent_writes_no_file_without_private(shared: Shared, tmp_path: Path) -> None:
    shared.b.environ["CLAUDECODE"] = "1"
    try:
        command = ("session", "export", shared.session.id, "--markdown")
        refused = shared.b.run(*command, "--to", str(tmp_path), check=False)
        framed = shared.b.run(*command).out
    finally:
        del shared.b.environ["CLAUDECODE"]

    assert refused.code == 8
    assert list(tmp_path.iterdir()) == []
    assert framed.startswith("[[karma-sync begin ")
    assert framed.rstrip().endswith("]]")
