"""A member leaves its team for the leader's signed notice alone, whoever offers the folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import desired
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.member import How, Removal
from karma_sync.domain.team.team import Team
from karma_sync.paths import Paths, removal_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import state, work
from karma_sync.store.database import Database
from karma_sync.store.world import read_world
from karma_sync.team.context import TeamContext
from karma_sync.team.departures import ACKNOWLEDGED, NOTICE, Departures, LeaveTerms, leave
from karma_sync.team.documents.folder import prepare
from karma_sync.team.documents.models import roster_of, team_of
from karma_sync.team.documents.term import begin_term, order_of
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    NOW,
    NOW_MS,
    code_of,
    device_of,
    key_of,
    member_of,
    refusals,
    team_of_all,
)

A, B, C, M = (key_of(tag) for tag in (ALICE, BOB, CAROL, MALLORY))
TEAM = team_of_all(ALICE, BOB, CAROL)
NAMED = begin_term(A, TEAM, A.public, (C.public,))
TAKEN = begin_term(C, NAMED, C.public, ())
"""Carol took over from Alice."""
LED_ON = begin_term(A, begin_term(A, NAMED, A.public, ()), A.public, (M.public,))
"""Alice went on to lead, and named others than Carol."""


@dataclass(frozen=True)
class Bob:
    """Bob's machine, to which a folder with a notice is offered."""

    context: TeamContext
    log: Database
    folder: Path

    def hears(self, content: bytes) -> bool:
        """Whether Bob takes a file for the notice of his removal."""
        (self.folder / NOTICE).write_bytes(content)
        Departures(self.context).run()
        with self.context.store.reading() as tx:
            return state.teams.get(tx, TEAM.id) is None

    def refusals(self) -> list[str]:
        return refusals(self.log)

    def offers(self, after: timedelta) -> list[state.RemovalOffer]:
        """The folders that Bob still has after another look, so long after the first ones."""
        Departures(replace(self.context, now=lambda: NOW + after)).run()
        with self.context.store.reading() as tx:
            return state.removals.all(tx)


@pytest.fixture
def bob(tmp_path: Path) -> Iterator[Bob]:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    context = TeamContext(store, paths, code_of(BOB), B, EventLog(log, lambda: NOW), lambda: NOW)
    folder = removal_folder(TEAM.id, B.public, 0)
    prepare(paths.folder(folder))
    device = Device(code_of(CAROL).device, CAROL, ("dynamic",))
    with store.transaction() as tx:
        state.teams.put(tx, TAKEN)
        offer = state.RemovalOffer(folder=folder, team=TEAM.id, incarnation=0, devices=(device,))
        state.removals.put(tx, offer)
    yield Bob(context, log, paths.folder(folder))
    store.close()
    log.close()


def notice(signer: SigningKey, by: Team = TAKEN, **changes: Any) -> bytes:
    """The file of a notice that `signer` signed, with changes in the notice."""
    body = {
        "format": 1,
        "team": TEAM.id,
        "writer": signer.public,
        "member": B.public,
        "incarnation": 0,
        "at": 1,
        "on_removal": AfterRemoval.PURGE.value,
    }
    envelope = signer.sign(PayloadType.REMOVAL, json.dumps(body | changes).encode()).decode()
    return file(by, notice=envelope)


def file(team: Team, **changes: Any) -> bytes:
    fields = {
        "format": 1,
        "founder": team.founder,
        "founded_as": team.founded_as,
        "nonce": team.nonce,
        "chain": list(team.chain),
    }
    return json.dumps(fields | changes).encode()


def test_the_notice_of_the_leader_ends_a_membership_and_is_acknowledged(bob: Bob) -> None:
    assert bob.hears(notice(C))

    with bob.context.store.reading() as tx:
        [former] = state.formers.all(tx)
    assert (former.how, former.purge_at) == (How.REMOVED, NOW)
    assert (bob.folder / ACKNOWLEDGED).exists()
    assert bob.refusals() == []


@pytest.mark.parametrize("by", [TAKEN, begin_term(C, TAKEN, C.public, (M.public,))])
def test_who_took_over_is_heard_by_a_member_that_knows_later_terms_of_the_old_leader(
    bob: Bob, by: Team
) -> None:
    with bob.context.store.transaction() as tx:
        state.teams.put(tx, LED_ON)

    assert bob.hears(notice(C, by))


def test_what_was_received_is_kept_if_the_leader_says_so(bob: Bob) -> None:
    assert bob.hears(notice(C, on_removal="keep"))

    with bob.context.store.reading() as tx:
        assert state.formers.all(tx)[0].purge_at is None


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (notice(M), "3-signature"),
        (notice(B), "3-signature"),
        (notice(A, TEAM), "6-newer"),  # of a leader who leads no longer, in an earlier term
        (notice(A, LED_ON), "6-newer"),  # with more terms, but the take-over beats them
        (notice(C, member=M.public), "5-team"),
        (notice(C, team="x" * 26), "5-team"),
        (notice(C, incarnation=7), "6-newer"),
        (notice(C, writer=A.public), "4-signer"),
        (notice(C, on_removal="burn"), "3-form"),
        (notice(M, TEAM.changed(founder=M.public)), "5-team"),
        (notice(M, TAKEN.changed(chain=(*TAKEN.chain, "x"))), "3-envelope"),
        (file(TAKEN, notice=TAKEN.chain[0]), "3-type"),
        (b'{"notice": "a", "notice": "b"}', "3-form"),
        (b"[" * 100_000, "3-form"),
        (b"x" * 300_000, "2-size"),
    ],
)
def test_a_forged_notice_ends_nothing_and_is_named_once(bob: Bob, forged: bytes, code: str) -> None:
    assert not bob.hears(forged)
    assert not bob.hears(forged)

    assert bob.refusals() == [code]
    assert not (bob.folder / ACKNOWLEDGED).exists()


def test_the_folder_of_a_notice_that_is_refused_goes_after_an_hour(bob: Bob) -> None:
    outdated = notice(A, NAMED)
    assert not bob.hears(outdated)
    assert bob.offers(timedelta(minutes=59))
    assert not bob.offers(timedelta(minutes=61))
    assert bob.refusals() == ["6-newer"]


def test_a_notice_that_counts_is_heard_in_the_place_of_a_refused_one(bob: Bob) -> None:
    assert not bob.hears(notice(A, NAMED))
    assert bob.hears(notice(C))
    assert bob.offers(timedelta(minutes=61))


def test_a_link_in_place_of_a_notice_is_not_followed(bob: Bob, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(notice(C))
    (bob.folder / NOTICE).symlink_to(target)
    Departures(bob.context).run()

    with bob.context.store.reading() as tx:
        assert state.teams.get(tx, TEAM.id) is not None


@pytest.mark.parametrize("keep", [True, False])
def test_who_leaves_ends_its_answers_and_remembers_the_team(bob: Bob, keep: bool) -> None:
    with bob.context.store.transaction() as tx:
        left = leave(tx, TAKEN, B.public, LeaveTerms(NOW, retracted=True, keep=keep))
        [former] = state.formers.all(tx)
        assert state.subscriptions.all(tx, member=B.public) == []

    gone = left.former(B.public)
    assert gone is not None
    assert gone.removal is not None
    assert (gone.removal.how, gone.removal.retracted) == (How.LEFT, True)
    assert (former.purge_at is None) is keep


@pytest.mark.parametrize("teller", [ALICE, BOB])
def test_the_leader_and_the_others_dial_a_removed_member_that_waits_to_be_dialled(
    bob: Bob, teller: str
) -> None:
    carol = member_of(CAROL, "tcp://10.0.0.3:22000")
    team = TEAM.changed(members=(member_of(ALICE), member_of(BOB), carol))
    without = team.remove(carol, Removal(how=How.REMOVED, at=NOW_MS))
    told = without.noting(C.public, notice="signed by Alice")
    if teller != ALICE:  # the others have it from the roster
        roster = roster_of(told, 1)
        told = team_of(roster, order_of(roster), team)
    with bob.context.store.transaction() as tx:
        state.teams.put(tx, told)
        world = read_world(tx, code_of(teller), NOW, discovery=False)

    assert Device(device_of(CAROL), CAROL, carol.addresses) in desired(world).devices
    # but not while it dials
    dialling = replace(world, answered=frozenset({device_of(CAROL)}))
    assert Device(device_of(CAROL), CAROL, ("dynamic",)) in desired(dialling).devices
