"""Facts of signed documents, read without the models: kinds, digests, stored receipts.

The models of receipts take 10 ms to load, so they are loaded only if there is a receipt.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from karma_sync.domain.team.team import Team
from karma_sync.store import work
from karma_sync.store.database import Database

if TYPE_CHECKING:
    from karma_sync.team.documents.receipt import ChannelReceipt, Receipt

# The kinds of documents: directories of a metadata folder, and a column in the databases.
ROSTER = "roster"
MEMBER = "member"
RECEIPT = "receipt"


def digest_of(revisions: Mapping[str, int]) -> str:
    """The digest over these items and revisions; two members compare it in receipts."""
    lines = "".join(f"{item} {revision}\n" for item, revision in sorted(revisions.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def receipts_for(store: Database, team: Team, folder: str) -> "dict[str, ChannelReceipt]":
    """By tag, what the newest receipt of a member or guest states about a channel."""
    found = {}
    with store.reading() as tx:
        receipts = work.receipts_of(tx, team.id)
    for signed in receipts:
        member = team.anybody(signed.writer)
        receipt = stored_receipt(signed).of(folder) if member else None
        if member and receipt:
            found[member.tag] = receipt
    return found


def stored_receipt(signed: work.SignedReceipt) -> "Receipt":
    """A receipt that was verified when it was stored."""
    from karma_sync.signing import PayloadType, read_accepted
    from karma_sync.team.documents.receipt import Receipt

    return read_accepted(signed.envelope, signed.writer, PayloadType.RECEIPT, Receipt)
