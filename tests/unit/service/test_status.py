"""The report that `status` makes from real databases."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from karma_sync.domain.events import Event, EventType
from karma_sync.domain.team.direction import Direction
from karma_sync.paths import metadata_folder
from karma_sync.service import status as service
from karma_sync.service import status_model
from karma_sync.service.status_model import Stores
from karma_sync.signing import PayloadType
from karma_sync.store import events, library, readable, state, work
from karma_sync.team.documents.receipt import Receipt
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    NOW,
    NOW_MS,
    PROJECT,
    answer,
    channel_of,
    code_of,
    device_of,
    key_of,
    team_of_all,
)

TEAM = team_of_all(ALICE, BOB, CAROL)
DAVE = "dave.pc"


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    """Alice's databases; she is in a team with Bob and Carol."""
    found = Stores(
        state.open_state(tmp_path / "state.db"),
        work.open_work(tmp_path / "work.db"),
        library.open_library(tmp_path / "library.db"),
    )
    with found.state.transaction() as tx:
        state.teams.put(tx, TEAM)
        state.subscriptions.put(tx, answer(TEAM, ALICE), answer(TEAM, BOB))
    yield found
    for store in (found.state, found.work, found.library):
        store.close()


def look(stores: Stores, running: bool = True) -> status_model.StatusReport:
    return service.status(stores, code_of(ALICE), NOW, running)


def seen(stores: Stores, tag: str, days: float, connected: bool = False) -> None:
    link = work.Link(
        device=device_of(tag), connected=connected, last_seen=NOW - timedelta(days=days)
    )
    with stores.work.transaction() as tx:
        work.links.put(tx, link)


def test_a_team_is_silent_since_the_last_of_it_was_seen(stores: Stores) -> None:
    assert look(stores).silent == {"backend": None}, "nobody was ever seen"

    seen(stores, BOB, 9)
    seen(stores, CAROL, 4)
    assert look(stores).silent == {"backend": 4}

    seen(stores, BOB, 9, connected=True)
    assert look(stores).silent == {}


def test_nobody_is_connected_to_a_daemon_that_does_not_run(stores: Stores) -> None:
    seen(stores, BOB, 0, connected=True)

    assert [p.connected for p in look(stores).peers] == [True, False]
    assert [p.connected for p in look(stores, running=False).peers] == [False, False]


def test_a_receipt_that_others_passed_on_is_an_answer_too(stores: Stores) -> None:
    seen(stores, BOB, 9)
    key = key_of(CAROL)
    at = int((NOW - timedelta(days=2)).timestamp() * 1000)
    receipt = Receipt(team=TEAM.id, writer=key.public, version=at, channels=())
    envelope = key.sign(PayloadType.RECEIPT, receipt.to_json().encode())
    with stores.work.transaction() as tx:
        work.put_receipt(tx, TEAM.id, work.SignedReceipt(key.public, at, envelope))

    assert look(stores).silent == {"backend": 2}


def test_who_receives_and_has_sent_no_receipt_is_named(stores: Stores) -> None:
    (project,) = look(stores).projects

    assert [(r.tag, r.items, r.whole) for r in project.receivers] == [(BOB, 0, False)]


def test_the_last_error_is_the_newest_refusal_or_fault(stores: Stores) -> None:
    with stores.work.transaction() as tx:
        events.add(tx, Event(0, NOW, EventType.ITEM_REFUSED, BOB, "x: y", bad=True))
        events.add(tx, Event(0, NOW, EventType.MEMBER_JOINED, CAROL, "team backend"))
    error = look(stores).last_error

    assert error is not None
    assert (error.type, error.subject) == (EventType.ITEM_REFUSED, BOB)


def test_an_error_is_over_once_its_end_was_noted(stores: Stores) -> None:
    with stores.work.transaction() as tx:
        events.add(tx, Event(0, NOW, EventType.FAULT, "Syncthing", "it ended", bad=True))
        events.add(tx, Event(0, NOW, EventType.FAULT_OVER, "cycle", "it works again"))
    assert not look(stores).last_error_over

    with stores.work.transaction() as tx:
        events.add(tx, Event(0, NOW, EventType.FAULT_OVER, "Syncthing", "it runs again"))
    assert look(stores).last_error_over


def test_nobody_is_connected_while_syncthing_does_not_answer(stores: Stores) -> None:
    seen(stores, BOB, 0, connected=True)
    with stores.work.transaction() as tx:
        work.faults.put(tx, work.Fault(folder="Syncthing", why="it does not answer"))

    assert [p.connected for p in look(stores).peers] == [False, False]
    assert look(stores).stuck(running=True) == ["Syncthing: it does not answer"]


def test_a_pause_that_no_person_asked_for_is_stuck(stores: Stores) -> None:
    with stores.state.transaction() as tx:
        state.halts.put(tx, state.GlobalPause())
    assert look(stores).stuck(running=True) == []

    with stores.state.transaction() as tx:
        state.halts.put(tx, state.GlobalPause(why="the limits on sending could not be read"))
    assert look(stores).stuck(running=True) == [
        "everything is paused, the limits on sending could not be read"
    ]


def test_what_is_on_its_way_is_told_with_bytes_and_time_left(stores: Stores) -> None:
    box = channel_of(TEAM, ALICE)
    with stores.work.transaction() as tx:
        row = work.Transfer(
            folder=box.id, device=device_of(BOB), left=5_000_000, items=7, rate=1_000_000.0
        )
        work.transfers.put(tx, row)
    (receiver,) = look(stores).projects[0].receivers

    assert receiver.transfer == status_model.TransferStatus(5_000_000, 7, 5)


def test_a_fault_names_what_a_person_knows(stores: Stores) -> None:
    with stores.work.transaction() as tx:
        work.faults.put(tx, work.Fault(folder=metadata_folder(TEAM.id), why="marker missing"))

    assert look(stores).faults == {"documents of team backend": "marker missing"}


def test_a_guest_that_receives_is_named_beside_the_members(stores: Stores) -> None:
    guest = TEAM.add(code_of(MALLORY), NOW_MS, (PROJECT,)).activate(key_of(MALLORY).public, ())
    other = "example.org/acme/other"
    blind = guest.share(other, NOW_MS).add(code_of(DAVE), NOW_MS, (other,))
    with stores.state.transaction() as tx:
        state.teams.put(tx, blind.activate(key_of(DAVE).public, ()))
        receiving = [answer(TEAM, tag, direction=Direction.RECEIVE) for tag in (MALLORY, DAVE)]
        state.subscriptions.put(tx, *receiving)
    found = look(stores)

    (project,) = (p for p in found.projects if p.mine.project == PROJECT)
    assert [r.tag for r in project.receivers] == [BOB, MALLORY]
    assert MALLORY in [p.member.tag for p in found.peers]
    seen(stores, MALLORY, 0, connected=True)
    assert look(stores).silent == {"backend": None}, "a guest does not answer for the team"


def test_only_a_team_that_was_taken_over_is_named(stores: Stores) -> None:
    bobs = team_of_all(BOB, ALICE, name="design")
    taken = TEAM.changed(leader=key_of(BOB).public, rank=8, term=2)
    with stores.state.transaction() as tx:
        state.teams.put(tx, taken, bobs)
    with stores.work.transaction() as tx:
        events.add(tx, Event(0, NOW, EventType.LEADER_TAKEN_OVER, BOB, "team backend"))

    assert [each.team for each in look(stores).taken_over] == ["backend"]


def test_what_waits_for_the_yes_of_a_leader_is_told(stores: Stores) -> None:
    with stores.state.transaction() as tx:
        state.teams.put(tx, TEAM.proposing(key_of(BOB).public, ("h/o/new",)))

    assert [(m.tag, p) for _, m, p in look(stores).proposed] == [(BOB, "h/o/new")]


def test_a_guest_received_nothing_from_itself(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = TEAM.add(code_of(MALLORY), NOW_MS, (PROJECT,)).activate(key_of(MALLORY).public, ())
    with stores.state.transaction() as tx:
        state.teams.put(tx, guest.seen_by(key_of(MALLORY).public))
        state.subscriptions.put(tx, answer(TEAM, MALLORY, direction=Direction.RECEIVE))
    # it was a member before, and its library still has what it sent
    counts = {(TEAM.id, PROJECT, MALLORY): 2, (TEAM.id, PROJECT, BOB): 1}
    monkeypatch.setattr(readable, "counts", lambda _tx, _scope: counts)
    (project,) = service.status(stores, code_of(MALLORY), NOW, True).projects

    assert project.received == {BOB: 1}
