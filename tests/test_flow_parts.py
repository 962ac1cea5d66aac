"""Todos, tasks, plans and what a profile leaves out: packaged and read back byte for byte."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain.leaving import Limits
from karma_sync.domain.profile import Profile
from karma_sync.redact.engine import default_redactor
from karma_sync.redact.examples import fill
from tests.builders import ALICE, BOB, Desk, Shelf, channel_of, record, said, team_of_all

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
TOKEN = fill("ghp_{alnum:36}")
TODO = b'[{"content": "tidy up", "status": "pending", "activeForm": "Tidying"}]'
PARTS = {
    "todos/s1-agent-s1.json": ("todos/s1-agent-s1.json", TODO),
    "tasks/1.json": ("tasks/s1/1.json", b'{"id": "1", "subject": "look"}'),
    "plans/shiny-puzzle.md": ("plans/shiny-puzzle.md", b"# Plan\n\n1. look\n"),
    "workflows/wf_1.json": ("projects/-src-repo/s1/workflows/wf_1.json", b"{}"),
    "file-history/0123456789abcdef@v1": ("file-history/s1/0123456789abcdef@v1", b"int main;\n"),
    "debug/s1.txt": ("debug/s1.txt", b"[DEBUG] started\n"),
}
PRIVATE = {"file-history/0123456789abcdef@v1", "debug/s1.txt"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A session with one file of every kind."""
    desk = Desk(tmp_path, CHANNEL, default_redactor())
    desk.write(said("one") + record(type="user", slug="shiny-puzzle"))
    desk.write(said("deep"), "s1/subagents/agent-a.jsonl")
    desk.write(b"{}", "s1/subagents/agent-a.meta.json")
    desk.write(b"output", "s1/tool-results/toolu_1.txt")
    for place, content in PARTS.values():
        apart(desk, place, content)
    return desk


def apart(desk: Desk, place: str, content: bytes) -> None:
    """Write a file that lies apart from the session."""
    desk.write(content, str(Path("../..") / place))


def paths(desk: Desk) -> set[str]:
    desk.package()
    return {f.path for f in desk.manifest().files}


def take(desk: Desk, profile: Profile) -> None:
    limits = Limits(profile=profile)
    answer = desk.channel.subscription.model_copy(update={"limits": limits})
    desk.channel = replace(desk.channel, subscription=answer)


def test_all_that_belongs_to_a_session_is_read_back_as_it_was_written(
    desk: Desk, tmp_path: Path
) -> None:
    take(desk, Profile.FULL)
    desk.package()
    shelf = Shelf(tmp_path / "bob")
    shelf.importer.import_item(desk.channel, desk.outbox.path, desk.item())

    for name, (_, content) in PARTS.items():
        assert desk.content(name) == shelf.read(name=name) == content
    assert desk.is_current()


def test_each_profile_sends_its_kinds(desk: Desk) -> None:
    take(desk, Profile.CONVERSATION)
    conversation = paths(desk)
    take(desk, Profile.STANDARD)
    standard = paths(desk)
    take(desk, Profile.FULL)
    full = paths(desk)

    assert conversation == {"transcript.jsonl", "subagents/agent-a.jsonl"}
    assert full - standard == PRIVATE
    assert standard == conversation | set(PARTS) - PRIVATE | {
        "subagents/agent-a.meta.json",
        "tool-results/toolu_1.txt",
    }


def test_a_smaller_profile_takes_back_what_it_leaves_out(desk: Desk) -> None:
    take(desk, Profile.FULL)
    assert paths(desk) >= PRIVATE
    take(desk, Profile.STANDARD)

    assert not desk.is_current()
    assert not paths(desk) & PRIVATE
    assert desk.is_current()


@pytest.mark.parametrize("name", sorted(set(PARTS) - PRIVATE))
def test_a_part_that_changed_makes_the_session_due(desk: Desk, name: str) -> None:
    desk.package()
    assert desk.is_current()
    apart(desk, PARTS[name][0], b"[1, 2]")

    assert not desk.is_current()
    desk.package()
    assert desk.content(name) == b"[1, 2]"


@pytest.mark.parametrize("name", sorted(set(PARTS) - PRIVATE))
def test_a_part_that_the_agent_swept_away_stays(desk: Desk, name: str) -> None:
    desk.package()
    (desk.claude / PARTS[name][0]).unlink()
    desk.append(said("two"))
    desk.package()

    assert desk.content(name) == PARTS[name][1]


def test_a_secret_is_cut_out_of_every_part(desk: Desk) -> None:
    take(desk, Profile.FULL)
    for place, _ in PARTS.values():
        apart(desk, place, json.dumps({"token": TOKEN}).encode())
    desk.package()

    for name in PARTS:
        assert TOKEN.encode() not in desk.content(name)
        assert b"[REDACTED:" in desk.content(name)


def test_no_name_of_the_home_or_of_an_encoded_directory_is_in_the_item(
    desk: Desk, tmp_path: Path
) -> None:
    take(desk, Profile.FULL)
    desk.package()
    manifest = desk.manifest().model_dump_json()

    assert str(tmp_path) not in manifest
    assert "-src-repo" not in manifest


def test_a_session_is_said_to_be_open_then_closed_and_that_is_packaged(desk: Desk) -> None:
    desk.package()
    assert desk.manifest().session.running is None
    state = json.dumps({"pid": os.getpid(), "sessionId": "s1"}).encode()
    apart(desk, "sessions/1.json", state)

    assert not desk.is_current()
    desk.package()
    assert desk.manifest().session.running is True
    assert desk.is_current()
    (desk.claude / "sessions/1.json").unlink()
    assert not desk.is_current()
    desk.package()
    assert desk.manifest().session.running is False
    assert desk.is_current()


def test_a_closed_session_that_goes_on_is_open_where_nobody_says_so(desk: Desk) -> None:
    apart(desk, "sessions/1.json", json.dumps({"pid": os.getpid(), "sessionId": "s1"}).encode())
    desk.package()
    (desk.claude / "sessions/1.json").unlink()
    desk.append(said("the last words"))
    desk.package()
    assert desk.manifest().session.running is False

    desk.append(said("and on"))
    desk.package()
    assert desk.manifest().session.running is None


def test_the_agents_name_is_redacted_like_every_text(desk: Desk) -> None:
    desk.append(record(type="agent-setting", agentSetting=f"reviewer {TOKEN}"))
    desk.package()

    assert desk.manifest().session.agent_name.startswith("reviewer [REDACTED:")
