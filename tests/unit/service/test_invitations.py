"""The contacts and invitations in the inbox, from a database alone."""

from pathlib import Path

import pytest

from karma_sync.domain.team.invitation import Answer, Contact, Invitation
from karma_sync.errors import Conflict
from karma_sync.paths import metadata_folder
from karma_sync.service.invitations import answer, inbox, newcomer, remember_shown
from karma_sync.store import state
from tests.support.builders import ALICE, BOB, CAROL, NOW, code_of, member_of


def test_a_contact_that_was_accepted_is_awaited_until_its_invitation_comes(tmp_path: Path) -> None:
    store = state.open_state(tmp_path / "state.db")
    device = member_of(BOB).device
    contact = Contact(device=device, name=BOB, seen=NOW)
    with store.transaction() as tx:
        state.contacts.put(tx, contact)
    assert inbox(store, code_of(ALICE), NOW).contacts == [contact]
    assert inbox(store, code_of(ALICE), NOW).awaited == ()

    accepted = contact.answered("accept")
    with store.transaction() as tx:
        state.contacts.put(tx, accepted)
    assert inbox(store, code_of(ALICE), NOW).contacts == []
    assert inbox(store, code_of(ALICE), NOW).awaited == (accepted,)

    invitation = Invitation(folder=metadata_folder("a" * 26), device=device, seen=NOW)
    assert invitation.answer is Answer.PENDING
    with store.transaction() as tx:
        state.invitations.put(tx, invitation)
    assert inbox(store, code_of(ALICE), NOW).awaited == ()
    assert inbox(store, code_of(ALICE), NOW).fetching == 1


def test_what_was_shown_is_what_is_accepted(tmp_path: Path) -> None:
    store = state.open_state(tmp_path / "state.db")
    contact = Contact(device=member_of(BOB).device, name=BOB, seen=NOW, key="aa")
    changed = contact.changed(name=ALICE, key="bb")
    with store.transaction() as tx:
        state.contacts.put(tx, contact)
    remember_shown(store, inbox(store, code_of(CAROL), NOW).to_answer)
    with store.transaction() as tx:
        state.contacts.put(tx, changed)

    for accepting in (
        lambda: answer(store, code_of(CAROL), contact.id, "accept", NOW),
        lambda: newcomer(store, contact.id),
    ):
        with pytest.raises(Conflict, match="not what you were shown"):
            accepting()
    assert inbox(store, code_of(CAROL), NOW).contacts == [changed]

    remember_shown(store, inbox(store, code_of(CAROL), NOW).to_answer)
    assert answer(store, code_of(CAROL), contact.id, "accept", NOW) == changed.answered("accept")


def test_an_invitation_whose_leader_changed_is_shown_again_first(tmp_path: Path) -> None:
    store = state.open_state(tmp_path / "state.db")
    folder, device = metadata_folder("a" * 26), member_of(BOB).device
    shown = Invitation(
        folder=folder, device=device, seen=NOW, team="a" * 26, leader_tag=BOB, leader_key="aa"
    )
    with store.transaction() as tx:
        state.invitations.put(tx, shown)
    remember_shown(store, inbox(store, code_of(CAROL), NOW).to_answer)
    with store.transaction() as tx:
        state.invitations.put(tx, shown.changed(leader_tag=ALICE, leader_key="bb"))

    with pytest.raises(Conflict, match="not what you were shown"):
        answer(store, code_of(CAROL), shown.id, "accept", NOW)
    declined = answer(store, code_of(CAROL), shown.id, "decline", NOW)
    assert isinstance(declined, Invitation)
    assert declined.answer is Answer.DECLINED
