"""A pass over all sessions opens no unchanged session, and a restart resumes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.channel.layout import item_name
from karma_sync.channel.outbox import Outbox
from karma_sync.git.places import Places
from karma_sync.sending.eligibility import ProjectMatcher, stored_catalogue
from tests.support.builders import ALICE, BOB, Desk, channel_of, facts_of, record, said, team_of_all
from tests.unit.sending.test_packager import swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
SESSIONS = 1000
STOP_AFTER = 400

_opened: list[str] | None = None


def _hear(event: str, args: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(os.fsdecode(args[0]) if isinstance(args[0], str | bytes) else str(args[0]))


sys.addaudithook(_hear)


@contextmanager
def hearing() -> Iterator[list[str]]:
    """Every file that this process opens in the meantime, by any means."""
    global _opened
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, CHANNEL, swapping())
    for n in range(SESSIONS):
        desk.write(said(f"session {n}"), f"s{n}.jsonl")
    return desk


def go_on(desk: Desk, most: int = SESSIONS) -> int:
    """Start like a new process and package the sessions that are not current; their number."""
    desk.outbox = Outbox(desk.outbox.path, batched=True)
    desk.restart(swapping())
    desk.packager.forget_missing(CHANNEL.id, desk.outbox)
    packaged = 0
    for session in ClaudeSource([desk.claude]).sessions():
        if packaged < most and not desk.packager.is_current(CHANNEL, session):
            desk.packager.package(CHANNEL, session, facts_of(session), desk.outbox)
            packaged += 1
    desk.outbox.flush()
    return packaged


def test_after_a_restart_nothing_is_packaged_twice(desk: Desk) -> None:
    assert go_on(desk, STOP_AFTER) == STOP_AFTER
    before = {path.name: path.stat().st_ino for path in (desk.outbox.path / "items").iterdir()}

    assert go_on(desk) == SESSIONS - STOP_AFTER
    after = {path.name: path.stat().st_ino for path in (desk.outbox.path / "items").iterdir()}
    assert len(after) == SESSIONS
    assert {name: after[name] for name in before} == before
    revisions = {desk.manifest(f"s{n}").revision for n in range(SESSIONS)}
    assert len(revisions) == SESSIONS
    assert go_on(desk) == 0


def test_a_pass_with_nothing_new_opens_no_session(desk: Desk) -> None:
    go_on(desk)
    with hearing() as opened:
        assert go_on(desk) == 0
        assert not [path for path in opened if path.endswith((".jsonl", ".ks", ".zst"))]
        desk.append(said("more"), "s7.jsonl")
        assert go_on(desk) == 1
        sessions = {path for path in opened if path.endswith(".jsonl") or path.endswith(".ks")}

    item = str(desk.outbox.path / item_name(desk.item("s7")))
    mine = str(desk.directory / "s7.jsonl")
    assert {path for path in sessions if ".tmp-" not in path} == {item, mine}


def test_a_last_line_without_a_line_end_is_read_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # such a session may be one that does not leave, so it is decided about in each pass
    catalogue = Catalogue(list, lambda _: None)
    desk.write(said("one") + said("two")[:-1])
    desk.write(said("one") + said("two")[:-9], "s2.jsonl")
    sessions = [desk.session(name) for name in ("s1", "s2")]
    first = [catalogue.facts(session) for session in sessions]
    assert [(facts.prompts, facts.records) for facts in first] == [(2, 2), (1, 1)]
    with hearing() as opened:
        assert [catalogue.facts(session) for session in sessions] == first
        assert opened == []

    monkeypatch.setattr("karma_sync.agents.growing_file.QUIET_S", -1)  # as ten minutes later

    later = [catalogue.facts(session) for session in sessions]
    assert [(facts.prompts, facts.records) for facts in later] == [(2, 2), (1, 2)]
    desk.append(b"\n" + said("three"))
    assert catalogue.facts(desk.session()).prompts == 3


def test_the_session_of_an_old_subagent_file_is_looked_up_once(
    desk: Desk,
) -> None:
    desk.write(record(sessionId="s1", cwd="/src/repo"), "agent-a.jsonl")
    desk.write(record(cwd="/src/repo"), "agent-lost.jsonl")

    def begun() -> tuple[ClaudeSource, ProjectMatcher]:
        catalogue = stored_catalogue(desk.work)
        source = ClaudeSource([desk.claude], catalogue.session_named)
        return source, ProjectMatcher(source, catalogue, Places())

    source, matcher = begun()
    for session in source.sessions():
        matcher.facts(session)
    again, _ = begun()
    with hearing() as opened:
        names = [
            [f.name for s in each.sessions() if s.session_id == "s1" for f in s.files]
            for each in (source, again)
        ]
        read = [Path(path).name for path in opened if path.endswith(".jsonl")]

    assert names == [["transcript.jsonl", "subagents/agent-a.jsonl"]] * 2
    assert read == ["agent-lost.jsonl"]  # once after the restart: it may name somebody now
