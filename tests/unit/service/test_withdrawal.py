"""Calling back: the choice is stored, the outboxes follow, and confirmations are reported."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.mesh.channels import Channel, World
from karma_sync.domain.session.selection import Unshared, Whose, is_unshared
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.sending.ledger import recalls, sent
from karma_sync.service.sessions import withdrawal
from karma_sync.signing import PayloadType
from karma_sync.store import ledger, state, work
from karma_sync.store.database import Database
from karma_sync.store.intent import IntentFile
from karma_sync.store.intent_content import read_intent
from karma_sync.store.ledger import Departed
from karma_sync.team.documents.receipt import Imported, Receipt, channel_receipt
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    NOW,
    NOW_MS,
    Swapping,
    answer,
    channel_of,
    code_of,
    examples,
    key_of,
    said,
    team_of_all,
)
from tests.unit.receiving.test_importer import lines
from tests.unit.sending.test_sender import Office

TEAM = team_of_all(ALICE, BOB, CAROL)
CHANNEL: Channel = channel_of(TEAM, ALICE)
WORLD = World(
    key=key_of(ALICE).public,
    teams=(TEAM,),
    subscriptions=tuple(answer(TEAM, tag) for tag in (ALICE, BOB, CAROL)),
)
RETRACTIONS = [(f"{n:032x}", NOW_MS + n) for n in range(70)]


@given(st.sets(st.integers(0, 69)), st.integers(0, 70))
@examples()
def test_a_receipt_tells_which_retractions_were_carried_out(done: set[int], known: int) -> None:
    carried = [RETRACTIONS[n] for n in sorted(done)]
    receipt = channel_receipt(CHANNEL.id, Imported({}, retracted=carried))
    found = receipt.carried_out(RETRACTIONS[:known])

    assert found <= set(carried) & set(RETRACTIONS[:known])
    if len(carried) <= 50:  # all of them are listed
        assert found == set(carried) & set(RETRACTIONS[:known])


def test_more_retractions_than_a_receipt_lists_are_confirmed_by_their_digest() -> None:
    receipt = channel_receipt(CHANNEL.id, Imported({}, retracted=RETRACTIONS[:60]))

    assert len(receipt.retractions) == 50
    assert receipt.carried_out(RETRACTIONS) == set(RETRACTIONS[:60])


@pytest.mark.parametrize(
    ("had", "before", "count"),
    [
        ({"a": 1, "b": 2, "c": 3}, 0, 3),
        ({"a": 1, "b": 2}, 0, 2),  # on its way
        ({}, 0, 0),
        ({"a": 0, "b": 2, "c": -1}, 2, 2),  # c came since, and a lower one was confirmed before
        ({"a": 1, "b": 2, "z": 0}, 2, 2),  # z was withdrawn since
        ({"x": -9, "y": -8, "z": -7}, 0, 0),  # all were packaged anew since
        ({"a": 1, "b": 2, "c": -1, "d": 3}, 0, 2),  # never all, while something differs
    ],
)
def test_no_more_is_confirmed_than_a_receipt_can_mean(
    had: dict[str, int], before: int, count: int
) -> None:
    mine = {"a": NOW_MS + 1, "b": NOW_MS + 2, "c": NOW_MS + 3}
    known = Imported({item: NOW_MS + revision for item, revision in had.items()})

    receipt = channel_receipt(CHANNEL.id, known)
    assert receipt.confirms(mine, NOW_MS + before) == count


@pytest.mark.parametrize(
    ("name", "whose", "agent", "session", "held"),
    [
        ("s1", Whose.SESSION, "claude-code", "s1", True),
        ("s1", Whose.SESSION, "claude-code", "s11", False),
        ("claude-code", Whose.AGENT, "claude-code", "s1", True),
        ("claude-code", Whose.AGENT, "claude-code/reviewer", "s1", True),
        ("claude-code/reviewer", Whose.AGENT, "claude-code/reviewer", "s1", True),
        ("claude-code/reviewer", Whose.AGENT, "claude-code", "s1", False),
        ("claude", Whose.AGENT, "claude-code", "s1", False),
        ("s1", Whose.AGENT, "claude-code", "s1", False),
    ],
)
def test_what_an_unsharing_is_about(
    name: str, whose: Whose, agent: str, session: str, held: bool
) -> None:
    unshared = Unshared(whose=whose, name=name)

    assert is_unshared([unshared], agent, session) is held
    assert not is_unshared([unshared.changed(lifted=True)], agent, session)


def departed(session: str, **changes: object) -> Departed:
    item = hashlib.sha256(session.encode()).hexdigest()[:32]
    fields = {"folder": CHANNEL.id, "item": item, "agent": "claude-code", "session": session}
    return Departed.from_fields(fields | {"first": 5, "revision": 5} | changes)


def test_only_what_left_can_be_unshared(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    with store.transaction() as tx:
        ledger.departed.put(tx, departed("abc1"), departed("abc2"), departed(""))

    unshared, rows = withdrawal.find(store, "abc1", Whose.SESSION, "alice.mbp")
    assert (unshared.name, [row.session for row in rows]) == ("abc1", ["abc1"])
    _, rows = withdrawal.find(store, "claude-code", Whose.AGENT, "alice.mbp")
    assert sorted(row.session for row in rows) == ["abc1", "abc2"]
    for wanted, whose, error in (
        ("abc", Whose.SESSION, BadInput),
        ("", Whose.SESSION, NotFound),
        ("x", Whose.SESSION, NotFound),
        ("codex", Whose.AGENT, NotFound),
    ):
        with pytest.raises(error):
            withdrawal.find(store, wanted, whose, "alice.mbp")
    store.close()


def test_it_survives_the_loss_of_the_database_and_can_be_lifted(tmp_path: Path) -> None:
    intent = IntentFile(tmp_path / "intent.json", lambda: NOW, lambda why: None)
    store = state.open_state(tmp_path / "state.db")
    store.after_commit(lambda: intent.keep(store, key_of(ALICE).public))
    unshared = Unshared(whose=Whose.SESSION, name="abc1")
    withdrawal.unshare(store, unshared)
    store.close()
    assert read_intent(tmp_path / "intent.json").unshared == (unshared,)

    new = state.open_state(tmp_path / "another.db")
    new.after_commit(lambda: intent.keep(new, key_of(ALICE).public))
    withdrawal.redactions_changed(new, NOW)
    assert read_intent(tmp_path / "intent.json").unshared == (unshared,), (
        "a new database takes it over"
    )
    withdrawal.unshare(new, unshared)
    withdrawal.lift(new, withdrawal.find_unshared(new, "abc", Whose.SESSION))
    assert [u.lifted for u in read_intent(tmp_path / "intent.json").unshared] == [True]
    with pytest.raises(Conflict):
        withdrawal.find_unshared(new, "abc1", Whose.SESSION)
    new.close()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def names(office: Office) -> set[str]:
    return {n for n in office.desk.files() if n.startswith(("items/", "chunks/", "retracted/"))}


def settle(office: Office) -> None:
    office.sender.rescan()
    while office.sender.has_stale_items:
        office.sender.repackage_one()
    office.sender.rescan()


def test_an_unshared_session_is_replaced_by_its_retraction_at_once(office: Office) -> None:
    office.desk.write(lines("one"))
    office.sender.send(office.desk.session())
    settle(office)
    before = names(office)
    office.sender.hold_back(frozenset({Unshared(whose=Whose.SESSION, name="s1")}))
    office.told.clear()
    office.sender.start_pass(Swapping({}))

    assert names(office) == {f"retracted/{office.desk.item()}.json"}
    assert set(office.told) == before | names(office)
    office.desk.append(said("more"))
    office.sender.send(office.desk.session())
    office.sender.start_pass(Swapping({}))
    settle(office)
    assert names(office) == {f"retracted/{office.desk.item()}.json"}


def test_a_file_that_came_back_is_removed_again(office: Office) -> None:
    office.desk.write(said("one"))
    office.sender.send(office.desk.session())
    settle(office)
    raw, path = office.desk.raw(), office.desk.outbox.path / f"items/{office.desk.item()}.ks"
    office.sender.hold_back(frozenset({Unshared(whose=Whose.SESSION, name="s1")}))
    office.sender.start_pass(Swapping({}))
    path.write_bytes(raw)
    office.sender.start_pass(Swapping({}))

    assert not path.exists()


def test_a_new_redactor_leaves_nothing_of_what_it_cuts(office: Office) -> None:
    office.desk.write(lines("a secret"))
    office.sender.send(office.desk.session())
    office.desk.write(lines("gone secret"), "s2.jsonl")
    office.sender.send(office.desk.session("s2"))
    settle(office)
    gone, old = office.desk.item("s2"), names(office)
    stray = "ab" * 32
    office.desk.outbox.put_chunk(stray, b"what a lost database forgot", 1)
    office.desk.outbox.flush()
    (office.desk.directory / "s2.jsonl").unlink()

    office.sender.start_pass(Swapping({b"secret": b"[REDACTED:fake]"}, "swap-2"))
    office.sender.send(office.desk.session())
    settle(office)

    chunks = {n for n in names(office) if n.startswith("chunks/")}
    assert chunks
    assert not chunks & old
    assert not office.sender.has_stale_items
    assert b"secret" not in office.desk.content()
    assert office.desk.outbox.has_item(gone)
    (found,) = recalls.called_back(office.desk.work, WORLD, office.desk.channel)
    assert (found.sessions, found.left) == (2, 0)


def test_a_second_recall_before_the_first_is_over_waits_for_both(office: Office) -> None:
    for name in ("s1", "s2"):
        office.desk.write(said(name), f"{name}.jsonl")
        office.sender.send(office.desk.session(name))
    settle(office)
    office.sender.start_pass(Swapping({b"one": b""}, "swap-2"))
    office.sender.send(office.desk.session("s1"))
    office.sender.rescan()
    half = office.desk.manifest("s1").revision
    office.sender.start_pass(Swapping({b"two": b""}, "swap-3"))
    settle(office)

    with office.desk.work.reading() as tx:
        recall = ledger.get_recall(tx, office.desk.channel.id)
    assert recall
    assert recall.through >= half
    assert recall.swept


def confirm(store: Database, tag: str, imported: Imported) -> None:
    """Have a receipt of this member or guest for the channel."""
    channel = channel_receipt(CHANNEL.id, imported)
    receipt = Receipt(team=TEAM.id, writer=key_of(tag).public, version=1, channels=(channel,))
    envelope = key_of(tag).sign(PayloadType.RECEIPT, receipt.to_json().encode())
    with store.transaction() as tx:
        work.put_receipt(tx, TEAM.id, work.SignedReceipt(key_of(tag).public, 1, envelope))


def test_a_guest_confirms_like_a_member(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    states = state.open_state(tmp_path / "state.db")
    gone = departed("gone", revision=NOW_MS, withdrawn=NOW_MS + 8)
    with store.transaction() as tx:
        ledger.departed.put(tx, gone)
    guest = key_of(MALLORY).public
    team = TEAM.add(code_of(MALLORY), NOW_MS, (CHANNEL.project,)).activate(guest, ())
    channel = replace(CHANNEL, team=team)
    world = World(WORLD.key, (team,), (*WORLD.subscriptions, answer(team, MALLORY)))

    def told() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        return [
            (each.confirmed, each.waiting) for each in recalls.called_back(store, world, channel)
        ]

    assert told() == [((), (BOB, CAROL, MALLORY))]
    confirm(store, MALLORY, Imported({}, retracted=[(gone.item, NOW_MS + 8)]))
    assert told() == [((MALLORY,), (BOB, CAROL))]
    (session,) = sent.sent_sessions(states, store, world)
    assert [d.tag for d in session.to if d.gone] == [MALLORY]
    store.close()
    states.close()


def test_who_confirmed_is_told_and_who_did_not(tmp_path: Path) -> None:
    store = work.open_work(tmp_path / "work.db")
    states = state.open_state(tmp_path / "state.db")
    with store.transaction() as tx:
        ledger.departed.put(tx, departed("kept", revision=NOW_MS + 9, redactor="new"))
        ledger.departed.put(tx, departed("gone", revision=NOW_MS, withdrawn=NOW_MS + 8))
        ledger.put_recall(tx, ledger.Recall(CHANNEL.id, NOW_MS + 5, NOW_MS, swept=True))
    kept = departed("kept")
    gone = departed("gone")

    def hear(tag: str, imported: Imported) -> None:
        confirm(store, tag, imported)

    def told() -> dict[str, tuple[str, ...]]:
        found = recalls.called_back(store, WORLD, CHANNEL)
        return {each.what: each.confirmed for each in found}

    assert told() == {"retracted": (), "redacted anew": ()}
    whole = Imported({kept.item: NOW_MS + 9}, retracted=[(gone.item, NOW_MS + 8)])
    hear(BOB, whole)
    hear(CAROL, Imported({kept.item: NOW_MS + 9}, lingering=[NOW_MS + 1]))
    assert told() == {"retracted": (BOB,), "redacted anew": (BOB,)}
    hear(CAROL, Imported({}, lingering=[1]))  # it was off while its first items came
    assert told()["redacted anew"] == (BOB,)
    hear(CAROL, Imported({}))  # nor is it known what came since it said so
    assert told()["redacted anew"] == (BOB,)
    hear(CAROL, Imported({kept.item: NOW_MS + 9}))
    assert told()["redacted anew"] == (BOB, CAROL)

    by_session = {each.session: each for each in sent.sent_sessions(states, store, WORLD)}
    assert {d.tag for d in by_session["kept"].to if d.confirmed} == {BOB, CAROL}
    assert {d.tag for d in by_session["gone"].to if d.gone} == {BOB}
    assert by_session["gone"].withdrawn
    since = by_session["kept"].last
    rows = list(by_session.values())
    assert [s.session for s in sent.filtered(rows, since=since)] == ["kept"]
    assert sent.filtered(rows, since=since + timedelta(seconds=1)) == []
    assert sent.filtered(rows, to=ALICE) == []
    assert len(sent.filtered(rows, to=BOB)) == 2
    store.close()


LIFTED = Unshared(whose=Whose.SESSION, name="s1", lifted=True)


@pytest.mark.parametrize(
    ("rows", "known", "again"),
    [
        ([departed("s1", withdrawn=7)], [], [Unshared(whose=Whose.SESSION, name="s1")]),
        ([departed("s1")], [], []),
        ([departed("s1", withdrawn=7), departed("s1", folder="later", revision=9)], [], []),
        ([departed("s1", withdrawn=7)], [LIFTED], []),
        ([departed("s1", withdrawn=7)], [Unshared(whose=Whose.AGENT, name="claude-code")], []),
        ([departed("", withdrawn=7)], [], []),
        (
            [departed("observations", agent="engram", withdrawn=7)],
            [],
            [Unshared(whose=Whose.AGENT, name="engram")],
        ),
    ],
)
def test_what_the_ledger_knows_as_withdrawn_is_unshared_again(
    tmp_path: Path, rows: list[Departed], known: list[Unshared], again: list[Unshared]
) -> None:
    store, states = work.open_work(tmp_path / "work.db"), state.open_state(tmp_path / "state.db")
    with store.transaction() as tx:
        ledger.departed.put(tx, *rows)
    with states.transaction() as tx:
        state.unshared.put(tx, *known)

    assert withdrawal.unshare_again(states, store) == [each.name for each in again]
    with states.reading() as tx:
        assert state.unshared.all(tx) == [*known, *again]
    states.close()
    store.close()
