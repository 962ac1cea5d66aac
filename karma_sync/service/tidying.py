"""Deletes from outboxes the chunks that nothing names any more."""

import logging
from collections.abc import Callable, Mapping

from karma_sync.channel.outbox import Outbox
from karma_sync.domain.mesh.channels import Channel
from karma_sync.errors import NotWritable
from karma_sync.store import work
from karma_sync.store.database import Database

log = logging.getLogger(__name__)
_KEEP_DROPPED_MS = 24 * 3600 * 1000


def remove_dropped(
    store: Database,
    boxes: Mapping[str, tuple[Channel, Outbox]],
    covers: Callable[[Channel], bool],
    now_ms: int,
) -> None:
    """Delete chunks once no receiver needs them (`covers` says so); after 24 hours in any case."""
    with store.reading() as tx:
        dropped = [each for each in work.chunks_dropped_before(tx, now_ms + 1) if each[0] in boxes]
        old = set(work.chunks_dropped_before(tx, now_ms - _KEEP_DROPPED_MS))
    over = {folder for folder in {folder for folder, _ in dropped} if covers(boxes[folder][0])}
    for folder, sha in dropped:
        if folder not in over and (folder, sha) not in old:
            continue
        try:
            boxes[folder][1].remove_chunk(sha)
        except NotWritable as error:
            log.warning("%s; the next pass tries again", error)
            continue
        with store.transaction() as tx:
            work.keep_chunks(tx, folder, [sha])
