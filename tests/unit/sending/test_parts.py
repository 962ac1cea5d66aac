"""All kinds of files of a session are packaged and read back byte for byte, by profile."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain.session.profile import FileKind, Profile, kind_of
from karma_sync.domain.session.selection import Limits
from karma_sync.redact.custom.redactions import OwnRedactions, make_redactor
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import default_redactor
from tests.support.builders import ALICE, BOB, Desk, Shelf, channel_of, record, said, team_of_all

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
    """Write a file of the session that lies in another directory."""
    desk.write(content, str(Path("../..") / place))


def paths(desk: Desk) -> set[str]:
    desk.package()
    return {f.path for f in desk.manifest().files}


def take(desk: Desk, profile: Profile) -> None:
    limits = Limits(profile=profile)
    answer = desk.channel.subscription.changed(limits=limits)
    desk.channel = replace(desk.channel, subscription=answer)


def test_every_file_of_a_session_is_read_back_as_it_was_written(desk: Desk, tmp_path: Path) -> None:
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


def test_a_smaller_profile_takes_back_the_files_that_it_leaves_out(desk: Desk) -> None:
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


LITERAL = "the word of old Mr. Ruegen"
CODE = "rule-abc-1234"
OURS = "[[rules]]\nid = 'code'\nregex = 'rule-[a-z]{3}-[0-9]{4}'"
FORMS = {
    "json": lambda secret: json.dumps({"said": f"it is {secret}."}).encode(),
    "nested json": lambda secret: json.dumps({"out": json.dumps([f"a {secret}"])}).encode(),
    "json lines": lambda secret: record(said="x") + record(said=f"it is {secret}\nand"),
    "lines": lambda secret: f"one\n  12→{secret}\n\x1b[32m{secret}\x1b[0m\n".encode(),
    "a diff": lambda secret: f"@@ -1 +1 @@\n-{secret}\n+{secret}\n".encode(),
}
BESIDE = {
    "custom-title.json": "projects/-src-repo/s1/custom-title.json",
    "subagents/agent-a.jsonl": "projects/-src-repo/s1/subagents/agent-a.jsonl",
    "subagents/agent-a.meta.json": "projects/-src-repo/s1/subagents/agent-a.meta.json",
    "tool-results/toolu_1.txt": "projects/-src-repo/s1/tool-results/toolu_1.txt",
}
PLACES = {name: place for name, (place, _) in PARTS.items()} | BESIDE


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [TOKEN, LITERAL, CODE], ids=["ours", "a text", "a rule"])
def test_the_same_secret_is_cut_out_of_every_kind_of_file(
    desk: Desk, form: str, secret: str
) -> None:
    own = OwnRedactions(salt="0" * 32, literals=(LITERAL,)).with_rules(OURS)
    desk.packager.use_redactor(make_redactor(own))
    take(desk, Profile.FULL)
    for place in PLACES.values():
        apart(desk, place, FORMS[form](secret))
    desk.append(record(type="custom-title", customTitle=f"of {secret}"))
    desk.append(record(type="user", gitBranch=f"x-{secret}", cwd="/src/repo", message={}))
    desk.package()

    others = {FileKind.TRANSCRIPT, FileKind.COPY, FileKind.OBSERVATIONS}
    assert {kind_of(name) for name in PLACES} | others == set(FileKind)
    for name in [*PLACES, "transcript.jsonl"]:
        assert secret.encode() not in desk.content(name), name
        assert b"[REDACTED:" in desk.content(name), name
    told = desk.manifest().model_dump_json()
    assert secret not in told
    assert desk.manifest().session.title.startswith("of [REDACTED:")
    assert any("[REDACTED:" in branch for branch in desk.manifest().session.branches)


@pytest.mark.parametrize(
    "place",
    [
        "projects/-src-repo/s1/tool-results/out-{}.txt",
        "projects/-src-repo/s1/subagents/{}/agent-b.jsonl",
        "tasks/s1/{}.json",
    ],
)
@pytest.mark.parametrize("secret", [TOKEN, LITERAL], ids=["ours", "a text"])
def test_a_file_whose_name_holds_a_secret_does_not_leave(
    desk: Desk, place: str, secret: str
) -> None:
    apart(desk, place.format(secret), b"{}")
    before = paths(desk)
    assert any(secret in path for path in before) is (secret == LITERAL)
    own = OwnRedactions(salt="0" * 32, literals=(LITERAL,))
    desk.packager.use_redactor(make_redactor(own))

    assert not desk.is_current() or secret == TOKEN
    desk.package()
    assert secret not in desk.manifest().model_dump_json()
    assert desk.is_current()


def test_an_item_names_neither_the_home_nor_an_encoded_directory(
    desk: Desk, tmp_path: Path
) -> None:
    take(desk, Profile.FULL)
    desk.package()
    manifest = desk.manifest().model_dump_json()

    assert str(tmp_path) not in manifest
    assert "-src-repo" not in manifest


def test_an_item_states_whether_its_session_is_open_or_closed(desk: Desk) -> None:
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


def test_a_closed_session_that_grows_may_be_open(desk: Desk) -> None:
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
