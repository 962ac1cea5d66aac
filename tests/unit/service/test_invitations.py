"""The contacts and invitations in the inbox, from a database alone."""

from pathlib import Path

from karma_sync.domain.team.invitation import Answer, Contact, Invitation
from karma_sync.paths import metadata_folder
from karma_sync.service.invitations import inbox
from karma_sync.store import state
from tests.support.builders import ALICE, BOB, NOW, code_of, member_of


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
