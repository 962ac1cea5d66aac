"""A person's answer to a request with an invitation code is to the request that was shown."""

from pathlib import Path

import pytest

from karma_sync.domain.team.invite import Door, DoorStatus, InviteStatus
from karma_sync.errors import Conflict, IllegalMove
from karma_sync.service import membership
from karma_sync.service.invites import InviteTerms, all_invites, answer_request, create
from karma_sync.store import state
from karma_sync.store.state import open_state
from tests.support.builders import ALICE, BOB, NOW, code_of, device_of, key_of, team_of_all

OTHER = "mallory.box"


def door(tag: str, folder: str, device: str, request: str) -> Door:
    return Door(
        folder=folder,
        invite="abc",
        device=device,
        name=tag,
        seen=NOW,
        status=DoorStatus.ASKING,
        request=request,
        tag=tag,
        key=key_of(tag).public,
    )


def test_a_yes_goes_to_the_request_that_was_shown_although_another_device_has_its_id(
    tmp_path: Path,
) -> None:
    store = open_state(tmp_path / "state.db")
    group = device_of(BOB).partition("-")[0]
    alike = "-".join([group, *device_of(OTHER).split("-")[1:]])
    bob = door(BOB, "door-2", device_of(BOB), "bobs")
    other = door(OTHER, "door-1", alike, "others")
    assert bob.id == other.id
    with store.transaction() as tx:
        state.doors.put(tx, other, bob)

    answer_request(store, bob, agreed=True)

    with store.reading() as tx:
        consents = {each.tag: each.consent for each in state.doors.all(tx)}
    assert bool(consents[BOB])
    assert not consents[OTHER]


def test_a_yes_to_a_request_that_changed_meanwhile_answers_nothing(tmp_path: Path) -> None:
    store = open_state(tmp_path / "state.db")
    shown = door(BOB, "door-1", device_of(BOB), "first")
    with store.transaction() as tx:
        state.doors.put(tx, shown.changed(request="second", tag=OTHER))

    with pytest.raises(Conflict, match="another one by now"):
        answer_request(store, shown, agreed=True)

    with store.reading() as tx:
        assert all(each.waits for each in state.doors.all(tx))


def test_nobody_is_invited_to_a_dissolved_team_and_its_codes_are_taken_back(tmp_path: Path) -> None:
    store, me = open_state(tmp_path / "state.db"), code_of(ALICE)
    team, other = team_of_all(ALICE), team_of_all(ALICE, name="other")
    with store.transaction() as tx:
        state.teams.put(tx, team, other)
    create(store, me, team, InviteTerms(), NOW)
    create(store, me, other, InviteTerms(), NOW)

    membership.dissolve(store, me, team.id, NOW)

    stand = {known.team: known.invite for known in all_invites(store)}
    assert (stand[team.name].status, stand[team.name].admission_key) == (InviteStatus.REVOKED, "")
    assert stand["other"].status is InviteStatus.OPEN
    with pytest.raises(IllegalMove, match="dissolved"):
        create(store, me, team, InviteTerms(), NOW)
    assert {known.invite.id for known in all_invites(store)} == {i.id for i in stand.values()}
