"""The messages of `join` when a leader refuses, and for a code that was pasted before."""

from datetime import timedelta
from pathlib import Path

import pytest

from karma_sync.domain.team.invite import MENDABLE, Joining, JoinStatus, Refusal
from karma_sync.domain.team.invite_code import InviteCode
from karma_sync.domain.team.knock import PROOFS
from karma_sync.errors import BadInput, Conflict
from karma_sync.service import joining
from karma_sync.signing import code_keys
from karma_sync.store import state
from karma_sync.store.database import Database
from tests.support.builders import ALICE, BOB, NOW, code_of, device_of, key_of, team_of_all

TEAM = team_of_all(ALICE)
ME = code_of(BOB)


def code(secret: bytes = b"s" * 16, leader: str = ALICE) -> InviteCode:
    expires = NOW + timedelta(hours=1)
    return InviteCode(TEAM.id, device_of(leader), key_of(leader).public, secret, expires)


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return state.open_state(tmp_path / "state.db")


def refused(why: Refusal) -> Joining:
    return Joining.by(code(), code_keys(b"s" * 16), NOW).be_refused(why, "bob.tower-2")


@pytest.mark.parametrize("why", Refusal)
def test_every_refusal_says_what_happened_and_what_to_do(why: Refusal) -> None:
    error = joining.refused(refused(why))

    assert len(str(error)) > 10
    assert error.hint
    assert why is not Refusal.TAG_TAKEN or "--machine tower-2" in error.hint


@pytest.mark.parametrize("why", Refusal)
def test_the_keys_stay_only_where_another_request_may_succeed(why: Refusal) -> None:
    kept = refused(why)

    assert bool(kept.knock_key and kept.admission_key) is (why in MENDABLE)


def test_a_code_goes_on_where_it_was_pasted_before(store: Database) -> None:
    first = joining.begin(store, ME, code(), NOW)
    joining.agree(store, first)

    again = joining.begin(store, ME, code(), NOW + timedelta(days=2))
    assert (again.id, again.agreed) == (first.id, True)


def test_a_cancelled_code_can_be_pasted_again(store: Database) -> None:
    joining.cancel(store, joining.begin(store, ME, code(), NOW))
    with store.reading() as tx:
        (cancelled,) = state.joinings.all(tx)
    assert (cancelled.status, cancelled.knock_key) == (JoinStatus.CANCELLED, "")

    again = joining.begin(store, ME, code(), NOW)
    assert (again.is_open, bool(again.knock_key), again.agreed) == (True, True, False)


def test_an_own_an_expired_and_a_code_of_a_team_of_mine_are_told_apart(store: Database) -> None:
    with pytest.raises(BadInput, match="your own"):
        joining.begin(store, ME, code(leader=BOB), NOW)
    with pytest.raises(Conflict, match="expired"):
        joining.begin(store, ME, code(), NOW + timedelta(hours=1))
    with store.transaction() as tx:
        state.teams.put(tx, TEAM)
    with pytest.raises(Conflict, match="already"):
        joining.begin(store, ME, code(), NOW)


def test_so_many_codes_can_wait_as_a_name_holds_proofs(store: Database) -> None:
    for number in range(PROOFS):
        joining.begin(store, ME, code(bytes([number]) * 16), NOW)

    with pytest.raises(Conflict, match="wait for"):
        joining.begin(store, ME, code(b"x" * 16), NOW)
