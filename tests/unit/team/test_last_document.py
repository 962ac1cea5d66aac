"""The last document of a removed member counts for its own items alone, and only if signed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from karma_sync.domain.team.member import How, Removal
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.paths import Paths, metadata_folder, removal_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import state, work
from karma_sync.store.database import Database
from karma_sync.team.context import TeamContext
from karma_sync.team.departures import ACKNOWLEDGED, LAST, Departures
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.folder import prepare
from karma_sync.team.documents.term import Acknowledgement
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    answer,
    code_of,
    key_of,
    member_of,
    refusals,
    team_of_all,
)

B, C = key_of(BOB), key_of(CAROL)
BEFORE = team_of_all(ALICE, BOB, CAROL)
TEAM = BEFORE.remove(member_of(BOB), Removal(how=How.REMOVED, at=1)).noting(
    B.public, notice="signed by Alice"
)
DECLINED = answer(BEFORE, BOB, Status.ACCEPTED).decline()


def last(version: int, *answers: Subscription, key: SigningKey = B, **changes: Any) -> bytes:
    """Bob's document of this version, with changes, signed by `key`."""
    document = member_document(BEFORE, code_of(BOB), answers, version)
    changed = document.model_copy(update=changes)
    return key.sign(PayloadType.MEMBER, changed.model_dump_json().encode())


@dataclass(frozen=True)
class Teller:
    """Alice, who tells Bob of his removal."""

    context: TeamContext
    log: Database
    folder: Path

    def is_told(self, named: int, document: bytes | None, key: SigningKey = B) -> bool:
        """Whether Alice takes Bob for told, after he names a version and puts a document there."""
        told = Acknowledgement(team=TEAM.id, writer=B.public, incarnation=0, last=named)
        envelope = key.sign(PayloadType.ACKNOWLEDGEMENT, told.model_dump_json().encode())
        (self.folder / ACKNOWLEDGED).write_bytes(envelope)
        if document is not None:
            (self.folder / LAST).write_bytes(document)
        Departures(self.context).run()
        gone = self.team().former(B.public)
        return gone is not None and gone.removal is not None and gone.removal.told

    def team(self) -> Team:
        with self.context.store.reading() as tx:
            [team] = state.teams.all(tx)
        return team

    def answers(self) -> list[Subscription]:
        with self.context.store.reading() as tx:
            return state.subscriptions.all(tx, member=B.public)

    def passed_on(self) -> bytes | None:
        path = self.context.paths.folder(metadata_folder(TEAM.id)) / "member" / f"{B.public}.json"
        return path.read_bytes() if path.exists() else None

    def refusals(self) -> list[str]:
        return refusals(self.log)


@pytest.fixture
def alice(tmp_path: Path) -> Iterator[Teller]:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    key, events_of = key_of(ALICE), EventLog(log, lambda: NOW)
    context = TeamContext(store, paths, code_of(ALICE), key, events_of, lambda: NOW)
    folder = paths.folder(removal_folder(TEAM.id, B.public, 0))
    prepare(folder)
    with store.transaction() as tx:
        state.teams.put(tx, TEAM)
        state.subscriptions.put(tx, answer(BEFORE, BOB), answer(BEFORE, CAROL))
    yield Teller(context, log, folder)
    store.close()
    log.close()


def test_what_was_taken_back_is_adopted_and_passed_on_before_the_notice_ends(
    alice: Teller,
) -> None:
    assert not alice.is_told(7, None), "what it said last is still on its way"
    assert alice.answers() == [answer(BEFORE, BOB)]
    said = last(7, DECLINED)
    assert alice.is_told(7, said)

    [mine] = alice.answers()
    assert (mine.status, mine.is_withdrawn) == (Status.DECLINED, True)
    assert alice.passed_on() == said
    assert alice.refusals() == []


def test_who_was_leaving_takes_back_all_that_it_sent(alice: Teller) -> None:
    assert alice.is_told(7, last(7, left=True, retracted=True))

    gone = alice.team().former(B.public)
    assert gone is not None
    assert alice.team().is_retracted(gone)


def test_who_said_nothing_new_is_told_at_once(alice: Teller) -> None:
    assert alice.is_told(0, None)
    assert alice.passed_on() is None


def test_nothing_that_a_removed_member_says_makes_it_a_member(alice: Teller) -> None:
    assert alice.is_told(7, last(7, answer(BEFORE, BOB)))

    team = alice.team()
    assert team.anybody(B.public) is None
    assert team.leader == key_of(ALICE).public


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        (last(7, DECLINED, key=C), "3-signature"),
        (last(7, DECLINED, writer=C.public), "4-signer"),
        (last(7, DECLINED, team="x" * 26), "5-team"),
        (last(7, DECLINED, incarnation=3), "6-newer"),
        (B.sign(PayloadType.RECEIPT, b"{}"), "3-type"),
        (b"[" * 100_000, "3-envelope"),
        (b"x" * 300_000, "2-size"),
    ],
)
def test_a_forged_last_document_changes_nothing_and_is_named_once(
    alice: Teller, forged: bytes, code: str
) -> None:
    assert not alice.is_told(7, forged)
    assert not alice.is_told(7, forged)

    assert alice.answers() == [answer(BEFORE, BOB)]
    assert alice.passed_on() is None
    assert alice.refusals() == [code]


def test_an_acknowledgement_by_somebody_else_is_refused(alice: Teller) -> None:
    assert not alice.is_told(7, last(7, DECLINED), key=C)
    assert alice.answers() == [answer(BEFORE, BOB)]


def test_a_link_in_place_of_the_last_document_is_not_followed(
    alice: Teller, tmp_path: Path
) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(last(7, DECLINED))
    (alice.folder / LAST).symlink_to(target)

    assert not alice.is_told(7, None)
    assert alice.answers() == [answer(BEFORE, BOB)]
