"""Watching the agent's directory: what was written is told, whenever its folder came."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_sync.flow.watch import Watcher
from tests.harness import until


class Seen:
    """A watched directory, and the paths that were told."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths: set[str] = set()
        self.watcher = Watcher(home, ("projects", "todos", "sessions"), self._told, ("sessions",))
        self.watcher.start()

    def _told(self, path: Path) -> None:
        self.paths.add(str(path.relative_to(self.home)))

    def write(self, name: str) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        return path

    def wait_for(self, name: str) -> None:
        until(lambda: name in self.paths, f"{name} told", timeout=20)


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    (tmp_path / "claude" / "todos").mkdir(parents=True)
    found = Seen(tmp_path / "claude")
    yield found
    found.watcher.stop()


def test_what_is_written_in_a_folder_that_was_there_is_told(seen: Seen) -> None:
    seen.write("todos/a.json")

    seen.wait_for("todos/a.json")


def test_what_is_written_in_a_folder_that_came_later_is_told(seen: Seen) -> None:
    seen.write("projects/-src/s1.jsonl")
    seen.wait_for("projects/-src/s1.jsonl")
    seen.write("projects/-src/s1/tool-results/t.txt")

    seen.wait_for("projects/-src/s1/tool-results/t.txt")


def test_a_folder_that_was_moved_there_is_told_with_all_that_is_in_it(
    seen: Seen, tmp_path: Path
) -> None:
    (tmp_path / "made" / "-src").mkdir(parents=True)
    (tmp_path / "made" / "-src" / "s1.jsonl").write_text("x")
    (tmp_path / "made").rename(seen.home / "projects")

    seen.wait_for("projects/-src/s1.jsonl")


def test_only_folders_whose_gaps_say_something_tell_of_deletions(seen: Seen) -> None:
    todo, state = seen.write("todos/a.json"), seen.write("sessions/1.json")
    for name in ("todos/a.json", "sessions/1.json"):
        seen.wait_for(name)
    seen.write("todos/barrier.json")
    seen.wait_for("todos/barrier.json")
    seen.paths.clear()

    todo.unlink()
    state.unlink()
    seen.wait_for("sessions/1.json")
    assert "todos/a.json" not in seen.paths


def test_what_lies_beside_the_folders_is_not_told(seen: Seen) -> None:
    seen.write("history.jsonl")
    seen.write("shell-snapshots/x.sh")
    seen.write("todos/a.json")
    seen.wait_for("todos/a.json")

    assert seen.paths == {"todos/a.json"}
