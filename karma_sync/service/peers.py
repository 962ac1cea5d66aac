"""The connections of other members to this machine: who is connected, and since when."""

from collections.abc import Iterable

from karma_sync.domain.team.member import Member
from karma_sync.service.status_model import Peer
from karma_sync.store import work
from karma_sync.store.database import Database


def peers(store: Database, members: Iterable[Member], *, is_up: bool) -> dict[str, Peer]:
    """These members by key; nobody is connected while the daemon is not up (`is_up`)."""
    with store.reading() as tx:
        links = {link.device: link for link in work.links.all(tx)}
    return {
        m.key: Peer(m, bool(is_up and link and link.connected), link.last_seen if link else None)
        for m in members
        for link in [links.get(m.device)]
    }
