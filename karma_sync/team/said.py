"""What others' receipts say of a channel of mine; they are read only where there are some."""

from typing import TYPE_CHECKING

from karma_sync.domain.team.team import Team
from karma_sync.store import work
from karma_sync.store.database import Database

if TYPE_CHECKING:
    from karma_sync.team.documents.receipt import ChannelReceipt, Receipt


def said_of(store: Database, team: Team, folder: str) -> "dict[str, ChannelReceipt]":
    """By member tag: what its newest receipt says of a channel."""
    found = {}
    with store.reading() as tx:
        receipts = work.receipts_of(tx, team.id)
    for signed in receipts:
        member = team.member(signed.writer)
        said = read(signed).of(folder) if member else None
        if member and said:
            found[member.tag] = said
    return found


def read(signed: work.SignedReceipt) -> "Receipt":
    """A receipt that was accepted before."""
    from karma_sync.signing import PayloadType, accepted
    from karma_sync.team.documents.receipt import Receipt

    return accepted(signed.envelope, signed.writer, PayloadType.RECEIPT, Receipt)
