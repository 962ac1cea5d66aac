"""The chunks of an outbox: named ones stay and others are deleted, after any failure or loss."""

import hashlib
import shutil
from pathlib import Path

import pytest

from karma_sync.channel.layout import chunk_name, compress
from karma_sync.channel.outbox import Outbox
from karma_sync.errors import RedactionFailed
from karma_sync.mesh.health.integrity import OutboxIntegrity
from karma_sync.store.library import open_library
from karma_sync.store.work import open_work
from tests.support.builders import ALICE, BOB, NOW_MS, Desk, channel_of, record, said, team_of_all
from tests.unit.sending.test_packager import big, dropped, names, swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, CHANNEL, swapping())


def chunks(desk: Desk) -> set[str]:
    """The names of the chunks in the outbox."""
    return {name for name in names(desk) if name.startswith("chunks/")}


def needed(desk: Desk, session_id: str = "s1") -> set[str]:
    """The names of the chunks that a session's manifest lists."""
    return {chunk_name(sha) for sha in desk.manifest(session_id).chunks()}


def other_database(desk: Desk, path: Path) -> None:
    """Continue with another work.db, as after a crash, a loss, or a backup."""
    desk.work.close()
    desk.work = open_work(path)
    desk.restart(swapping())


def test_a_new_database_keeps_the_outbox_as_it_is(desk: Desk, tmp_path: Path) -> None:
    desk.write(big("one"))
    desk.package()
    before = chunks(desk)

    other_database(desk, tmp_path / "new.db")
    assert not desk.is_current()
    desk.package()

    assert chunks(desk) == needed(desk) == before
    assert dropped(desk) == set()
    assert desk.content() == big("one")


def test_a_new_database_does_not_drop_what_another_session_names(
    desk: Desk, tmp_path: Path
) -> None:
    for name in ("s1", "s2"):
        desk.write(big("the same"), f"{name}.jsonl")
        desk.package(name)
    other_database(desk, tmp_path / "new.db")
    for name in ("s1", "s2"):
        desk.package(name)
    desk.write(said("rewound"))
    desk.package()

    assert dropped(desk).isdisjoint(needed(desk, "s2"))


def test_chunks_named_before_a_crash_are_dropped_after_it(desk: Desk, tmp_path: Path) -> None:
    desk.write(big("one"))
    desk.package()
    desk.work.close()
    shutil.copy(tmp_path / "work.db", tmp_path / "old.db")
    other_database(desk, tmp_path / "work.db")
    desk.write(big("two"))
    desk.package()

    # the item is in its place, and the process died before the database recorded it
    other_database(desk, tmp_path / "old.db")
    desk.write(said("three"))
    desk.package()

    assert chunks(desk) - needed(desk) == dropped(desk)


def test_a_title_that_cannot_be_redacted_leaves_no_chunk_behind(tmp_path: Path) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.write(big("one", 2.0) + record(type="ai-title", aiTitle="p\u00f6ison"))
    red.fails_on = "p\u00f6ison".encode()  # in the record it stands escaped

    with pytest.raises(RedactionFailed):
        desk.package()
    assert names(desk) == set()


def test_a_session_that_failed_does_not_harm_another(tmp_path: Path) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.write(big("the same"), "s2.jsonl")
    desk.package("s2")
    before = desk.files()
    desk.write(big("the same") + big("more") + said("poison"))
    red.fails_on = b"poison"

    with pytest.raises(RedactionFailed):
        desk.package()
    assert desk.files() == before


def test_a_chunk_whose_item_a_crash_prevented_is_dropped_and_no_other(
    desk: Desk, tmp_path: Path
) -> None:
    desk.write(big("one"))
    desk.package()
    whole = OutboxIntegrity(tmp_path / "library", open_library(tmp_path / "library.db"), desk.work)
    whole.drop_unnamed(CHANNEL, desk.outbox.path, NOW_MS)
    assert dropped(desk) == set()

    left = _left_by_a_crash(desk)
    whole.drop_unnamed(CHANNEL, desk.outbox.path, NOW_MS)
    assert dropped(desk) == {left}

    # a new database knows no item, and drops no chunk that an item names
    other_database(desk, tmp_path / "new.db")
    whole = OutboxIntegrity(tmp_path / "library", open_library(tmp_path / "library.db"), desk.work)
    whole.drop_unnamed(CHANNEL, desk.outbox.path, NOW_MS)
    assert dropped(desk) == {left}


def test_a_session_that_returns_unchanged_is_not_packaged_again(desk: Desk, tmp_path: Path) -> None:
    whole = OutboxIntegrity(tmp_path / "library", open_library(tmp_path / "library.db"), desk.work)
    desk.write(big("one"))
    desk.package()
    older = tmp_path / "older"
    shutil.copytree(desk.outbox.path, older)
    desk.append(big("two"))
    desk.package()

    for came_back, is_current in (
        (desk.outbox.path.rename(tmp_path / "newest"), True),
        (older, False),
    ):
        shutil.rmtree(desk.outbox.path, ignore_errors=True)
        assert whole.restore(CHANNEL, desk.outbox.path).lost == (desk.item(),)
        shutil.copytree(came_back, desk.outbox.path, dirs_exist_ok=True)
        assert whole.adopt(CHANNEL, desk.outbox.path).lost == ()
        desk.restart(swapping())
        assert desk.is_current() is is_current
    desk.package()
    assert desk.content() == big("one") + big("two")


def _left_by_a_crash(desk: Desk) -> str:
    """Put a chunk into its place without the item that names it."""
    content = b"the item of this chunk was never written"
    sha256 = hashlib.sha256(content).hexdigest()
    outbox = Outbox(desk.outbox.path)
    outbox.put_chunk(sha256, compress(content), 0)
    outbox.flush()
    return chunk_name(sha256)


@pytest.mark.parametrize("harm", ["deleted", "a file", "a link"])
def test_a_folder_of_the_outbox_that_is_gone_after_the_recovery_is_made_again(
    desk: Desk, tmp_path: Path, harm: str
) -> None:
    whole = OutboxIntegrity(tmp_path / "library", open_library(tmp_path / "library.db"), desk.work)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for part in ("items", "chunks", "retracted"):
        place = desk.outbox.path / part
        shutil.rmtree(place)
        if harm == "a file":
            place.write_bytes(b"by a peer")
        elif harm == "a link":
            place.symlink_to(elsewhere)

    assert whole.adopt(CHANNEL, desk.outbox.path).items == 0
    desk.write(big("one"))
    desk.package()
    assert desk.content() == big("one")
    assert list(elsewhere.iterdir()) == []
