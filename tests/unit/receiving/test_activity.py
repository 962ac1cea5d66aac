"""Activity is indexed with the text of sessions: in steps as at once, and forgotten with it."""

import random
import secrets
from pathlib import Path
from typing import Any

import pytest

from karma_sync.domain.access import AccessScope
from karma_sync.domain.mesh.channels import Kept
from karma_sync.domain.session.activity import WantedFile
from karma_sync.store.record_ids import number_of, of_others
from karma_sync.store.touched import Touched, touched
from tests.support.archives import desk as archive_desk
from tests.support.builders import (
    ALICE,
    BOB,
    PROJECT,
    Desk,
    Shelf,
    Swapping,
    channel_of,
    record,
    team_of_all,
)
from tests.unit.receiving.test_importer import CHANNEL, TEAM, take
from tests.unit.receiving.test_indexer import SECRET, Cutting

CLONE = "/home/alice/work/repo"
TABLES = ("place", "open", "touch", "response", "stretch", "usage", "tool")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "alice", CHANNEL, Swapping({}))


def line(kind: str, *parts: dict[str, Any], at: str = "12:00", **message: Any) -> bytes:
    return record(
        type=kind,
        uuid=f"{kind}-{at}",
        timestamp=f"2026-05-20T{at}:00.000Z",
        cwd=CLONE,
        message={"content": list(parts), **message},
    )


def asked(text: str, at: str = "12:00") -> bytes:
    return line("user", {"type": "text", "text": text}, at=at)


def called(tool: str, call: str, path: str, at: str = "12:00", **message: Any) -> bytes:
    part = {"type": "tool_use", "id": call, "name": tool, "input": {"file_path": path}}
    return line("assistant", part, at=at, **message)


def ended(call: str, failed: bool = False, at: str = "12:00") -> bytes:
    part = {"type": "tool_result", "tool_use_id": call, "content": "ok", "is_error": failed}
    return line("user", part, at=at)


def used(response: str, output: int, at: str = "12:00", model: str = "claude-opus-4-1") -> bytes:
    usage = {"input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 100}
    text = {"type": "text", "text": "answer"}
    return line("assistant", text, at=at, id=response, model=model, usage=usage)


def arrive(desk: Desk, shelf: Shelf, content: bytes) -> None:
    desk.append(content)
    desk.package()
    take(shelf, desk)
    while shelf.importer.complete_index():
        pass


def found(
    shelf: Shelf, path: str, scope: AccessScope | None = None, **wanted: Any
) -> list[Touched]:
    allowed = scope or shelf.scope
    with shelf.store.reading() as tx:
        return touched(tx, allowed, WantedFile(path, **wanted), "bob.box", 50)


def rows(shelf: Shelf) -> dict[str, list[tuple[Any, ...]]]:
    """All that is kept; the numbers of rows are left out."""
    with shelf.store.reading() as tx:
        return {
            name: sorted(
                tuple(row)[name == "touch" :]
                for row in tx.execute(f"SELECT * FROM activity_{name}")  # noqa: S608 ours
            )
            for name in TABLES
        }


def test_a_file_is_found_by_its_place_in_the_repository(shelf: Shelf, desk: Desk) -> None:
    arrive(
        desk,
        shelf,
        called("Read", "c1", f"{CLONE}/src/app.py", "12:01")
        + ended("c1")
        + called("Edit", "c2", f"{CLONE}/src/app.py", "12:02")
        + ended("c2", at="12:03")
        + called("Write", "c3", f"{CLONE}/docs/new.md", "12:04")
        + ended("c3", at="12:05"),
    )

    [change, read] = found(shelf, "src/app.py")
    assert (change.changes, change.times, change.message) == (True, 1, "assistant-12:02")
    assert (read.changes, read.times) == (False, 1)
    assert (change.member, change.session) == (desk.channel.owner.tag, "s1")
    assert [f.path for f in found(shelf, "docs")] == ["docs/new.md"]
    assert {f.path for f in found(shelf, "")} == {"src/app.py", "docs/new.md"}
    assert found(shelf, "app.py") == found(shelf, "src/ap") == []
    assert [f.changes for f in found(shelf, "src/app.py", changes_only=True)] == [True]


def test_a_call_counts_once_it_succeeded(shelf: Shelf, desk: Desk) -> None:
    arrive(desk, shelf, called("Edit", "c1", "src/app.py") + called("Edit", "c2", "b.py"))
    assert found(shelf, "") == []
    arrive(desk, shelf, ended("c1"))
    arrive(desk, shelf, ended("c2", failed=True) + ended("c1") + ended("unknown"))

    [one] = found(shelf, "")
    assert (one.path, one.times) == ("src/app.py", 1)
    assert rows(shelf)["open"] == []


def test_other_projects_and_other_scopes_find_nothing(shelf: Shelf, desk: Desk) -> None:
    arrive(desk, shelf, called("Edit", "c1", "src/app.py") + ended("c1"))

    assert len(found(shelf, "src/app.py", projects=[desk.channel.project])) == 1
    assert found(shelf, "src/app.py", projects=["example.org/acme/other"]) == []
    assert found(shelf, "src/app.py", AccessScope("bob.box")) == []
    assert found(shelf, "src/app.py", shelf.scope.within(project="example.org/acme/x")) == []


def test_a_directory_that_is_entered_later_tells_where_files_lie(shelf: Shelf, desk: Desk) -> None:
    home = b'"cwd": "/home/alice"'
    first = called("Edit", "c1", f"{CLONE}/x.py").replace(b'"cwd": "%b"' % CLONE.encode(), home)
    assert home in first
    arrive(desk, shelf, first + ended("c1").replace(b'"cwd": "%b"' % CLONE.encode(), home))
    assert [f.path for f in found(shelf, "")] == ["x.py"] or found(shelf, "work/repo/x.py")
    arrive(desk, shelf, asked("now here"))

    assert [f.path for f in found(shelf, "")] == ["x.py"]


def test_tokens_of_a_response_count_once_whatever_repeats_them(shelf: Shelf, desk: Desk) -> None:
    arrive(desk, shelf, asked("go") + used("r1", 5) + used("r1", 7, "12:01"))
    arrive(desk, shelf, used("r1", 9, "12:02") + used("r2", 1, "13:00", "claude-haiku-4-5"))
    arrive(desk, shelf, used("r1", 9, "14:30"))

    hour = 1779278400 // 3600  # 2026-05-20 12:00 UTC
    usage = {row[1:3]: row[3:] for row in rows(shelf)["usage"]}
    assert usage[hour, "claude-opus-4-1"] == (0, 0, 10, 9, 100, 0)
    assert usage[hour + 1, "claude-haiku-4-5"] == (0, 0, 10, 1, 100, 0)
    assert usage[hour, ""] == (1, 1, 0, 0, 0, 0)
    assert {key: each[:2] for key, each in usage.items() if key[1] == ""} == {
        (hour, ""): (1, 1),
        (hour + 1, ""): (0, 1),
        (hour + 2, ""): (0, 1),
    }


def test_a_session_that_grows_tells_the_same_as_one_that_comes_at_once(tmp_path: Path) -> None:
    seed = secrets.randbelow(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)  # noqa: S311 a made-up session
    made = []
    for number in range(60):
        at = f"{10 + number // 20}:{(number * 3) % 60:02}"
        made += chance.choice(
            [
                [asked(f"prompt {number}", at)],
                [
                    called("Edit", f"c{number}", f"src/{number % 7}.py", at),
                    ended(f"c{number}", at=at),
                ],
                [
                    called(
                        "Read",
                        f"c{number}",
                        f"src/{number % 5}.py",
                        at,
                        id=f"r{number}",
                        usage={"output_tokens": 3},
                    )
                ],
                [used(f"r{number % 9}", number, at)],
                [ended(f"c{chance.randrange(60)}", chance.random() < 0.3, at)],
            ]
        )
    steps, whole = Shelf(tmp_path / "steps"), Shelf(tmp_path / "whole")
    slow = Desk(tmp_path / "slow", CHANNEL, Swapping({}))
    fast = Desk(tmp_path / "fast", CHANNEL, Swapping({}))
    left = list(made)
    while left:
        count = chance.randrange(1, 12)
        arrive(slow, steps, b"".join(left[:count]))
        left = left[count:]
    arrive(fast, whole, b"".join(made))

    assert rows(steps) == rows(whole)


def test_what_is_gone_told_nothing(shelf: Shelf, desk: Desk) -> None:
    secret = SECRET
    arrive(desk, shelf, asked("go") + called("Edit", "c1", f"src/{secret}.py") + ended("c1"))
    assert found(shelf, f"src/{secret}.py")
    desk.restart(Cutting({secret.encode(): b"withheld"}, version="later"))
    desk.package()
    take(shelf, desk)

    assert found(shelf, f"src/{secret}.py") == []
    assert [f.path for f in found(shelf, "")] == ["src/withheld.py"]
    assert len(rows(shelf)["usage"]) == 1
    assert shelf.importer.scrub()
    files = [path for path in shelf.root.rglob("*") if path.is_file()]
    assert [f.name for f in files if secret.encode() in f.read_bytes()] == []
    shelf.importer.forget_all_but(Kept(TEAM.id, PROJECT, ALICE))
    assert not any(rows(shelf).values())


def test_a_file_is_forgotten_beside_one_whose_responses_name_no_model(
    shelf: Shelf, desk: Desk
) -> None:
    desk.write(asked("look") + used("m1", 30, model=""), "s1/subagents/agent-1.jsonl")
    arrive(desk, shelf, asked("hello"))
    desk.write(asked("written anew"))
    desk.package()
    take(shelf, desk)

    assert [(usage[2], usage[6]) for usage in rows(shelf)["usage"]] == [("", 30)]


def told(shelf: Shelf) -> dict[str, tuple[int, int, int]]:
    """The turns, the tokens that were written, and the calls of each member's session."""
    with shelf.store.reading() as tx:
        sessions = tx.execute(
            "SELECT s.number, member FROM search_item AS s JOIN item AS i"
            " ON i.folder = s.folder AND i.item = s.item"
        ).fetchall()
        sums = "SELECT coalesce(sum(turns), 0), coalesce(sum(output), 0) FROM activity_usage"
        calls = "SELECT coalesce(sum(times), 0) FROM activity_tool"
        return {
            row["member"]: (
                *tx.execute(f"{sums} WHERE item = ?", [row["number"]]).fetchone(),  # noqa: S608
                *tx.execute(f"{calls} WHERE item = ?", [row["number"]]).fetchone(),  # noqa: S608
            )
            for row in sessions
        }


def test_copied_records_count_for_the_session_that_had_them_first(
    shelf: Shelf, desk: Desk, tmp_path: Path
) -> None:
    parent = (
        asked("go")
        + used("r1", 5, "12:01")
        + called("Edit", "c1", "src/app.py", "12:02")
        + ended("c1", at="12:03")
    )
    arrive(desk, shelf, parent)
    other = Desk(tmp_path / "bob-desk", channel_of(TEAM, BOB), Swapping({}))
    other.append(parent + asked("and on", "13:00") + used("r2", 7, "13:01"), "s2.jsonl")
    _arrive(other, shelf, "s2")

    assert told(shelf) == {ALICE: (1, 5, 1), BOB: (1, 7, 0)}
    assert [(f.member, f.times) for f in found(shelf, "src/app.py")] == [(ALICE, 1)]
    more = called("Edit", "c2", "src/app.py", "13:02") + ended("c2", at="13:03")
    other.append(more, "s2.jsonl")
    _arrive(other, shelf, "s2")
    arrive(desk, shelf, called("Edit", "c3", "b.py", "14:00") + ended("c3", at="14:01"))

    assert told(shelf) == {ALICE: (1, 5, 2), BOB: (1, 7, 1)}
    both = [(f.member, f.times, f.message) for f in found(shelf, "src/app.py")]
    assert both == [(BOB, 1, "assistant-13:02"), (ALICE, 1, "assistant-12:02")]
    shelf.importer.forget_all_but(Kept(TEAM.id, PROJECT, ALICE))
    assert told(shelf) == {BOB: (1, 7, 1)}
    with shelf.store.reading() as tx:
        assert tx.execute("SELECT * FROM record_copy").fetchall() == []


def _arrive(desk: Desk, shelf: Shelf, session: str) -> None:
    desk.package(session)
    shelf.importer.import_item(desk.channel, desk.outbox.path, desk.item(session))
    while shelf.importer.complete_index():
        pass


def test_one_session_that_came_through_two_teams_is_no_copy_of_itself(
    shelf: Shelf, desk: Desk, tmp_path: Path
) -> None:
    content = asked("go") + used("r1", 5, "12:01")
    arrive(desk, shelf, content)
    home = team_of_all(ALICE, BOB, name="home")
    again = Desk(tmp_path / "again", channel_of(home, ALICE), Swapping({}))
    again.append(content)
    _arrive(again, shelf, "s1")

    assert [row[3:5] for row in rows(shelf)["usage"] if row[2] == ""] == [(1, 1), (1, 1)]


def test_an_archived_fork_has_only_what_is_new_in_it(tmp_path: Path) -> None:
    with archive_desk(tmp_path) as d:
        parent = d.write("the first", "the second", days_ago=1)  # it was active before its fork
        fork = d.write("go on")
        fork.path.write_bytes(parent.content.replace(parent.id.encode(), fork.id.encode()))
        fork.append("and on")
        d.pass_()

        with d.store.reading() as tx:
            turns = tx.execute(
                "SELECT sum(turns) AS n FROM activity_usage GROUP BY item"
            ).fetchall()
            [copy] = tx.execute("SELECT * FROM record_copy").fetchall()
    assert sorted(row["n"] for row in turns) == [1, 2]
    assert copy["item"] != copy["parent"]


def test_records_that_the_library_has_of_others_are_no_own_ones(shelf: Shelf, desk: Desk) -> None:
    arrive(desk, shelf, asked("go"))

    known, another = number_of("user-12:00"), number_of("another")
    assert known is not None and another is not None

    def others(member: str, session: str) -> set[int]:
        with shelf.store.reading() as tx:
            return of_others(tx, member, session, [known, another])

    assert others(ALICE, "s1") == set()
    assert others(ALICE, "s2") == others(BOB, "s1") == {known}
