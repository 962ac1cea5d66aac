"""Side files of sessions: todos, tasks, plans, and which process has a session open."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain.session.facts import PlanNames
from karma_sync.domain.session.profile import Profile
from tests.support.builders import record, said
from tests.support.harness import until

SID = "0fd630f1-f29d-0da9-953f-48f1a09f76b5"
OTHER = "5affb229-0000-4000-8000-000000000000"


class Home:
    """Claude Code's directory with two sessions of one project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write(f"projects/-src/{SID}.jsonl", said("one"))
        self.write(f"projects/-src/{OTHER}.jsonl", said("two"))
        self.source = ClaudeSource([root])

    def write(self, name: str, content: bytes = b"{}") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def names(
        self, profile: Profile = Profile.STANDARD, plans: PlanNames | None = None
    ) -> set[str]:
        """The names of the first session's files, without its transcript."""
        session = self.source.session_at(self.root / f"projects/-src/{SID}.jsonl")
        assert session is not None
        return {
            f.name for f in self.source.complete(session, plans or PlanNames(), profile).files[1:]
        }

    def at(self, name: str) -> set[str]:
        """The sessions that a changed path belongs to."""
        return {s.session_id for s in self.source.sessions_at(self.root / name)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "claude")


def test_a_session_takes_its_own_todos_and_tasks_and_no_others(home: Home) -> None:
    for name in (
        f"todos/{SID}-agent-{SID}.json",
        f"todos/{SID}-agent-a1b2.json",
        f"todos/{OTHER}-agent-{OTHER}.json",
        f"todos/{SID}.json",
        f"tasks/{SID}/1.json",
        f"tasks/{SID}/.lock",
        f"tasks/{SID}/.highwatermark",
        f"tasks/{OTHER}/1.json",
        "tasks/some-team/1.json",
        f"projects/-src/{SID}/workflows/wf_1.json",
    ):
        home.write(name)

    assert home.names() == {
        f"todos/{SID}-agent-{SID}.json",
        f"todos/{SID}-agent-a1b2.json",
        "tasks/1.json",
        "workflows/wf_1.json",
    }


def test_a_todo_that_follows_another_at_once_is_found(home: Home) -> None:
    for number in range(20):
        home.write(f"todos/{SID}-agent-{number}.json")

        assert f"todos/{SID}-agent-{number}.json" in home.names()


def test_only_the_full_profile_takes_file_history_and_the_debug_log(home: Home) -> None:
    home.write(f"file-history/{SID}/0123456789abcdef@v1")
    home.write(f"file-history/{OTHER}/fedcba9876543210@v1")
    home.write(f"debug/{SID}.txt")
    home.write(f"debug/{OTHER}.txt")

    assert home.names(Profile.CONVERSATION) == home.names(Profile.STANDARD) == set()
    assert home.names(Profile.FULL) == {"file-history/0123456789abcdef@v1", f"debug/{SID}.txt"}


PLANS = (
    "shiny-puzzle.md",
    "shiny-puzzle-agent-a1.md",
    "other-plan.md",
    "shiny-puzzles.md",
    "x.txt",
)


def test_a_session_takes_the_plans_of_its_slug_and_those_it_wrote(home: Home) -> None:
    for name in PLANS:
        home.write(f"plans/{name}")
    slug = PlanNames(slugs=frozenset({"shiny-puzzle", "x.txt"}))
    wrote = PlanNames(paths=frozenset({str(home.root / "plans" / "other-plan.md")}))
    elsewhere = PlanNames(paths=frozenset({"/src/repo/plans/other-plan.md"}))

    assert home.names(plans=slug) == {"plans/shiny-puzzle.md", "plans/shiny-puzzle-agent-a1.md"}
    assert home.names(plans=wrote) == {"plans/other-plan.md"}
    assert home.names(plans=elsewhere) == home.names() == set()


def test_a_changed_plan_leads_to_the_sessions_that_name_it(home: Home) -> None:
    home.write(f"projects/-src/{SID}.jsonl", record(slug="shiny-puzzle", type="user"))
    catalogue = Catalogue(list, lambda _: None)
    for session in home.source.sessions():
        catalogue.facts(session)
    plan = home.write("plans/shiny-puzzle.md")

    assert home.source.is_plan(plan)
    assert [path.stem for path in catalogue.transcripts_naming(plan)] == [SID]
    assert catalogue.transcripts_naming(home.root / "plans" / "other.md") == []


@pytest.mark.parametrize(
    ("path", "sessions"),
    [
        (f"todos/{SID}-agent-{SID}.json", {SID}),
        (f"todos/{SID}.json", set()),
        ("todos/nobody-agent-nobody.json", set()),
        ("todos/../../etc-agent-x.json", set()),
        (f"tasks/{OTHER}/1.json", {OTHER}),
        (f"tasks/{OTHER}/.lock", {OTHER}),
        ("tasks/some-team/1.json", set()),
        (f"projects/-src/{SID}/workflows/wf_1.json", {SID}),
        (f"file-history/{SID}/x@v1", set()),
        ("history.jsonl", set()),
        ("../elsewhere", set()),
    ],
)
def test_a_changed_path_leads_to_its_session(home: Home, path: str, sessions: set[str]) -> None:
    home.write(f"tasks/{OTHER}/1.json")

    assert home.at(path) == sessions


def test_no_link_is_followed_out_of_the_side_folders(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "id.json").write_text("private")
    for folder in ("todos", "tasks", "plans", "debug", "file-history"):
        (home.root / folder).mkdir()
    (home.root / "todos" / f"{SID}-agent-1.json").symlink_to(secret / "id.json")
    (home.root / "tasks" / SID).symlink_to(secret)
    (home.root / "plans" / "slug.md").symlink_to(secret / "id.json")
    (home.root / "debug" / f"{SID}.txt").symlink_to(secret / "id.json")
    (home.root / "file-history" / SID).symlink_to(secret)

    assert home.names(Profile.FULL, PlanNames(frozenset({"slug"}))) == set()


def test_folders_that_are_links_themselves_are_not_followed(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f"{SID}-agent-1.json").write_text("private")
    (home.root / "todos").symlink_to(elsewhere)

    assert home.names() == set()


def running(home: Home, session_id: object = SID, pid: object = os.getpid()) -> bool | None:
    home.write("sessions/1.json", json.dumps({"pid": pid, "sessionId": session_id}).encode())
    found = {s.session_id: s.running for s in home.source.sessions()}
    return found[SID]


def test_a_session_that_a_living_process_names_is_running(home: Home) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()

    assert running(home)
    assert not running(home, session_id=OTHER)
    assert not running(home, pid=ended.pid)
    for nonsense in (0, -1, "1", None, 2**70):
        assert not running(home, pid=nonsense)
    assert not running(home, session_id=["x"])


def ps_start(pid: int, later: float = 0.0) -> str:
    """The start of a process as the agent records it, or so many seconds later."""
    began = datetime.fromtimestamp(psutil.Process(pid).create_time() + later, UTC)
    return began.strftime("%a %b %d %H:%M:%S %Y")


def test_another_process_with_the_number_of_a_killed_one_has_no_session_open(home: Home) -> None:
    for start, is_open in (
        (ps_start(os.getpid()), True),
        (ps_start(os.getpid(), 5.0), True),
        (ps_start(os.getpid(), -3600.0), False),
        ("12345", True),  # in a form that we do not know
        (None, True),
    ):
        state = {"pid": os.getpid(), "sessionId": SID, "procStart": start}
        home.write("sessions/1.json", json.dumps(state).encode())

        assert (SID in home.source.open_sessions()) is is_open, start


def test_a_killed_process_is_noticed_although_its_file_stays(home: Home) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    state = home.write(
        "sessions/1.json", json.dumps({"pid": process.pid, "sessionId": SID}).encode()
    )
    assert home.at("sessions/1.json") == {SID}
    assert home.source.ended() == []

    process.kill()  # and nobody has waited for it yet

    until(lambda: home.source.ended() == [state], "its end")
    assert home.at("sessions/1.json") == {SID}
    assert home.source.ended() == []
    process.communicate()


def test_the_secret_beside_a_state_file_is_never_opened(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write("sessions/1.json", json.dumps({"pid": os.getpid(), "sessionId": SID}).encode())
    for name in (f"1.{'a' * 64}.key", "1.json.bak", "x.json"):
        home.write(f"sessions/{name}", b'{"pid": 1, "sessionId": "secret"}')
    opened: list[str] = []
    plain = Path.open

    def noted(path: Path, *args: Any, **options: Any) -> Any:
        opened.append(path.name)
        return plain(path, *args, **options)

    monkeypatch.setattr(Path, "open", noted)

    assert home.source.open_sessions() == {SID}
    assert opened == ["1.json"]


def test_where_the_agent_does_not_report_open_sessions_nobody_knows(home: Home) -> None:
    assert {s.running for s in home.source.sessions()} == {None}

    home.write("sessions/1.json", b"{}")

    assert {s.running for s in home.source.sessions()} == {False}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_an_unreadable_state_file_names_no_session(home: Home, content: bytes) -> None:
    home.write("sessions/1.json", content)

    assert not any(s.running for s in home.source.sessions())


def test_a_changed_state_file_leads_to_the_sessions_that_started_or_ended(home: Home) -> None:
    state = home.write(
        "sessions/1.json", b'{"pid": %d, "sessionId": "%s"}' % (os.getpid(), SID.encode())
    )

    assert home.at("sessions/1.json") == {SID}
    assert home.at("sessions/1.json") == set()
    state.unlink()
    assert home.at("sessions/1.json") == {SID}
