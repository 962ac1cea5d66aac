"""What a part of the daemon that does not work leaves for `status` to say."""

from pathlib import Path

from karma_sync.errors import DatabaseUnusable, SyncthingUnreachable
from karma_sync.service.notes import Notes
from karma_sync.store import events, work
from karma_sync.store.database import Database
from tests.builders import NOW

CLOSED = DatabaseUnusable("state.db cannot be used: no space")


def faults(store: Database) -> dict[str, str]:
    with store.reading() as tx:
        return {fault.folder: fault.why for fault in work.faults.all(tx)}


def told(store: Database) -> list[str]:
    with store.reading() as tx:
        return [f"{event.what}: {event.who}: {event.why}" for event in events.after(tx, 0)]


def test_a_part_that_fails_is_a_fault_until_it_works(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = Notes(store, lambda: NOW)
    notes.worker("cycle", CLOSED)
    notes.worker("cycle", CLOSED)
    notes.worker("receiving", ValueError("what a transcript says"))

    assert faults(store) == {"cycle": f"DatabaseUnusable: {CLOSED}", "receiving": "ValueError"}
    notes.worker("cycle", None)

    assert faults(store) == {"receiving": "ValueError"}
    assert notes.failing == {"receiving"}
    assert told(store) == [
        f"fault: cycle: DatabaseUnusable: {CLOSED}",
        "fault: receiving: ValueError",
        "fault over: cycle: it works again",
    ]


def test_a_syncthing_that_does_not_answer_is_told_once_and_not_as_a_fault_of_ours(
    tmp_path: Path,
) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = Notes(store, lambda: NOW)
    for part in ("cycle", "checking"):
        notes.worker(part, SyncthingUnreachable("no answer"))
    for part in ("cycle", "checking"):
        notes.worker(part, None)

    assert faults(store) == {}
    assert told(store) == [
        "fault: Syncthing: it does not answer",
        "fault over: Syncthing: it answers again",
    ]


def test_a_part_that_failed_in_two_ways_is_well_once_it_works(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = Notes(store, lambda: NOW)
    notes.worker("cycle", SyncthingUnreachable("no answer"))
    notes.worker("cycle", CLOSED)
    notes.worker("cycle", None)

    assert faults(store) == {}
    assert notes.failing == set()
