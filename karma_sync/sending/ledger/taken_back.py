"""Notes in my answers which items I took back: my document tells of them when a channel is closed.

While a channel is open, its retractions tell the receivers. Who was away until it was closed finds
no channel any more.
"""

from karma_sync.domain.mesh.channels import Channel
from karma_sync.store import ledger, state
from karma_sync.store.database import Database


def note_taken_back(states: Database, store: Database, channel: Channel) -> bool:
    """Have my answer name the items of this channel that the ledger knows as withdrawn.

    `states` is state.db, `store` is work.db. Writes nothing if it names them already. Returns
    whether it wrote, so that my document is to be signed.
    """
    with store.reading() as tx:
        rows = ledger.departed.all(tx, folder=channel.id)
    gone = [item for _, item in sorted((r.withdrawn, r.item) for r in rows if r.withdrawn)]
    if not gone and not channel.subscription.retracted:
        return False
    out = {row.item for row in rows if not row.withdrawn}
    place = channel.team.id, channel.project, channel.owner.key
    with states.reading() as tx:
        mine = state.subscriptions.get(tx, *place)
    if mine is None or mine == mine.retracting(gone, out):
        return False
    with states.transaction() as tx:
        fresh = state.subscriptions.get(tx, *place)
        if fresh and fresh.incarnation == channel.subscription.incarnation:
            state.subscriptions.put(tx, fresh.retracting(gone, out))
    return True
