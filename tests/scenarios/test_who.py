"""`who`: whose agent read or changed a file, in the repository as it lies here."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

HOSTILE = "\x1b[2Jtitle\u202e"


@dataclass(frozen=True)
class Pair:
    """A changed src/app.py and read src/lib.py; B read src/app.py and worked outside too."""

    a: Member
    b: Member
    changed: Session
    read: Session


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.members("alice", "bob")
    found_team(a, b)
    share(a, b)
    changed = a.write_session(f"{HOSTILE} mend the app")
    use(changed, "Edit", changed.cwd / "src" / "app.py")
    use(changed, "Read", changed.cwd / "src" / "lib.py")
    read = b.write_session("look at the app")
    use(read, "Read", read.cwd / "src" / "app.py")
    until(lambda: works(b, "src/app.py", "--edits"), "what A changed is known at B")
    until(lambda: len(works(a, "src/app.py")) == 2, "what B read is known at A")
    until(lambda: len(works(b, "src/app.py")) == 2, "B's own session is known at B")
    return Pair(a, b, changed, read)


def use(session: Session, tool: str, path: Path, failed: bool = False) -> None:
    """Append a call and its result to a session."""
    call = f"toolu_{len(session.content)}"
    given = {"type": "tool_use", "id": call, "name": tool, "input": {"file_path": str(path)}}
    result = {"type": "tool_result", "tool_use_id": call, "content": "ok", "is_error": failed}
    common = {
        "sessionId": session.id,
        "cwd": str(session.cwd),
        "timestamp": datetime.now(UTC).isoformat(),
    }
    records = [
        {"type": "assistant", "uuid": f"a-{call}-{session.id}", "message": {"content": [given]}},
        {"type": "user", "uuid": f"r-{call}-{session.id}", "message": {"content": [result]}},
    ]
    with session.path.open("a") as out:
        out.writelines(json.dumps(common | record) + "\n" for record in records)


def works(
    member: Member, path: str, *options: str, cwd: Path | None = None
) -> list[dict[str, Any]]:
    done = member.run("who", path, *options, "--json", cwd=cwd)
    return list(json.loads(done.out)["works"])


def test_who_changed_a_file_and_who_read_it(pair: Pair) -> None:
    by = {each["author"]: each for each in works(pair.b, "src/app.py")}

    assert by.keys() == {pair.a.tag, pair.b.tag}
    assert (by[pair.a.tag]["changes"], by[pair.a.tag]["reads"]) == (1, 0)
    assert (by[pair.b.tag]["changes"], by[pair.b.tag]["reads"]) == (0, 1)
    assert by[pair.a.tag]["session"] == pair.changed.id
    assert by[pair.a.tag]["files"] == ["src/app.py"]
    assert [each["author"] for each in works(pair.b, "src/app.py", "--edits")] == [pair.a.tag]
    assert works(pair.b, "src/app.py", "--since", "2099-01-01") == []
    assert works(pair.b, "app.py") == []


def test_a_path_is_seen_from_where_the_person_stands(pair: Pair) -> None:
    inside = pair.b.repo / "src"
    inside.mkdir(exist_ok=True)
    elsewhere = pair.b.folder

    assert len(works(pair.b, "app.py", cwd=inside)) == 2
    assert len(works(pair.b, "../src/app.py", cwd=inside)) == 2
    assert len(works(pair.b, str(pair.b.repo / "src" / "app.py"), cwd=elsewhere)) == 2
    assert len(works(pair.b, "src/app.py", "--project", "repo", cwd=elsewhere)) == 2
    files = {f for each in works(pair.b, ".", cwd=inside) for f in each["files"]}
    assert files == {"src/app.py", "src/lib.py"}
    assert len(works(pair.b, ".")) == 2


def test_the_whole_repository_is_what_lies_in_it(pair: Pair) -> None:
    use(pair.changed, "Read", pair.a.folder / "far" / "away.md")
    use(pair.changed, "Read", pair.changed.cwd / "near.md")
    until(lambda: works(pair.b, "near.md"), "what A read last is known at B")

    for where in ((".",), (".", "--project", "repo"), (str(pair.b.repo),)):
        files = {f for each in works(pair.b, *where) for f in each["files"]}
        assert files == {"src/app.py", "src/lib.py", "near.md"}


def test_a_file_of_one_project_is_not_that_of_another(pair: Pair) -> None:
    place = pair.b.clone("git@example.org:acme/other.git", "other")
    other = pair.b.write_session("elsewhere", cwd=place)
    use(other, "Edit", place / "src" / "app.py")
    until(lambda: works(pair.b, "src/app.py", cwd=place), "what B changed is indexed")

    named = works(pair.b, "src/app.py", "--project", "repo", cwd=place)
    assert {each["session"] for each in works(pair.b, "src/app.py", cwd=place)} == {other.id}
    assert named
    assert other.id not in {each["session"] for each in named}


def test_a_directory_of_no_project_is_what_lies_below_it(pair: Pair, tmp_path: Path) -> None:
    done = pair.b.run("who", ".", cwd=tmp_path)

    assert works(pair.b, ".", cwd=tmp_path) == []
    assert done.out.splitlines() == [
        f"No session that you can read worked on {tmp_path}.",
        f"Next: karma-sync search file:{tmp_path.name}",
    ]


def test_a_repository_that_nobody_worked_on_is_named(pair: Pair) -> None:
    done = pair.b.run("who", ".", "--since", "2099-01-01")

    assert done.out.splitlines() == [
        "No session that you can read worked on a file of example.org/acme/repo.",
        "Next: karma-sync session list --project example.org/acme/repo",
    ]


def test_the_next_command_can_be_typed_for_any_name(pair: Pair) -> None:
    out = pair.b.run("who", "a; b.py").out

    assert out.splitlines()[-1] == "Next: karma-sync search 'file:\"a; b.py\"'"


def test_people_read_who_when_and_where_to_look(pair: Pair) -> None:
    out = pair.b.run("who", "src/app.py").out

    [alice] = [line for line in out.splitlines() if line.startswith("alice")]
    assert "changed once" in alice
    assert "src/app.py" in alice
    assert f"{pair.changed.id[:8]}@a-toolu_" in alice
    assert "live" in alice
    [bob] = [line for line in out.splitlines() if line.startswith("you")]
    assert "read once" in bob
    assert "\x1b" not in out
    assert "\u202e" not in out
    shown = out.splitlines()[-1].removeprefix("Next: karma-sync ").split()
    assert "src/app.py" in pair.b.run(*shown).out


def test_what_only_the_archive_has_counts_too_and_once(pair: Pair) -> None:
    notes = pair.b.folder / "notes"
    notes.mkdir()
    alone = pair.b.write_session("in no repository", cwd=notes)
    use(alone, "Write", notes / "ideas.md")
    until(lambda: works(pair.b, "ideas.md", cwd=notes), "the archived session is indexed")

    [one] = works(pair.b, "ideas.md", cwd=notes)
    assert (one["session"], one["changes"]) == (alone.id, 1)
    [same] = works(pair.b, str(notes), cwd=notes)
    assert same["session"] == alone.id
    assert works(pair.a, str(notes / "ideas.md")) == []


def test_a_project_without_sessions_is_said_to_have_none(pair: Pair) -> None:
    for command in (("who", "x"), ("session", "list"), ("session", "stats")):
        refused = pair.b.run(*command, "--project", "nowhere", check=False)
        assert (refused.code, "try: karma-sync project list" in refused.err) == (5, True)


def test_an_agent_needs_private_for_json_with_sessions_of_others(
    pair: Pair,
) -> None:
    pair.b.environ["CLAUDECODE"] = "1"
    try:
        framed = pair.b.run("who", "src/app.py").out
        refused = pair.b.run("who", "src/app.py", "--json", check=False)
    finally:
        del pair.b.environ["CLAUDECODE"]

    assert framed.startswith("[[karma-sync begin ")
    assert refused.code == 8


@pytest.mark.parametrize("path", ["", "  ", "a\x1bb"])
def test_what_is_no_path_is_refused(pair: Pair, path: str) -> None:
    assert pair.b.run("who", path, check=False).code == 2


def test_a_file_that_nobody_touched(pair: Pair) -> None:
    out = pair.b.run("who", "nowhere/to/be/found.py").out

    assert out.splitlines() == [
        "No session that you can read worked on nowhere/to/be/found.py.",
        "Next: karma-sync search file:found.py",
    ]


@pytest.mark.parametrize("path", ["a" * 300, "a/" * 900])
def test_a_very_long_path_is_one_that_nobody_touched(pair: Pair, path: str) -> None:
    out = pair.b.run("who", path).out

    assert out.startswith("No session that you can read worked on a")
    assert max(map(len, out.splitlines())) < 250


def test_browse_prints_its_list_into_a_pipe(pair: Pair) -> None:
    rows = [line.split("\t") for line in pair.b.run("browse").out.splitlines()]

    by_author = {row[2]: row for row in rows if row[3] == "example.org/acme/repo"}
    assert by_author.keys() == {"you", pair.a.tag}
    short, _, _, _, title = by_author[pair.a.tag]
    assert pair.changed.id.startswith(short)
    assert "mend the app" in title
    assert "\x1b" not in title
    assert "mend the app" in pair.b.run("session", "show", short).out


def test_what_the_parent_did_is_not_what_its_fork_did(pair: Pair) -> None:
    before = pair.b.json("session", "stats")["total"]
    made = pair.b.json("session", "fork", pair.changed.id)
    fork = Session(made["session"], Path(made["path"]), pair.b.repo)
    use(fork, "Edit", fork.cwd / "src" / "own.py")
    until(lambda: works(pair.b, "src/own.py"), "what the fork did is indexed")

    [own] = works(pair.b, "src/own.py")
    assert (own["author"], own["session"]) == (pair.b.tag, fork.id)
    assert [each["author"] for each in works(pair.b, "src/app.py", "--edits")] == [pair.a.tag]
    after = pair.b.json("session", "stats")["total"]
    assert after["sessions"] == before["sessions"] + 1
    assert after["tools"] == before["tools"] + 1
    assert (after["tokens"], after["turns"]) == (before["tokens"], before["turns"])
