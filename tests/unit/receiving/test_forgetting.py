"""The library over time: retracted items are deleted, crashes leave no files, reads are whole."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from karma_sync.channel.layout import compress
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Kept, TakenBack
from karma_sync.errors import KarmaError, NotFound, Unverified
from karma_sync.files import write_private
from karma_sync.receiving.importer import Importer
from karma_sync.store import library
from tests.support.builders import (
    ALICE,
    BOB,
    NOW,
    PROJECT,
    VERIFIER,
    Desk,
    Shelf,
    Swapping,
    channel_of,
    key_of,
    resigned,
    said,
    team_of_all,
)
from tests.unit.receiving.test_importer import (
    CHANNEL,
    TEAM,
    chunk_paths,
    expected,
    item_path,
    lines,
    take,
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "alice", CHANNEL, Swapping({}))
    desk.write(lines("one"))
    desk.package()
    return desk


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


def chunks(shelf: Shelf) -> set[str]:
    return {name for name in shelf.files() if name.startswith("chunks/")}


def test_a_chunk_that_is_no_longer_named_is_gone(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    before = chunks(shelf)
    desk.write(lines("two"))
    desk.package()
    take(shelf, desk)

    assert len(before) >= 2
    assert shelf.files() == expected(desk)
    assert before.isdisjoint(shelf.files())
    with shelf.store.reading() as tx:
        assert library.verified_chunks(tx, CHANNEL.id) == desk.manifest().chunks()


def test_a_chunk_that_another_item_still_names_stays(shelf: Shelf, desk: Desk) -> None:
    desk.write(lines("one"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    desk.write(said("rewound"))
    desk.package()
    take(shelf, desk)

    assert shelf.read("s1") == said("rewound")
    assert shelf.read("s2") == lines("one")


def test_an_item_that_was_forgotten_can_be_imported_again(shelf: Shelf, desk: Desk) -> None:
    for content in (lines("one"), lines("two"), lines("one")):
        desk.write(content)
        desk.package()
        take(shelf, desk)
        assert shelf.read() == content
        assert shelf.files() == expected(desk)


def test_items_that_a_member_took_back_are_deleted_and_no_others(shelf: Shelf, desk: Desk) -> None:
    home = channel_of(team_of_all(ALICE, BOB, name="home"), ALICE)
    kept = Desk(desk.claude.parent.parent / "home", home, Swapping({}))
    kept.write(lines("one") + said("home"), "s2.jsonl")
    kept.package("s2")
    desk.append(lines("mine"))
    desk.package()
    take(shelf, desk)
    shelf.importer.import_item(home, kept.outbox.path, kept.item("s2"))

    assert shelf.importer.forget_all_but(Kept(TEAM.id, PROJECT, ALICE)) == 1

    with pytest.raises(NotFound):
        shelf.read("s1")
    assert shelf.read("s2") == lines("one") + said("home")
    assert not [name for name in shelf.files() if CHANNEL.id in name]
    assert shelf.importer.forget_all_but(Kept(TEAM.id, PROJECT, ALICE)) == 0
    take(shelf, desk)
    assert shelf.read("s1") == lines("one") + lines("mine")


@pytest.mark.parametrize(
    ("project", "member", "count"), [(PROJECT, ALICE, 1), (PROJECT, BOB, 0), ("other", ALICE, 0)]
)
def test_a_member_takes_single_items_back_and_only_its_own(
    shelf: Shelf, desk: Desk, project: str, member: str, count: int
) -> None:
    desk.write(lines("one"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    gone = TakenBack(TEAM.id, project, member, ("0" * 32, desk.item("s2")))

    assert shelf.importer.forget_taken_back(gone) == count
    assert shelf.importer.forget_taken_back(gone) == 0 or not count
    assert shelf.read("s1")
    with shelf.store.reading() as tx:
        assert len(library.revisions(tx, CHANNEL.id)) == 2 - count


def crashing() -> datetime:
    raise KeyboardInterrupt


def test_a_crash_between_files_and_database_is_repaired(shelf: Shelf, desk: Desk) -> None:
    importer = Importer(shelf.root, shelf.store, VERIFIER, shelf.indexer, crashing)
    with pytest.raises(KeyboardInterrupt):
        importer.import_item(CHANNEL, desk.outbox.path, desk.item())
    (shelf.root / "incoming" / "leftover.ks").write_bytes(b"half a file")
    with pytest.raises(NotFound):
        shelf.read()

    shelf.importer = Importer(shelf.root, shelf.store, VERIFIER, shelf.indexer, lambda: NOW)

    assert list((shelf.root / "incoming").iterdir()) == []
    take(shelf, desk)
    assert shelf.read() == lines("one")
    assert shelf.files() == expected(desk)


def test_files_that_a_crash_left_are_deleted_with_the_next_revision(
    shelf: Shelf, desk: Desk
) -> None:
    importer = Importer(shelf.root, shelf.store, VERIFIER, shelf.indexer, crashing)
    with pytest.raises(KeyboardInterrupt):
        importer.import_item(CHANNEL, desk.outbox.path, desk.item())
    desk.write(said("rewound"))
    desk.package()

    shelf.importer = Importer(shelf.root, shelf.store, VERIFIER, shelf.indexer, lambda: NOW)
    take(shelf, desk)

    assert shelf.files() == expected(desk)


def test_an_item_that_is_refused_leaves_nothing_in_the_library(shelf: Shelf, desk: Desk) -> None:
    write_private(chunk_paths(desk)[-1], compress(bytes(limits.CHUNK_BYTES)))

    with pytest.raises(Unverified):
        take(shelf, desk)
    assert shelf.files() == set()


def test_a_known_chunk_stated_with_another_length_is_refused(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    [file] = [f.to_fields() for f in desk.manifest().files]
    [sha, size], *others = file["chunks"]
    file |= {"chunks": [[sha, size - 1], *others], "size": file["size"] - 1}
    raw = resigned(desk.raw(), key_of(ALICE), files=[file], revision=desk.manifest().revision + 1)
    write_private(item_path(desk), raw)

    with pytest.raises(Unverified):
        take(shelf, desk)
    assert shelf.read() == lines("one")


@pytest.mark.parametrize(
    ("revision", "last"),
    [
        (limits.NUMBER + 1, None),
        pytest.param(limits.NUMBER, None),
        pytest.param(None, "0001-01-01T00:00:00+14:00"),
        pytest.param(None, "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_moment_outside_the_calendar_does_not_stop_the_import(
    shelf: Shelf, desk: Desk, revision: int | None, last: str | None
) -> None:
    manifest = desk.manifest()
    session = manifest.session.to_fields() | {"last_activity": last}
    changes = {"session": session, "revision": revision or manifest.revision}
    write_private(item_path(desk), resigned(desk.raw(), key_of(ALICE), **changes))

    try:
        take(shelf, desk)
    except Unverified:
        return
    assert shelf.read() == lines("one")


def test_readers_get_whole_revisions_while_newer_ones_are_imported(
    shelf: Shelf, desk: Desk
) -> None:
    content = lines("one")
    take(shelf, desk)
    whole = {content}

    def import_more() -> None:
        nonlocal content
        for n in range(25):
            content += said(f"more {n}")
            desk.append(said(f"more {n}"))
            desk.package()
            whole.add(content)
            take(shelf, desk)

    seen = []
    with ThreadPoolExecutor(1) as thread:
        importing = thread.submit(import_more)
        while not importing.done():
            seen.append(shelf.read())
        importing.result()

    assert shelf.read() == content
    assert set(seen) <= whole
    assert [len(each) for each in seen] == sorted(len(each) for each in seen)


def test_a_reader_gets_an_error_if_the_session_is_replaced_meanwhile(
    shelf: Shelf, desk: Desk
) -> None:
    take(shelf, desk)
    found = shelf.library.session(shelf.scope, "s1")
    reading = shelf.library.content(shelf.scope, found, "transcript.jsonl")
    pieces = [next(reading)]
    desk.write(lines("two"))
    desk.package()
    take(shelf, desk)

    with pytest.raises(KarmaError, match="was replaced while it was read"):
        pieces += reading

    assert lines("one").startswith(b"".join(pieces))
