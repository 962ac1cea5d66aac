"""Retractions: only the owner's are valid, the newest wins, and nothing of the item is left."""

import json
from pathlib import Path
from typing import Any

import pytest

from karma_sync.channel.layout import chunk_name, item_name, retraction_name
from karma_sync.channel.verify import verify_retraction
from karma_sync.domain import limits
from karma_sync.errors import NotFound, Unverified
from karma_sync.files import write_private
from karma_sync.receiving.importer import Withdrawn
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import ledger, library, retractions
from tests.support.builders import ALICE, BOB, MALLORY, PROJECT, Desk, Shelf, Swapping, key_of, said
from tests.support.disks import places_of
from tests.unit.receiving.test_importer import CHANNEL, TEAM, lines, take

A, B, M = key_of(ALICE), key_of(BOB), key_of(MALLORY)
ITEM = "0" * 32
RETRACTION = PayloadType.RETRACTION


def signed(key: SigningKey = A, kind: PayloadType = RETRACTION, **changes: Any) -> bytes:
    fields = {
        "format": 1,
        "team": TEAM.id,
        "project": PROJECT,
        "member": ALICE,
        "item": ITEM,
        "revision": 7,
    }
    return key.sign(kind, json.dumps(fields | changes).encode())


def test_a_retraction_signed_by_the_owner_is_valid() -> None:
    found = verify_retraction(signed(later="a field of a newer version"), ITEM, CHANNEL, 6).value

    assert (found.item, found.revision) == (ITEM, 7)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (signed(pad="x" * limits.RETRACTION_BYTES), "2-size"),
        (b"", "3-envelope"),
        (b"{}", "3-envelope"),
        (signed(kind=PayloadType.MANIFEST), "3-type"),
        (signed(kind=PayloadType.RECEIPT), "3-type"),
        (signed(B), "3-signature"),
        (signed(M), "3-signature"),
        (signed(revision=0), "3-form"),
        (signed(revision=limits.NUMBER + 1), "3-form"),
        (signed(item="../../etc"), "3-form"),
        (signed(format=2), "3-form"),
        (signed(member=BOB), "4-signer"),
        (signed(team="another"), "5-place"),
        (signed(project="example.org/acme/tools"), "5-place"),
        (signed(item="1" * 32), "5-name"),
        (signed(revision=6), "6-newer"),
    ],
)
def test_any_other_retraction_is_refused_at_its_step(raw: bytes, code: str) -> None:
    with pytest.raises(Unverified) as refused:
        verify_retraction(raw, ITEM, CHANNEL, 6)

    assert refused.value.code == code


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "alice", CHANNEL, Swapping({}))
    desk.write(lines("one"))
    desk.write(said("beside"), "s1/subagents/agent-a.jsonl")
    desk.package()
    return desk


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


def retract(desk: Desk) -> None:
    desk.packager.retract(CHANNEL, desk.item(), desk.outbox)


def carry_out(shelf: Shelf, desk: Desk) -> bool:
    return shelf.importer.retract(CHANNEL, desk.outbox.path, desk.item())


def carried(shelf: Shelf) -> list[retractions.Carried]:
    with shelf.store.reading() as tx:
        return retractions.all_of(tx, CHANNEL.id)


def test_a_retraction_takes_the_place_of_the_item_and_drops_its_chunks(desk: Desk) -> None:
    revision, item = desk.manifest().revision, desk.item()
    chunks = desk.manifest().chunks()
    retract(desk)

    assert not desk.outbox.has_item(item)
    assert desk.outbox.retracted() == [item]
    raw = desk.outbox.read_retraction(item)
    assert raw
    assert verify_retraction(raw, item, CHANNEL, revision).value.revision > revision
    with desk.work.reading() as tx:
        (row,) = ledger.departed.all(tx, folder=CHANNEL.id)
        assert ledger.named_chunks(tx, CHANNEL.id, [item]) == set()
    assert row.withdrawn > row.revision == revision
    assert {chunk_name(sha) for sha in chunks} <= desk.files().keys()  # the sender drops them


def test_nothing_of_a_retracted_item_is_left(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    title = desk.manifest().session.title.encode()
    assert title.startswith(b"one 0")
    database = shelf.root / "library.db-wal"
    assert title in database.read_bytes()
    retract(desk)

    assert carry_out(shelf, desk)
    assert shelf.importer.scrub()

    with pytest.raises(NotFound):
        shelf.read()
    assert shelf.files() == set()
    assert places_of([title, b"one 1 ", b"beside"], shelf.root) == []


def test_an_old_revision_does_not_undo_a_retraction(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    old = desk.raw()
    retract(desk)
    carry_out(shelf, desk)
    write_private(desk.outbox.path / item_name(desk.item()), old)

    with pytest.raises(Withdrawn):
        take(shelf, desk)
    assert shelf.files() == set()


def test_a_retraction_that_comes_before_the_item_keeps_it_out(shelf: Shelf, desk: Desk) -> None:
    old = desk.raw()
    retract(desk)
    assert carry_out(shelf, desk)
    write_private(desk.outbox.path / item_name(desk.item()), old)

    with pytest.raises(Withdrawn):
        take(shelf, desk)


def test_a_later_revision_ends_the_retraction(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    retract(desk)
    raw = desk.outbox.read_retraction(desk.item())
    assert raw
    carry_out(shelf, desk)
    desk.package()
    take(shelf, desk)
    assert desk.outbox.retracted() == []
    write_private(desk.outbox.path / retraction_name(desk.item()), raw)

    assert not carry_out(shelf, desk)
    assert shelf.read() == lines("one")
    assert carried(shelf) == []
    with desk.work.reading() as tx:
        assert [row.withdrawn for row in ledger.departed.all(tx, folder=CHANNEL.id)] == [0]


def test_the_same_retraction_again_changes_nothing(shelf: Shelf, desk: Desk) -> None:
    retract(desk)

    assert carry_out(shelf, desk)
    assert not carry_out(shelf, desk)


def test_a_retraction_is_finished_when_its_files_are_gone_from_the_folder(
    shelf: Shelf, desk: Desk
) -> None:
    take(shelf, desk)
    chunks = desk.manifest().chunks()
    retract(desk)
    carry_out(shelf, desk)
    folder = desk.outbox.path

    assert not shelf.importer.check_deletions(CHANNEL.id, folder, strays=False)
    assert [c.done for c in carried(shelf)] == [False]
    for sha in chunks:
        desk.outbox.remove_chunk(sha)
    assert shelf.importer.check_deletions(CHANNEL.id, folder, strays=False)
    assert [c.done for c in carried(shelf)] == [True]


def test_dropped_chunks_are_tracked_until_they_are_gone(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    revision, chunks = desk.manifest().revision, desk.manifest().chunks()
    desk.write(said("rewound"))
    desk.package()
    take(shelf, desk)

    with shelf.store.reading() as tx:
        left = retractions.lingering(tx, CHANNEL.id)
    assert {each.sha256 for each in left} == set(chunks)
    assert {each.revision for each in left} == {revision}
    for sha in chunks:
        desk.outbox.remove_chunk(sha)
    assert shelf.importer.check_deletions(CHANNEL.id, desk.outbox.path, strays=False)
    with shelf.store.reading() as tx:
        assert retractions.lingering(tx, CHANNEL.id) == []


def test_temporary_files_of_a_retracted_item_are_deleted_too(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    begun = [desk.outbox.path / item_name(desk.item())]
    begun += [desk.outbox.path / chunk_name(sha) for sha in desk.manifest().chunks()]
    begun = [path.with_name(f".syncthing.{path.name}.tmp") for path in begun]
    for path in begun:
        path.write_bytes(b"half a file")
    retract(desk)
    carry_out(shelf, desk)

    assert [path for path in begun if path.exists()] == []


def test_another_members_items_are_not_touched(shelf: Shelf, desk: Desk) -> None:
    desk.write(lines("one"), "s2.jsonl")
    desk.package("s2")
    take(shelf, desk)
    shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item("s2"))
    retract(desk)
    carry_out(shelf, desk)

    assert shelf.read("s2") == lines("one")
    with shelf.store.reading() as tx:
        assert list(library.revisions(tx, CHANNEL.id)) == [desk.item("s2")]


def test_a_session_whose_source_is_gone_is_redacted_once_more(desk: Desk) -> None:
    desk.write(lines("one secret") + b'{"type": "custom-title", "customTitle": "my secret"}\n')
    desk.package()
    before, item = desk.manifest(), desk.item()
    (desk.directory / "s1.jsonl").rename(desk.directory.parent / "away")
    desk.packager.use_redactor(Swapping({b"secret": b"[REDACTED:fake]"}, "swap-2"))
    desk.packager.package_again(CHANNEL, item, desk.outbox)

    (desk.directory.parent / "away").rename(desk.directory / "s1.jsonl")
    after = desk.manifest()
    assert desk.content() == lines("one secret").replace(b"secret", b"[REDACTED:fake]") + (
        b'{"type": "custom-title", "customTitle": "my [REDACTED:fake]"}\n'
    )
    assert after.session.title == "my [REDACTED:fake]"
    assert after.revision > before.revision
    assert after.redactions["secret"] == 701
    told = before.session.model_copy(update={"title": after.session.title})
    assert after.session == told
