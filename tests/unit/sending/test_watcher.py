"""Watching the agent's directory: every changed file is reported, also in new folders."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.sending.watcher import Watcher
from tests.support.harness import until


class Seen:
    """A watched directory, and the paths that were reported."""

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


@contextmanager
def watching(home: Path) -> Iterator[Seen]:
    """A running watcher, started in the test itself, where warnings are errors."""
    found = Seen(home)
    try:
        yield found
    finally:
        found.watcher.stop()


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    (tmp_path / "claude" / "todos").mkdir(parents=True)
    with watching(tmp_path / "claude") as found:
        yield found


def test_a_file_in_an_existing_folder_is_reported(seen: Seen) -> None:
    seen.write("todos/a.json")

    seen.wait_for("todos/a.json")


def test_a_file_in_a_folder_that_appears_later_is_reported(seen: Seen) -> None:
    seen.write("projects/-src/s1.jsonl")
    seen.wait_for("projects/-src/s1.jsonl")
    seen.write("projects/-src/s1/tool-results/t.txt")

    seen.wait_for("projects/-src/s1/tool-results/t.txt")


def test_the_files_of_a_folder_that_is_moved_in_are_reported(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "made" / "-src").mkdir(parents=True)
    (tmp_path / "made" / "-src" / "s1.jsonl").write_text("x")
    (tmp_path / "made").rename(seen.home / "projects")

    seen.wait_for("projects/-src/s1.jsonl")


def test_deletions_are_reported_only_in_the_folders_that_ask_for_it(seen: Seen) -> None:
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


def test_files_outside_the_folders_are_not_reported(seen: Seen) -> None:
    seen.write("history.jsonl")
    seen.write("shell-snapshots/x.sh")
    seen.write("todos/a.json")
    seen.wait_for("todos/a.json")

    assert seen.paths == {"todos/a.json"}


# In another process, so that folders are created while watchdog lists the ones before.
FILL = """
import pathlib, sys
for name in range(20):
    for each in range(60):
        folder = pathlib.Path(sys.argv[1], str(name), str(each))
        folder.mkdir(parents=True)
        (folder / "t.txt").write_text("x")
"""


def test_all_files_of_folders_that_are_just_being_filled_are_reported(tmp_path: Path) -> None:
    with watching(tmp_path / "claude") as seen:
        seen.write("projects/-src/s1.jsonl")
        seen.wait_for("projects/-src/s1.jsonl")
        subprocess.run([sys.executable, "-c", FILL, str(seen.home / "projects")], check=True)

        wanted = {f"projects/{name}/{each}/t.txt" for name in range(20) for each in range(60)}
        until(lambda: wanted <= seen.paths, "all of them told", timeout=20)


def test_a_folder_that_was_deleted_and_made_again_is_watched_again(seen: Seen) -> None:
    for name in ("first", "again", "moved"):
        seen.write(f"projects/-src/{name}.jsonl")
        seen.wait_for(f"projects/-src/{name}.jsonl")
        seen.write(f"projects/-src/{name}-later.jsonl")
        seen.wait_for(f"projects/-src/{name}-later.jsonl")
        if name == "again":
            (seen.home / "projects").rename(seen.home / "old")
        else:
            shutil.rmtree(seen.home / "projects")


@pytest.mark.parametrize("link", ["claude", "claude/projects", "claude/projects, later"])
def test_a_symbolic_link_as_home_or_folder_is_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "dotfiles").mkdir()
    place = tmp_path / link.removesuffix(", later")
    place.parent.mkdir(exist_ok=True)
    if place.name == link.rpartition("/")[2]:
        place.symlink_to(tmp_path / "dotfiles")

    with watching(tmp_path / "claude") as seen:
        if not place.exists():
            place.symlink_to(tmp_path / "dotfiles")
        for name in ("-src/s1.jsonl", "-src/s1/tool-results/t.txt"):
            seen.write(f"projects/{name}")
            seen.wait_for(f"projects/{name}")
