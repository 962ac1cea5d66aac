"""Watching the agent's directory: every changed file is reported, also in new folders."""

import errno
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.sending import inotify
from karma_sync.sending.directory_watcher import DirectoryWatcher
from karma_sync.sending.watcher import Folders, Watcher
from tests.support.harness import until


class Seen:
    """A watched directory, and the paths that were reported."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths: set[str] = set()
        self.reports: list[str] = []
        folders = Folders(("projects", "todos", "sessions"), ("sessions",), ("projects",))
        self.watcher = Watcher(home, folders, self._told, self.reports.append)
        self.watcher.start()

    def _told(self, path: Path) -> None:
        self.paths.add(str(path.relative_to(self.home)))

    def write(self, name: str) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        return path

    def wait_for(self, name: str) -> None:
        until(lambda: name in self.paths, f"{name} told")


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
        until(lambda: wanted <= seen.paths, "all of them told")


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


def test_what_lies_behind_links_is_watched_too(tmp_path: Path) -> None:
    """A project directory, a transcript, and a session's own directory."""
    kept = tmp_path / "kept"
    for each in ("dir/s1", "own/tool-results", "files"):
        (kept / each).mkdir(parents=True)
    (kept / "files" / "s2.jsonl").write_text("x")
    (kept / "dir" / "s3.jsonl").symlink_to(kept / "files" / "s3.jsonl")
    (kept / "files" / "s3.jsonl").write_text("x")
    here = tmp_path / "claude" / "projects" / "-src"
    here.mkdir(parents=True)
    (here.parent / "-linked").symlink_to(kept / "dir")
    (here / "s2.jsonl").symlink_to(kept / "files" / "s2.jsonl")
    (here / "s2").symlink_to(kept / "own")

    with watching(tmp_path / "claude") as seen:
        for name, told in (
            ("files/s2.jsonl", "-src/s2.jsonl"),
            ("own/tool-results/t.txt", "-src/s2/tool-results/t.txt"),
            ("dir/s4.jsonl", "-linked/s4.jsonl"),
            ("dir/s1/subagents/a.jsonl", "-linked/s1/subagents/a.jsonl"),
            ("files/s3.jsonl", "-linked/s3.jsonl"),
        ):
            (kept / name).parent.mkdir(exist_ok=True)
            (kept / name).write_text("more")
            seen.wait_for(f"projects/{told}")
        assert seen.reports == []
        assert not seen.watcher.check(thoroughly=True)


def test_a_link_that_appears_later_is_followed_and_one_that_goes_is_not(
    seen: Seen, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "s1.jsonl").write_text("x")
    seen.write("projects/-src/s0.jsonl")
    seen.wait_for("projects/-src/s0.jsonl")

    link = seen.home / "projects" / "-linked"
    link.symlink_to(kept)
    seen.wait_for("projects/-linked/s1.jsonl")
    (kept / "s2.jsonl").write_text("x")
    seen.wait_for("projects/-linked/s2.jsonl")

    link.unlink()
    barrier(seen, "1")
    (kept / "s3.jsonl").write_text("x")
    barrier(seen, "2")
    assert "projects/-linked/s3.jsonl" not in seen.paths


def barrier(seen: Seen, name: str) -> None:
    """All that happened before this was called has been told when it returns."""
    seen.write(f"projects/-src/barrier-{name}")
    seen.wait_for(f"projects/-src/barrier-{name}")


def test_two_links_to_each_other_are_no_harm(tmp_path: Path) -> None:
    projects = tmp_path / "claude" / "projects"
    (projects / "-src").mkdir(parents=True)
    (projects / "-src" / "up").symlink_to(projects)
    (projects / "-a").symlink_to(projects / "-b")
    (projects / "-b").symlink_to(projects / "-a")

    with watching(tmp_path / "claude") as seen:
        seen.write("projects/-src/s1.jsonl")
        seen.wait_for("projects/-src/s1.jsonl")


def alone(script: str, *arguments: object) -> str:
    """The output of a script in a user namespace of its own, whose limits it may set."""
    if subprocess.run(["unshare", "-Ur", "true"], check=False).returncode:
        pytest.skip("this system gives no user namespace")
    return subprocess.run(
        ["unshare", "-Ur", sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


# In a user namespace of its own, whose limits this process may set.
SHORT = """
import pathlib, sys, time
from karma_sync.sending.directory_watcher import DirectoryWatcher
from karma_sync.sending.watcher import Folders, Watcher

limit, most, home = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
told, reports = set(), []
kernel = pathlib.Path("/proc/sys/user", limit)
enough = kernel.read_text()
kernel.write_text(most)
watcher = Watcher(home, Folders(("projects",)), told.add, reports.append)
watcher.start()
[why] = reports
assert watcher.check()
kernel.write_text(enough)
assert not watcher.check()
assert reports == [why, ""], reports
path = home / "projects" / "-7" / "s1.jsonl"
path.write_text("x")
while path not in told:
    time.sleep(0.01)
watcher.stop()
print(why)
"""


@pytest.mark.parametrize(
    ("limit", "most", "why"),
    [
        ("max_inotify_instances", 0, "inotify instances are used up"),
        ("max_inotify_watches", 0, "inotify watches are used up"),
        ("max_inotify_watches", 4, "6 of the agent's directories are not watched"),
    ],
)
def test_what_cannot_be_watched_is_reported_until_it_is(
    tmp_path: Path, limit: str, most: int, why: str
) -> None:
    for number in range(8):
        (tmp_path / "projects" / f"-{number}").mkdir(parents=True)

    done = alone(SHORT, limit, most, tmp_path)

    assert why in done
    assert f"sudo sysctl fs.inotify.{limit.replace('_inotify_', '_user_')}=" in done


# Two directories of each watcher are watched, then two more appear that must not be.
BESIDE = """
import pathlib, sys
from karma_sync.sending.directory_watcher import DirectoryWatcher
from karma_sync.sending.watcher import Folders, Watcher

home, other = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
told, reports = set(), []
watcher = Watcher(home, Folders(("projects",)), told.add, reports.append)
watcher.start()
beside = DirectoryWatcher(lambda: [other, other / "chunks"], lambda: None)
beside.start()
pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("4")
for name in ("-1", "-2"):
    (home / "projects" / name).mkdir()
watcher.check(thoroughly=True)
print(reports)
watcher.stop()
beside.stop()
"""


def test_what_another_watcher_holds_hides_no_directory_that_is_not_watched(tmp_path: Path) -> None:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    (tmp_path / "engram" / "chunks").mkdir(parents=True)

    done = alone(BESIDE, tmp_path / "claude", tmp_path / "engram")

    assert "2 of the agent's directories are not watched" in done


def test_the_command_allows_more_than_now() -> None:
    now = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())

    told = inotify.remedy(OSError(errno.ENOSPC, "no space"))

    assert int(told.rpartition("=")[2]) > now


def test_a_file_that_changes_in_a_directory_is_told_also_where_it_appears_later(
    tmp_path: Path,
) -> None:
    first, later = tmp_path / "first", tmp_path / "later"
    first.mkdir()
    told = threading.Event()
    watcher = DirectoryWatcher(lambda: [first, later], told.set)
    watcher.start()
    try:
        (first / "engram.db").write_text("saved")
        assert told.wait(10)
        later.mkdir()
        assert watcher.check()
        assert not watcher.check()
        told.clear()
        (later / "manifest.json").write_text("{}")
        assert told.wait(10)
    finally:
        watcher.stop()
    assert not watcher.check()


def is_made_again(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()


def is_moved_away_and_made_again(directory: Path) -> None:
    directory.rename(directory.with_name("before"))
    directory.mkdir()


@pytest.mark.parametrize("changed", [is_made_again, is_moved_away_and_made_again])
def test_a_directory_that_takes_the_place_of_another_is_watched(
    tmp_path: Path, changed: Callable[[Path], None]
) -> None:
    chunks = tmp_path / ".engram" / "chunks"
    chunks.mkdir(parents=True)
    told = threading.Event()
    watcher = DirectoryWatcher(lambda: [chunks], told.set)
    watcher.start()
    try:
        changed(chunks)
        until(watcher.check, "the new directory watched", 10)
        told.clear()
        (chunks / "5e2a91c0.jsonl.gz").write_bytes(b"")
        assert told.wait(10)
        assert not watcher.check()
    finally:
        watcher.stop()
