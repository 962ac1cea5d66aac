"""Adopts the last document of a member that left or was removed: it tells what it took back."""

from karma_sync.domain.team.team import Team
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.documents.answers import answers_of
from karma_sync.team.documents.models import MemberDocument
from karma_sync.team.documents.stored import MEMBER
from karma_sync.team.documents.verify import verify_last


def adopt_last(tx: Transaction, team: Team, writer: str, raw: bytes) -> None:
    """Adopt what a former member said last, in the time that its removal ended.

    Raises:
        Unverified: it does not verify. Nothing was written.
    """
    known = state.get_document(tx, team.id, MEMBER, writer)
    if known and known.envelope == raw:
        return
    document = verify_last(raw, writer, team, known.version if known else 0).value
    state.put_document(
        tx,
        state.Document(
            team=team.id, kind=MEMBER, writer=writer, version=document.version, envelope=raw
        ),
    )
    replace_answers(tx, document)
    gone = team.former(writer)
    if gone and document.retracted:
        state.teams.put(tx, team.retract(gone))


def replace_answers(tx: Transaction, document: MemberDocument) -> None:
    """Have the answers in a verified document in the place of those that its writer gave before."""
    state.subscriptions.drop(tx, team=document.team, member=document.writer)
    state.subscriptions.put(tx, *answers_of(document))
