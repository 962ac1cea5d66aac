"""A folder that is too large is paused, recorded once, and tried again after an hour."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from karma_sync.domain.mesh.channels import World
from karma_sync.domain.mesh.plan import desired
from karma_sync.mesh.quotas import Quotas
from karma_sync.runtime.event_log import EventLog
from karma_sync.store import events, work
from karma_sync.syncthing.wire import FolderStatus
from tests.support.builders import ALICE, BOB, NOW, answer, channel_of, key_of, team_of_all

TEAM = team_of_all(ALICE, BOB)
WORLD = World(
    key=key_of(ALICE).public, teams=(TEAM,), subscriptions=(answer(TEAM, ALICE), answer(TEAM, BOB))
)
LARGE = FolderStatus(state="idle", global_bytes=20_000_000_001)
SMALL = FolderStatus(state="idle", global_bytes=20_000_000_000)
PAUSED = FolderStatus(state="")


def test_it_is_paused_for_an_hour_then_looked_at_again(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    clock = [NOW]
    changes: list[str] = []
    notes = EventLog(store, lambda: clock[0])
    quotas = Quotas(store, notes, lambda: clock[0], lambda: changes.append("changed"))
    inbox = channel_of(TEAM, BOB).id

    quotas.check_status(WORLD, inbox, SMALL)
    assert (set(quotas.folders()), changes) == (set(), [])

    quotas.check_status(WORLD, inbox, LARGE)
    assert (set(quotas.folders()), changes) == ({inbox}, ["changed"])
    quotas.check_status(WORLD, inbox, PAUSED)
    assert quotas.folders() == {inbox}, "a paused folder shows zeros"

    clock[0] += timedelta(hours=1)
    assert quotas.folders() == frozenset(), "it is tried again"
    quotas.check_status(WORLD, inbox, LARGE)
    assert quotas.folders() == {inbox}

    clock[0] += timedelta(hours=1)
    quotas.check_status(WORLD, inbox, SMALL)
    assert quotas.folders() == frozenset()
    with store.reading() as tx:
        told = [(e.type, e.subject) for e in events.after(tx, 0)]
    store.close()
    title = "example.org/acme/repo by bob.tower in backend"
    assert told == [("too large", title), ("fault over", title)]


def test_what_peers_claim_of_my_outbox_does_not_pause_it(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    quotas = Quotas(store, EventLog(store, lambda: NOW), lambda: NOW)
    outbox = channel_of(TEAM, ALICE).id

    quotas.check_status(WORLD, outbox, LARGE)
    assert quotas.folders() == frozenset()

    quotas.check_status(WORLD, outbox, FolderStatus(state="idle", local_bytes=20_000_000_001))
    assert quotas.folders() == {outbox}
    store.close()


def test_only_what_is_too_large_is_paused() -> None:
    inbox = channel_of(TEAM, BOB).id
    found = desired(replace(WORLD, too_large=frozenset({inbox}))).folders

    assert {f.id for f in found if f.paused} == {inbox}
