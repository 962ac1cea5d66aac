"""The whole path, once, for real: a session written on one machine is readable on another."""

import json
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from karma_sync.signing import PayloadType, SigningKey, open_envelope
from tests.support.harness import PROJECT, Member, programs, until
from tests.support.town import Town, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon

IMAGE = b"\xff\xd8\xff\xe0 not text \x00\x01"


def pairs() -> Sequence[object]:
    """Syncthings for A and B: each version with itself, then one with the other."""
    found = programs()
    if not found:
        return [pytest.param((None, None), id="none")]
    same = [pytest.param((p, p), id=f"syncthing{i}") for i, p in enumerate(found, 1)]
    return [*same, pytest.param((found[0], found[1]), id="mixed")] if len(found) > 1 else same


@dataclass(frozen=True)
class Story:
    """The members and sessions of the story; `newest` has subagents and tool results."""

    a: Member
    b: Member
    newest: Session
    older: Session
    oldest: Session
    side_files: dict[str, bytes]


@pytest.fixture(scope="module", params=pairs())
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Two members who typed what the README tells them to, and nothing else."""
    town = Town(tmp_path_factory.mktemp("story"))
    request.addfinalizer(town.close)
    first, second = request.param
    a, b = town.member("alice", first), town.member("bob", second)
    newest, older = a.write_session("make the tests pass"), a.write_session("why?", days_ago=2)
    oldest = a.write_session(*(f"step {n}: {'x' * 900}" for n in range(400)), days_ago=20)
    side_files = _write_side_files(newest)
    up(a, b)
    a.run("team", "create", "backend")
    b.run("pair", a.run("code").out)
    a.run("team", "add", b.run("code").out)
    a.run("project", "share", ".", "--yes")
    b.run("accept", "repo", "--yes", "--wait")
    b.until_readable(newest, older, oldest)
    return Story(a, b, newest, older, oldest, side_files)


def _write_side_files(session: Session) -> dict[str, bytes]:
    """Both layouts of subagents, and tool results, one of them no text."""
    record = {"sessionId": session.id, "cwd": str(session.cwd), "type": "user", "isSidechain": True}
    line = json.dumps(record | {"message": {"role": "user", "content": "look"}}).encode() + b"\n"
    return {
        "subagents/agent-a1b2.jsonl": session.beside("subagents/agent-a1b2.jsonl", line * 3),
        "subagents/agent-a1b2.meta.json": session.beside(
            "subagents/agent-a1b2.meta.json", b'{"agentType":"Explore"}'
        ),
        "subagents/agent-old1.jsonl": session.legacy_subagent("agent-old1.jsonl", line * 2),
        "tool-results/toolu_01.txt": session.beside("tool-results/toolu_01.txt", b"a line\n" * 999),
        "tool-results/p1/page-1.jpg": session.beside("tool-results/p1/page-1.jpg", IMAGE),
    }


def test_a_session_reads_on_b_byte_for_byte_as_it_was_written_on_a(story: Story) -> None:
    for session in (story.newest, story.oldest):
        assert story.b.raw(session.id) == session.content


def test_bytes_on_b_are_the_bytes_that_a_packaged(story: Story) -> None:
    (outbox,) = story.a.outboxes()
    inbox = story.b.paths.folder(outbox.name)

    assert len(_tree(outbox)) > 5
    until(lambda: _tree(inbox) == _tree(outbox), "the inbox equal to the outbox")


def test_the_list_shows_the_newest_first_with_its_author(story: Story) -> None:
    listed = story.b.run("session", "list").lines
    ids = [s.id for s in (story.newest, story.older, story.oldest)]

    assert [line.split()[0] for line in listed[1:4]] == [i[:8] for i in ids]
    assert all("by alice" in line and PROJECT in line for line in listed[1:4])
    assert [(s["id"], s["author"]) for s in story.b.sessions()[:3]] == [
        (i, "alice.box") for i in ids
    ]


def test_an_appended_line_is_readable_on_b_without_another_command(
    story: Story, record_property: Callable[[str, object], None]
) -> None:
    for number in range(3):
        story.older.append(f"and another thing {number}")
        begin = time.monotonic()
        story.b.until_readable(story.older)
        record_property(f"append_s_{number}", round(time.monotonic() - begin, 2))

    assert story.b.raw(story.older.id) == story.older.content


def test_a_line_appended_to_a_long_session_is_readable_on_b(story: Story) -> None:
    story.oldest.append("the last word")

    story.b.until_readable(story.oldest)


def test_a_session_that_is_begun_later_arrives_by_itself(story: Story) -> None:
    session = story.a.write_session("something new")

    story.b.until_readable(session)


def test_subagents_of_both_layouts_and_tool_results_arrive(story: Story) -> None:
    for name, content in story.side_files.items():
        assert story.b.peek(story.newest.id, name) == content, name
    image = "tool-results/p1/page-1.jpg"
    assert story.b.raw(story.newest.id, image) == IMAGE


def test_what_lies_in_the_outbox_is_signed_by_its_owner(story: Story) -> None:
    (outbox,) = story.a.outboxes()
    key = _public_key(story.a)

    for item in (outbox / "items").iterdir():
        envelope = item.read_bytes().partition(b"\n")[0]
        assert open_envelope(envelope, key, PayloadType.MANIFEST)


def test_home_paths_and_directory_names_are_in_no_manifest(story: Story) -> None:
    (outbox,) = story.a.outboxes()
    for item in (outbox / "items").iterdir():
        manifest = open_envelope(
            item.read_bytes().partition(b"\n")[0], _public_key(story.a), PayloadType.MANIFEST
        )
        assert str(story.a.folder).encode() not in manifest
        assert story.newest.path.parent.name.encode() not in manifest


def test_nobody_else_can_read_anything_below_a_home(story: Story) -> None:
    for member in (story.a, story.b):
        open_to_others = [
            (stat.filemode(path.lstat().st_mode), path)
            for path in (member.home, *member.home.rglob("*"))
            if path.exists() and path.lstat().st_mode & 0o077
        ]
        assert open_to_others == []


def test_nothing_listens_beyond_loopback(story: Story) -> None:
    for member in (story.a, story.b):
        assert member.sockets() == {"127.0.0.1"}


def test_rest_refuses_whoever_has_no_key(story: Story) -> None:
    url, key = story.a.gui()

    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
        answer = requests.get(f"{url}/rest/config", headers=headers, timeout=20)
        assert answer.status_code in {401, 403}
        assert key not in answer.text


def test_rest_refuses_a_csrf_token_that_was_handed_out_for_the_asking(story: Story) -> None:
    url, key = story.a.gui()
    browser = requests.Session()
    front = browser.get(url, timeout=20)
    tokens = {f"X-{c.name}": str(c.value) for c in browser.cookies if c.name.startswith("CSRF-")}

    answer = browser.get(f"{url}/rest/config", headers=tokens, timeout=20)

    assert front.status_code in {200, 401}
    assert answer.status_code in {401, 403}
    assert key not in answer.text


def _public_key(member: Member) -> str:
    return SigningKey.load(member.paths.key).public


def _tree(folder: Path) -> dict[str, bytes]:
    """Every file of a channel that is meant to travel, by name; {} if one is just replaced."""
    files = [
        folder / "format.json",
        *(p for part in ("items", "chunks") for p in (folder / part).rglob("*") if p.is_file()),
    ]
    try:
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}
    except FileNotFoundError:
        return {}
