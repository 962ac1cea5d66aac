"""Receiving: each item is imported once, waits for missing chunks, or is refused with a reason."""

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.channel.layout import chunk_name, item_name
from karma_sync.files import write_private
from karma_sync.receiving.receiver import Receiver, ReceiverHooks
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.problems import Problems
from karma_sync.store import events, library, work
from tests.support.builders import BOB, NOW, Desk, Shelf, Swapping, code_of, key_of, resigned
from tests.support.harness import until
from tests.unit.receiving.test_importer import CHANNEL, chunk_paths, expected, item_path, lines
from tests.unit.receiving.test_retraction import carried, retract


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "alice", CHANNEL, Swapping({}))
    desk.write(lines("one"))
    desk.package()
    return desk


class Bob:
    """A receiver with its library and the recorded state of each item."""

    def __init__(self, root: Path, desk: Desk) -> None:
        self.shelf, self.desk = Shelf(root), desk
        self.events = work.open_work(root / "work.db")
        weakref.finalize(self, self.events.close)
        self.rests = False
        self.restart()

    def restart(self) -> None:
        notes = EventLog(self.events, lambda: NOW)
        me, importer, store = code_of(BOB), self.shelf.importer, self.shelf.store
        hooks = ReceiverHooks(Problems(), rests=lambda folder: self.rests)
        self.receiver = Receiver(me, importer, store, notes, hooks)
        self.receiver.receive_from([CHANNEL], lambda _: self.desk.outbox.path)

    def receive(self) -> tuple[str, str]:
        """Receive everything in the inbox; returns the state of the item and its reason."""
        self.receiver.receive_all(CHANNEL.id)
        with self.shelf.store.reading() as tx:
            arrival = library.arrivals(tx, CHANNEL.id)[self.desk.item()]
        return arrival.state, arrival.why.split(":")[0]

    def has_strays(self) -> bool:
        """Whether stray chunks lie in the inbox."""
        self.receiver.check_deletions()
        return self.receiver.has_strays(CHANNEL.id)

    def noted(self) -> list[str]:
        with self.events.reading() as tx:
            return [e.payload.split(": ")[1] for e in events.after(tx, 0)]


@pytest.fixture
def bob(tmp_path: Path, desk: Desk) -> Bob:
    return Bob(tmp_path / "bob", desk)


def test_a_refused_item_is_recorded_once_until_a_good_one_clears_it(bob: Bob, desk: Desk) -> None:
    good = desk.raw()
    write_private(item_path(desk), resigned(good, key_of(BOB)))
    for _ in range(2):
        assert bob.receive() == ("refused", "3-signature")
        bob.restart()
    assert bob.noted() == ["3-signature"]

    write_private(item_path(desk), good)

    assert bob.receive() == ("imported", "")
    assert bob.shelf.read() == lines("one")


@pytest.mark.parametrize("receive", [Receiver.receive_all, None])
def test_a_waiting_item_is_taken_when_its_last_chunk_is_there(
    bob: Bob, desk: Desk, receive: Callable[[Receiver, str], None] | None
) -> None:
    missing = {path: path.read_bytes() for path in chunk_paths(desk)}
    for path in missing:
        path.unlink()
    assert bob.receive() == ("waiting", f"for {len(missing)} chunks")

    for path, frame in missing.items():
        write_private(path, frame)
        if receive:
            receive(bob.receiver, CHANNEL.id)
        else:
            bob.receiver.receive_files(CHANNEL.id, [chunk_name(path.stem)])

    assert bob.shelf.read() == lines("one")
    assert bob.receive() == ("imported", "")


def test_invalid_names_from_a_peer_are_ignored(bob: Bob, desk: Desk) -> None:
    for name in ("../../x", "items/../../x.ks", "items/x.ks", item_name("0" * 32), "chunks/x"):
        bob.receiver.receive_files(CHANNEL.id, [name])
    (desk.outbox.path / "items" / "evil.ks").write_bytes(b"x")

    assert bob.receive() == ("imported", "")
    assert bob.shelf.files() == expected(desk)


def test_nothing_counts_as_deleted_while_stray_chunks_lie_in_the_folder(
    bob: Bob, desk: Desk
) -> None:
    chunks = {path: path.read_bytes() for path in chunk_paths(desk)}
    retract(desk)  # its owner called it back before the item came; deletions come later
    for path, content in chunks.items():
        write_private(path, content)
    bob.receiver.receive_all(CHANNEL.id)
    assert bob.has_strays()
    assert bob.receiver.wait
    assert [c.done for c in carried(bob.shelf)] == [False]

    for path in chunks:
        path.unlink()
    until(lambda: not bob.has_strays(), "looked again")

    assert [c.done for c in carried(bob.shelf)] == [True]
    assert bob.receiver.wait is None


def test_chunks_of_imported_items_are_no_strays(bob: Bob, desk: Desk) -> None:
    assert bob.receive() == ("imported", "")

    assert chunk_paths(desk)
    assert not bob.has_strays()


def test_a_temporary_file_of_a_chunk_counts_as_a_stray_until_syncthing_gives_up(
    bob: Bob, desk: Desk
) -> None:
    assert bob.receive() == ("imported", "")
    place = chunk_paths(desk)[0]
    begun = place.with_name(f".syncthing.{'0' * 64}.zst.tmp")
    begun.write_bytes(b"half a chunk")
    bob.receiver.receive_files(CHANNEL.id, [str(place.relative_to(desk.outbox.path))])
    assert bob.has_strays()
    assert begun.exists()

    bob.rests = True
    until(lambda: not bob.has_strays(), "looked again")

    assert not begun.exists()
