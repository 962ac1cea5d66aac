"""A newcomer joins by a roster that leads through the maker of its code, and by no other."""

from pathlib import Path

import pytest

from karma_sync.domain.team.invitation import Answer, Invitation, Pairing
from karma_sync.domain.team.invite import Joining
from karma_sync.domain.team.invite_code import InviteCode
from karma_sync.domain.team.member import How
from karma_sync.domain.team.team import Team
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import PayloadType, SigningKey, code_keys
from karma_sync.store import events, state, work
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.folder import prepare
from karma_sync.team.documents.models import roster_of
from karma_sync.team.documents.term import begin_term
from karma_sync.team.join import Joiner
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
    team_of_all,
)

A, B, C, M = (key_of(tag) for tag in (ALICE, BOB, CAROL, MALLORY))
TEAM = team_of_all(ALICE, BOB, CAROL, MALLORY)
CAROLS = begin_term(A, TEAM, C.public, ())
MALLORYS = begin_term(A, TEAM, M.public, ())
"""Alice signed two ways on; Bob has a code of Carol's."""
HANDED_ON = begin_term(C, CAROLS, M.public, ())


def put_roster(folder: Path, team: Team, signer: SigningKey) -> None:
    """Have a team's roster, signed with this key, in its metadata folder."""
    prepare(folder)
    raw = signer.sign(PayloadType.ROSTER, roster_of(team, 5).model_dump_json().encode())
    place = folder / "roster" / f"{signer.public}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(raw)


@pytest.mark.parametrize(
    ("team", "signer", "joins"),
    [
        (CAROLS, C, True),
        (HANDED_ON, M, True),  # Carol, whose code it is, made Mallory the leader
        (MALLORYS, M, False),
        (TEAM, A, False),  # from before Carol led
    ],
)
def test_a_roster_is_taken_if_the_maker_of_the_code_led_the_team(
    tmp_path: Path, team: Team, signer: SigningKey, joins: bool
) -> None:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    context = TeamContext(store, paths, code_of(BOB), B, EventLog(log, lambda: NOW), lambda: NOW)
    secret = b"the secret of it"
    code = InviteCode(TEAM.id, device_of(CAROL), C.public, secret, NOW)
    folder = metadata_folder(TEAM.id)
    known = Invitation(folder=folder, device=device_of(CAROL), seen=NOW, answer=Answer.ACCEPTED)
    with store.transaction() as tx:
        state.joinings.put(tx, Joining.by(code, code_keys(secret), NOW).agree())
        state.invitations.put(tx, known)
    put_roster(paths.folder(folder), team, signer)

    Joiner(context).process(known)

    with store.reading() as tx:
        assert (state.teams.get(tx, TEAM.id) is not None) == joins
    with log.reading() as tx:
        refused = [e.payload for e in events.after(tx, 0) if e.bad]
    assert ["never led this team" in each for each in refused] == ([] if joins else [True])


STRANGERS = team_of_all(ALICE, CAROL)
LEFT = TEAM.leave(B.public, NOW_MS, retracted=False)
BOB_WAS_IN_IT = state.Former(
    team=TEAM.id, name=TEAM.name, how=How.LEFT, at=NOW, key=B.public, incarnation=0
)


@pytest.mark.parametrize(
    ("team", "known", "why"),
    [
        (STRANGERS, [], ["4-member: the roster does not list me"]),
        (LEFT, [], ["4-member: the roster does not list me"]),
        (LEFT, [BOB_WAS_IN_IT], []),  # he knows, and sees that the others do
        (TEAM, [BOB_WAS_IN_IT], ["6-newer: it is from before you left"]),
    ],
)
def test_a_roster_without_me_is_no_invitation_and_is_refused_unless_i_know_that_i_left(
    tmp_path: Path, team: Team, known: list[state.Former], why: list[str]
) -> None:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    context = TeamContext(store, paths, code_of(BOB), B, EventLog(log, lambda: NOW), lambda: NOW)
    folder = metadata_folder(team.id)
    offered = Invitation(folder=folder, device=device_of(ALICE), seen=NOW)
    with store.transaction() as tx:
        state.invitations.put(tx, offered)
        state.formers.put(tx, *known)
    put_roster(paths.folder(folder), team, A)

    Joiner(context).process(offered)

    with store.reading() as tx:
        assert state.teams.all(tx) == []
        assert [each.ready for each in state.invitations.all(tx)] == [False]
    with log.reading() as tx:
        assert [e.payload for e in events.after(tx, 0) if e.bad] == why


def test_an_invitation_that_came_before_the_pairing_is_accepted_too(tmp_path: Path) -> None:
    paths = Paths.inside(tmp_path)
    paths.create()
    store, log = state.open_state(paths.state_db), work.open_work(paths.work_db)
    context = TeamContext(store, paths, code_of(BOB), B, EventLog(log, lambda: NOW), lambda: NOW)
    folder = metadata_folder(TEAM.id)
    with store.transaction() as tx:
        state.invitations.put(tx, Invitation(folder=folder, device=device_of(ALICE), seen=NOW))
    put_roster(paths.folder(folder), TEAM, A)
    joiner = Joiner(context)

    def look() -> list[Team]:
        with store.reading() as tx:
            waiting = state.invitations.all(tx)
        for each in waiting:
            joiner.process(each)
        with store.reading() as tx:
            return state.teams.all(tx)

    assert look() == []
    with store.transaction() as tx:
        state.pairings.put(tx, Pairing.by(code_of(ALICE), NOW))
    assert [team.id for team in look()] == [TEAM.id]
