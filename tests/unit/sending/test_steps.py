"""A large session leaves in steps: no step is repeated, and readers never lose content."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from karma_sync.agents import growing_file
from karma_sync.domain import limits
from karma_sync.sending.packaging.packager import Packager, Step
from tests.support.builders import ALICE, BOB, Desk, channel_of, facts_of, said, team_of_all
from tests.unit.sending.test_packager import swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
STEP = 100_000
LINES = [said(f"{n} " + "x" * 5_000) for n in range(100)]
RESULT = b"y" * 60_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with (
        patch.object(limits, "STEP_BYTES", STEP),
        patch.object(limits, "CHUNK_BYTES", 10_000),
        patch.object(growing_file, "BLOCK_BYTES", 10_000),
    ):
        yield Desk(tmp_path, CHANNEL, swapping())


def step(desk: Desk) -> Step:
    """Package one step."""
    session = desk.session()
    done = desk.packager.package(desk.channel, session, facts_of(session), desk.outbox)
    assert desk.is_current() == (done.left == 0)
    assert desk.packager.left(desk.channel, desk.session()) == done.left
    return done


def test_each_step_is_readable_and_the_last_completes_the_session(desk: Desk) -> None:
    desk.write(b"".join(LINES))
    for number in range(5):
        desk.write(RESULT, f"s1/tool-results/toolu_{number}.txt")
    size = desk.session().size
    had = b""
    lefts: list[int] = []
    while lefts[-1:] != [0]:
        lefts.append(step(desk).left)
        assert desk.content().startswith(had)
        had = desk.content()
        assert had.endswith(b"\n")
        assert sum(f.size for f in desk.manifest().files) == size - lefts[-1]

    assert had == b"".join(LINES)
    assert all(desk.content(f"tool-results/toolu_{n}.txt") == RESULT for n in range(5))
    assert lefts == sorted(set(lefts), reverse=True)
    assert len(lefts) == pytest.approx(size / STEP, abs=3)


def test_a_restart_resumes_after_the_last_step(desk: Desk) -> None:
    path = desk.write(b"".join(LINES))
    left = step(desk).left
    desk.restart(swapping())
    with path.open("r+b") as out:  # packaged content is not read again, except for its ends
        out.seek(50_000)
        out.write(b"z")

    assert step(desk).left < left
    assert desk.content() == b"".join(LINES)[: len(desk.content())]


@pytest.mark.parametrize("before", [0, 1])
def test_a_placed_step_is_not_repeated_even_if_it_was_not_recorded(desk: Desk, before: int) -> None:
    path = desk.write(b"".join(LINES))
    for _ in range(before):
        step(desk)
    killed = patch.object(Packager, "_remember", side_effect=KeyboardInterrupt)
    with killed, suppress(KeyboardInterrupt):
        step(desk)
    had = len(desk.content())
    desk.restart(swapping())
    with path.open("r+b") as out:
        out.seek(50_000)
        out.write(b"z")

    assert had > (before + 1) * STEP
    assert step(desk).left == pytest.approx(desk.session().size - had - STEP, rel=0.2)
    assert desk.content() == b"".join(LINES)[: len(desk.content())]


def test_lines_appended_between_steps_are_packaged_too(desk: Desk) -> None:
    desk.write(b"".join(LINES[:50]))
    step(desk)
    desk.append(b"".join(LINES[50:]))
    while step(desk).left:
        pass

    assert desk.content() == b"".join(LINES)


@pytest.mark.parametrize("version", ["swap-1", "swap-2"])
def test_packaging_afresh_never_shortens_an_item(desk: Desk, version: str) -> None:
    desk.write(b"".join(LINES))
    desk.write(RESULT, "s1/tool-results/toolu_1.txt")
    while step(desk).left:
        pass
    if version == "swap-1":
        desk.write(LINES[1] + b"".join(LINES[1:]))  # its past changed
    desk.restart(swapping(version))

    assert not desk.is_current()
    assert step(desk).left == 0
    assert len(desk.content()) == len(b"".join(LINES))
    assert desk.content("tool-results/toolu_1.txt") == RESULT


def test_a_file_deleted_between_steps_keeps_its_packaged_part(desk: Desk) -> None:
    desk.write(LINES[0])
    agent = desk.write(b"".join(LINES), "s1/subagents/agent-a.jsonl")
    step(desk)
    had = desk.content("subagents/agent-a.jsonl")
    agent.unlink()

    assert step(desk).left == 0
    assert desk.content("subagents/agent-a.jsonl") == had != b""
