"""Guests: who shares what with them, and what a reader does that does not know them."""

from pathlib import Path

import pytest

from karma_sync.domain.mesh.channels import World, channels
from karma_sync.domain.mesh.plan import desired
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput
from karma_sync.paths import is_metadata_folder
from karma_sync.service.setup import require_known_name
from karma_sync.signing import PayloadType
from karma_sync.store import state
from karma_sync.team.documents.models import Roster, roster_of, team_of
from karma_sync.team.documents.term import order_of
from karma_sync.team.documents.verify import verify_roster
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW_MS,
    PROJECT,
    answer,
    code_of,
    device_of,
    key_of,
    team_of_all,
)

OTHER = "example.org/acme/other"
GUEST = key_of(CAROL).public
TEAM = (
    team_of_all(ALICE, BOB, projects=(PROJECT, OTHER))
    .add(code_of(CAROL), NOW_MS, (PROJECT,))
    .activate(GUEST, ())
)


def world(key: str, team: Team) -> World:
    """A world in which everybody sends and receives both projects, as far as they say."""
    said = [
        answer(team, tag, project=project)
        for tag in (ALICE, BOB, CAROL)
        for project in (PROJECT, OTHER)
    ]
    return World(key=key, teams=(team,), subscriptions=tuple(said))


def test_a_guest_is_in_the_lists_of_its_projects_and_of_the_documents_alone() -> None:
    here = world(key_of(ALICE).public, TEAM)
    with_guest = {f.id for f in desired(here).folders if device_of(CAROL) in f.devices}
    of_project = {c.id for c in channels(here) if c.project == PROJECT}

    assert {f for f in with_guest if not is_metadata_folder(f)} == of_project
    assert sum(map(is_metadata_folder, with_guest)) == 1


def test_nobody_receives_from_a_guest_whatever_it_says() -> None:
    assert {c.owner.tag for c in channels(world(key_of(BOB).public, TEAM))} == {ALICE, BOB}


def test_a_guest_knows_its_projects_only() -> None:
    seen = TEAM.seen_by(GUEST)

    assert [p.identity for p in seen.projects] == [PROJECT]
    assert TEAM.seen_by(key_of(BOB).public) is TEAM
    receiving = answer(TEAM, CAROL, direction=Direction.RECEIVE)
    here = World(
        key=GUEST, teams=(seen,), subscriptions=(*world("", seen).subscriptions, receiving)
    )
    assert {c.project for c in channels(here)} == {PROJECT}


def test_a_reader_that_knows_no_guests_shares_nothing_with_them() -> None:
    envelope = key_of(ALICE).sign(PayloadType.ROSTER, roster_of(TEAM, 5).model_dump_json().encode())
    roster = verify_roster(envelope, key_of(ALICE).public, None).value
    fields = roster.to_fields()
    assert [g["tag"] for g in fields["guests"]] == [CAROL]

    del fields["guests"]  # which such a reader ignores
    ignorant = Roster.from_fields(fields)
    plan = desired(world(key_of(BOB).public, team_of(ignorant, order_of(ignorant), None)))
    assert all(device_of(CAROL) not in folder.devices for folder in plan.folders)
    assert device_of(CAROL) not in {device.id for device in plan.devices}


def test_a_guest_goes_by_the_name_that_its_team_knows(tmp_path: Path) -> None:
    store = state.open_state(tmp_path / "state.db")
    with store.transaction() as tx:
        state.teams.put(tx, TEAM)
    other = PairingCode("carol.other", device_of(CAROL), GUEST, ())

    require_known_name(store, code_of(CAROL), tmp_path)
    with pytest.raises(BadInput, match=f"knows you as {CAROL}"):
        require_known_name(store, other, tmp_path)
    store.close()
