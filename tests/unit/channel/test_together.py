"""Batches of items: all get into their places together, and no failure leaves a part of one."""

import random
import resource
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.channel.layout import IGNORES, chunk_name, item_name
from karma_sync.channel.outbox import Outbox
from karma_sync.errors import NotWritable, RedactionFailed
from karma_sync.files import TEMPORARY
from tests.support.builders import ALICE, BOB, Desk, channel_of, said, team_of_all
from tests.unit.sending.test_packager import big, names, swapping

# The names that an outbox's allow-list allows, by their endings.
ALLOWED = [end for line in IGNORES.splitlines() if (end := line.rpartition("*")[2])[:1] == "."]
CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, CHANNEL, swapping())
    desk.outbox = Outbox(desk.outbox.path, batched=True)
    return desk


def leftovers(desk: Desk) -> list[Path]:
    return list(desk.outbox.path.rglob(f"{TEMPORARY}*"))


def incompressible(size: int) -> bytes:
    chance = random.Random(20261120)  # noqa: S311 the same every time
    return said("".join(chance.choices(string.ascii_letters + string.digits + " " * 6, k=size)))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Make this process fail to write larger files, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_waiting_items_appear_all_at_once(desk: Desk) -> None:
    for name in ("s1", "s2"):
        desk.write(big(name, 1.0), f"{name}.jsonl")
        desk.package(name)
    waiting = names(desk)
    assert waiting
    assert ALLOWED == [".ks", ".zst", ".json"]
    assert all(f"/{TEMPORARY}" in name for name in waiting)
    assert not any(name.endswith(suffix) for name in waiting for suffix in ALLOWED)
    assert not desk.is_current("s1")

    desk.outbox.flush()

    assert [desk.content(session_id=name) for name in ("s1", "s2")] == [
        big("s1", 1.0),
        big("s2", 1.0),
    ]
    assert desk.is_current("s1")
    assert desk.is_current("s2")
    assert leftovers(desk) == []
    items = {item_name(desk.item("s1")), item_name(desk.item("s2"))}
    assert set(desk.outbox.take_written()) == names(desk) >= items


def test_a_session_that_waits_can_be_packaged_again(desk: Desk) -> None:
    desk.write(big("one"))
    first = desk.package()
    desk.append(said("two"))
    second = desk.package()
    desk.outbox.flush()

    assert second > first
    assert desk.content() == big("one") + said("two")


def test_a_session_that_fails_does_not_harm_one_that_waits(tmp_path: Path) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.outbox = Outbox(desk.outbox.path, batched=True)
    desk.write(big("the same", 2.0), "s2.jsonl")
    desk.package("s2")
    desk.write(big("the same", 2.0) + big("more") + said("poison"))
    red.fails_on = b"poison"
    with pytest.raises(RedactionFailed):
        desk.package()

    desk.outbox.flush()

    assert desk.content(session_id="s2") == big("the same", 2.0)
    named = {chunk_name(sha) for sha in desk.manifest("s2").chunks()}
    assert names(desk) == named | {item_name(desk.item("s2"))}
    assert leftovers(desk) == []


def test_an_item_that_cannot_be_placed_is_due_again_and_leaves_no_part(desk: Desk) -> None:
    desk.write(big("one"))
    desk.package()
    in_the_way = desk.outbox.path / item_name(desk.item()) / "x"
    in_the_way.mkdir(parents=True)
    with pytest.raises(NotWritable):
        desk.outbox.flush()
    assert leftovers(desk) == []
    assert not desk.is_current()

    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    desk.package()
    desk.outbox.flush()

    assert desk.content() == big("one")
    named = {chunk_name(sha) for sha in desk.manifest().chunks()}
    assert names(desk) == named | {item_name(desk.item())}


def test_a_chunk_that_cannot_be_written_leaves_nothing_behind(desk: Desk) -> None:
    desk.write(big("small"), "s2.jsonl")
    desk.package("s2")
    desk.write(incompressible(900_000))
    # the database has room, a chunk has not
    with files_of_at_most(190_000), pytest.raises(NotWritable):
        desk.package()
        desk.outbox.flush()
    desk.outbox.undo()

    assert names(desk) == set()
    assert leftovers(desk) == []
    for name in ("s1", "s2"):
        desk.package(name)
    desk.outbox.flush()
    assert desk.content() == incompressible(900_000)
    assert desk.content(session_id="s2") == big("small")
