"""A session's content is chosen line by line, and stays right while the session grows."""

import json
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from karma_sync.agents import growing_file
from karma_sync.agents.claude.choosing import ClaudeRecords
from karma_sync.domain import limits
from karma_sync.domain.session.frame import GIVEN, RULE, Frames
from karma_sync.domain.session.profile import Profile
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.sending.packaging import outgoing
from karma_sync.sending.packaging.outgoing import Outgoing
from tests.support.builders import ALICE, BOB, Desk, channel_of, record, said, team_of_all

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE, profile=Profile.STANDARD)
PRIVATE = record(type="api-request-blob", message="my own instructions")
PLACED = record(type="attachment", uuid="u", parentUuid="p", attachment={"type": "environment"})
THEIRS = "what another team wrote"
OUTPUT = "s1/tool-results/abcdefghi.txt"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, CHANNEL, default_redactor())


def called(command: str) -> bytes:
    use = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": command}}
    return record(type="assistant", message={"content": [use]})


def answered(text: str, **used: Any) -> bytes:
    part = {"type": "tool_result", "tool_use_id": "t1", "content": text}
    return record(message={"content": [part]}, toolUseResult=used)


def test_the_manifest_counts_the_records_that_leave(desk: Desk) -> None:
    desk.write(said("one") + PRIVATE + PLACED + said("two"))
    desk.package()

    assert desk.manifest().session.records == 3
    assert desk.content().count(b"\n") == 3
    assert b"my own instructions" not in desk.content()


@pytest.mark.parametrize("name", ["transcript.jsonl", "copies/1.jsonl", "subagents/agent-a.jsonl"])
def test_records_are_chosen_in_every_kind_of_transcript(name: str) -> None:
    leaving = Outgoing(default_redactor(), "claude-code", Profile.STANDARD).file(name)

    assert leaving.part(PRIVATE + said("one")).data == said("one")


@pytest.mark.parametrize("seed", range(12))
def test_a_session_that_grows_leaves_as_if_it_were_read_at_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 the seed is in the name of the test
    kinds = [said("x" * 300), PRIVATE, PLACED, b"no JSON\n", record(type="hologram", uuid="h")]
    with (
        patch.object(limits, "CHUNK_BYTES", chance.choice([64, 500, 3000])),
        patch.object(limits, "END_BYTES", 200),
        patch.object(limits, "STEP_BYTES", chance.choice([400, 10**6])),
        patch.object(growing_file, "BLOCK_BYTES", chance.choice([100, 2000])),
    ):
        desk = Desk(tmp_path, CHANNEL, default_redactor())
        desk.write(b"")
        content = b""
        for number in range(12):
            lines = [*chance.choices(kinds, k=chance.randint(0, 5)), said(f"token {number}")]
            desk.append(b"".join(lines))
            content += b"".join(lines)
            for _ in range(100):
                desk.package()
                if desk.is_current():
                    break
            whole = Outgoing(default_redactor(), "claude-code", Profile.STANDARD)
            part = whole.file("transcript.jsonl").part(content)

            assert desk.content() == part.data
            assert desk.manifest().session.records == part.records


def test_a_long_answer_of_ours_in_a_file_of_its_own_stays_here(desk: Desk) -> None:
    desk.write(said("one") + called("karma-sync session show 3a | grep word"))
    desk.write(THEIRS.encode(), OUTPUT)
    desk.package()
    assert {file.path for file in desk.manifest().files} == {"transcript.jsonl"}
    assert desk.is_current()

    desk.append(answered(f"saved to: /p/s1/tool-results/{Path(OUTPUT).name}"))
    desk.package()

    assert {file.path for file in desk.manifest().files} == {"transcript.jsonl"}
    assert desk.is_current()
    assert THEIRS.encode() not in b"".join(desk.files().values())


def test_a_file_that_turns_out_to_be_no_answer_of_ours_leaves(desk: Desk) -> None:
    desk.write(said("one") + called("karma-sync session show 3a"))
    desk.write(b"a build log", OUTPUT)
    desk.package()
    desk.append(answered("short"))
    desk.package()

    assert desk.content(OUTPUT.removeprefix("s1/")) == b"a build log"


def test_a_subagent_that_reads_the_file_of_an_answer_gets_no_further(desk: Desk) -> None:
    desk.write(said("one") + called("karma-sync session show 3a > f.txt") + answered(""))
    reads = called("sed -n 5,9p f.txt") + answered(THEIRS) + said("after")
    desk.write(reads, "s1/subagents/agent-a.jsonl")
    desk.package()
    desk.write(reads + reads, "s1/subagents/agent-a.jsonl")
    desk.package()

    left = desk.content("subagents/agent-a.jsonl")
    assert THEIRS.encode() not in left
    assert left.count(b"after") == 2


def test_a_search_through_all_files_that_was_saved_before_its_result(desk: Desk) -> None:
    desk.write(said("one") + called("karma-sync session show 3a > f.txt") + answered(""))
    desk.append(called("grep -rn word ."))
    desk.write(f"./f.txt:12:{THEIRS}\n".encode(), OUTPUT)
    desk.package()

    assert desk.content(OUTPUT.removeprefix("s1/")) == GIVEN.encode()

    desk.append(answered(f"./f.txt:12:{THEIRS} saved to: /p/s1/tool-results/{Path(OUTPUT).name}"))
    desk.package()

    assert {file.path for file in desk.manifest().files} == {"transcript.jsonl"}


def test_a_copy_before_an_edit_stays_here_in_every_profile(tmp_path: Path) -> None:
    channel = channel_of(team_of_all(ALICE, BOB), ALICE, profile=Profile.FULL)
    desk = Desk(tmp_path, channel, default_redactor())
    history = "../../file-history/s1"
    desk.write(said("one") + called("karma-sync session show 3a | grep x > f.txt") + answered(""))
    backups = {
        name: {"backupFileName": f"{number}@v1"}
        for number, name in enumerate(["src/f.txt", "src/other.txt"])
    }
    snapshot = {"trackedFileBackups": backups}
    desk.append(record(type="file-history-snapshot", messageId="m", snapshot=snapshot))
    delta = {"trackingPath": "/src/f.txt", "backup": {"backupFileName": "0@v2"}}
    desk.append(record(type="file-history-delta", **delta))
    for name, text in (("0@v1", THEIRS), ("0@v2", THEIRS), ("1@v1", "code")):
        desk.write(text.encode(), f"{history}/{name}")
    desk.package()

    found = {file.path for file in desk.manifest().files}
    assert found == {"transcript.jsonl", "file-history/1@v1"}


def test_marks_are_cut_from_files_and_quotes_alike(tmp_path: Path) -> None:
    frames = Frames(b"key")
    begin, end = frames.marks()
    desk = Desk(tmp_path, CHANNEL, RuleRedactor(DEFAULT_RULES, frames=frames))
    quote = f"it says {begin}\n{THEIRS}\n{end} so"
    desk.write(
        said(quote) + said(f"{THEIRS}\n{end}\nafter") + record(type="summary", summary=quote)
    )
    desk.write(f"log\n{begin}\n{THEIRS}\n".encode(), OUTPUT)
    desk.package()

    assert THEIRS.encode() not in b"".join(desk.files().values())
    assert THEIRS not in desk.manifest().model_dump_json()
    first = json.loads(desk.content().splitlines()[0])
    assert first["message"]["content"] == f"it says {GIVEN} so"
    assert desk.content(OUTPUT.removeprefix("s1/")) == f"log\n{GIVEN}".encode()
    assert desk.manifest().redactions == {RULE: 4}


class _Everything:
    """The choice of a version before records were chosen."""

    version = "none"

    def __init__(self, profile: Profile) -> None:
        pass

    def chooser(self, *_: object) -> Any:
        return ClaudeRecords(Profile.FULL).chooser()


@pytest.mark.parametrize("gone", [False, True], ids=["with its source", "without its source"])
def test_what_left_before_records_were_chosen_is_packaged_again(
    tmp_path: Path, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(outgoing, "_CHOICES", {"claude-code": _Everything})
        outgoing._choice.cache_clear()
        desk = Desk(tmp_path, CHANNEL, default_redactor())
        path = desk.write(said("one") + PRIVATE + PLACED + b"no JSON\n" + said("two"))
        desk.package()
        item, session = desk.item(), desk.session()
    outgoing._choice.cache_clear()
    assert b"my own instructions" in desk.content()
    before = desk.manifest()

    desk.restart(default_redactor())
    assert not desk.packager.is_current(CHANNEL, session)
    if gone:
        path.unlink()
        desk.packager.package_again(CHANNEL, item, desk.outbox)
        path.write_bytes(b"")  # the builders look at it; nothing packages it
    else:
        desk.package()

    assert b"my own instructions" not in desk.content()
    assert (before.session.records, desk.manifest().session.records) == (5, 3)
    assert before.redactor != desk.manifest().redactor
