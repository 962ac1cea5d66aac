"""The facts that `status` can read about failing threads and about an outage of Syncthing."""

import ast
from pathlib import Path

import pytest

import karma_sync
from karma_sync.domain.events import EventType
from karma_sync.errors import DatabaseUnusable, SyncthingUnreachable
from karma_sync.runtime.event_log import EventLog
from karma_sync.store import events, work
from karma_sync.store.database import Database
from tests.support.builders import NOW

CLOSED = DatabaseUnusable("state.db cannot be used: no space")


def faults(store: Database) -> dict[str, str]:
    with store.reading() as tx:
        return {fault.folder: fault.why for fault in work.faults.all(tx)}


def told(store: Database) -> list[str]:
    with store.reading() as tx:
        return [f"{event.type}: {event.subject}: {event.payload}" for event in events.after(tx, 0)]


def test_a_part_that_fails_is_a_fault_until_it_works(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = EventLog(store, lambda: NOW)
    notes.record_worker("cycle", CLOSED)
    notes.record_worker("cycle", CLOSED)
    notes.record_worker("receiving", ValueError("what a transcript says"))

    assert faults(store) == {"cycle": f"DatabaseUnusable: {CLOSED}", "receiving": "ValueError"}
    notes.record_worker("cycle", None)

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
    notes = EventLog(store, lambda: NOW)
    for part in ("cycle", "checking") * 3:
        notes.record_worker(part, SyncthingUnreachable("no answer"))

    assert faults(store) == {"Syncthing": "it does not answer"}
    notes.record_worker("sending", None)
    assert faults(store) == {"Syncthing": "it does not answer"}, "that one had not asked it"
    for part in ("cycle", "checking"):
        notes.record_worker(part, None)

    assert faults(store) == {}
    assert told(store) == [
        "fault: Syncthing: it does not answer",
        "fault over: Syncthing: it answers again",
    ]


def test_a_syncthing_that_dies_again_and_again_is_told_once_for_each_reason(
    tmp_path: Path,
) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = EventLog(store, lambda: NOW)
    notes.record_worker("listening", SyncthingUnreachable("connection refused"))
    notes.syncthing_ended("it ended with code 3")
    for _ in range(3):
        for part in ("cycle", "listening"):
            notes.record_worker(part, SyncthingUnreachable("connection refused"))
        notes.syncthing_ended("the disk is on fire")

    assert faults(store) == {"Syncthing": "the disk is on fire"}
    notes.syncthing_started()
    notes.record_worker("cycle", None)
    notes.record_worker("listening", CLOSED)

    assert faults(store).keys() == {"listening"}
    assert told(store)[:3] == [
        "fault: Syncthing: it ended with code 3",
        "fault: Syncthing: the disk is on fire",
        "fault over: Syncthing: it runs again",
    ]
    notes.syncthing_ended("it ended with code 3")
    assert faults(store)["Syncthing"] == "it ended with code 3", "news again in another outage"


def test_an_outage_that_could_not_be_noted_is_noted_once_there_is_room(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = EventLog(store, lambda: NOW)
    with store.transaction() as tx:
        tx.execute("PRAGMA query_only = ON")  # as on a full disk, nothing can be written
    with pytest.raises(DatabaseUnusable):
        notes.syncthing_ended("it ended")
    with store.reading() as tx:
        tx.execute("PRAGMA query_only = OFF")
    notes.syncthing_ended("it ended")

    assert told(store) == ["fault: Syncthing: it ended"]


def test_a_part_that_failed_in_two_ways_is_well_once_it_works(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    notes = EventLog(store, lambda: NOW)
    notes.record_worker("cycle", SyncthingUnreachable("no answer"))
    notes.record_worker("cycle", CLOSED)
    notes.record_worker("cycle", None)

    assert faults(store) == {}
    assert notes.failing == set()


def test_every_kind_of_event_that_is_recorded_is_enumerated() -> None:
    recorded = {
        (path.name, call.args[0].value)
        for path in Path(karma_sync.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"record", "record_fault"}
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }

    assert len(recorded) > 20
    assert {each for each in recorded if each[1] not in set(EventType)} == set()
