"""Calls back what has left: withdraws unshared sessions, and has stale items packaged again.

An item is stale if it would leave in another form now: with another redactor, another profile or
another table of records. An item is also packaged again if it holds a kind of file that the
channel's profile no longer takes. This module also deletes the chunks that no manifest names any
more.

It is level-based: it compares what an outbox holds with what it should hold, whatever the cause
of a difference is.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from karma_sync.channel.layout import retraction_name
from karma_sync.channel.outbox import Outbox
from karma_sync.channel.own_items import row_of
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.profile import takes
from karma_sync.domain.session.selection import Unshared, is_named, is_unshared
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import NotWritable
from karma_sync.redact.custom.redactions import OwnRedactor
from karma_sync.sending.packaging.packager import Packager
from karma_sync.store import ledger, work
from karma_sync.store.database import Database, Transaction
from karma_sync.store.ledger import Departed, Recall

log = logging.getLogger(__name__)
# A receiver that collects an older revision needs the chunks of it; without a receipt that covers
# the newer one they stay this long.
_KEEP_DROPPED_MS = 24 * 3600 * 1000


class Recaller:
    """Finds what has to be called back; only the sending thread uses it.

    `now_ms` gives Unix milliseconds.
    """

    def __init__(self, packager: Packager, store: Database, now_ms: Callable[[], int]) -> None:
        self._packager = packager
        self._store = store
        self._now_ms = now_ms
        self._due_items: deque[tuple[str, Departed]] = deque()

    def start_pass(
        self, channel: Channel, outbox: Outbox, unshared: Collection[Unshared]
    ) -> Iterator[str]:
        """Withdraw unshared sessions, and list the stale items; gives the retractions' file names.

        A stale item whose session is sent again in this pass is done; `next_item` gives all, and
        `is_due` tells which of them are still to be packaged again.
        """
        rows = self._take_stock(channel, outbox)
        yield from self._withdraw(channel, outbox, unshared, rows)
        self.finish_recall(channel, outbox)
        others = [each for each in self._due_items if each[0] != channel.id]
        due = [row for row in rows if self._is_due(channel, row)]
        self._due_items = deque([*others, *((channel.id, row) for row in due)])

    def withdraw(
        self, channel: Channel, outbox: Outbox, unshared: Collection[Unshared]
    ) -> Iterator[str]:
        """The part of `start_pass` that needs no redactor: withdraw unshared sessions."""
        with self._store.reading() as tx:
            rows = ledger.departed.all(tx, folder=channel.id)
        found = self._forgotten(channel, outbox, rows)
        if found:
            with self._store.transaction() as tx:
                ledger.departed.put(tx, *found)
        rows += found
        yield from self._withdraw(channel, outbox, unshared, rows)

    def _withdraw(
        self,
        channel: Channel,
        outbox: Outbox,
        unshared: Collection[Unshared],
        rows: Sequence[Departed],
    ) -> Iterator[str]:
        for row in rows:
            held = _is_taken_back(channel, row.item, unshared, (row.agent, row.session))
            if held and (not row.withdrawn or outbox.has_item(row.item)):
                self._packager.retract(channel, row.item, outbox)
                self.delete_dropped_chunks(channel, outbox)
                yield retraction_name(row.item)

    @property
    def has_items(self) -> bool:
        """Whether `next_item` has something."""
        return bool(self._due_items)

    def next_item(self) -> tuple[str, Departed, bool] | None:
        """The next item to check: folder, ledger row, whether it is the last of its folder."""
        if not self._due_items:
            return None
        folder, row = self._due_items.popleft()
        return folder, row, all(name != folder for name, _ in self._due_items)

    def is_due(self, channel: Channel, item: str) -> bool:
        """Whether the outbox still has what another redactor or a larger profile let out."""
        with self._store.reading() as tx:
            row = ledger.departed.get(tx, channel.id, item)
        return row is not None and self._is_due(channel, row)

    def is_held_back(
        self, channel: Channel, session: SourceSession, agent: str, unshared: Collection[Unshared]
    ) -> bool:
        """Whether a session must stay because the person unshared it.

        The person's list decides. If it does not name the session at all, a withdrawal in the
        ledger does, or my document: state.db and intent.json are then older than the withdrawal.
        """
        item = self._packager.item_of(channel, session)
        with self._store.reading() as tx:
            row = ledger.departed.get(tx, channel.id, item)
        # the row was rebuilt from a retraction, which does not name the session
        if row is not None and not row.session:
            with self._store.transaction() as tx:
                fresh = row.changed(session=session.session_id, agent=agent)
                ledger.departed.put(tx, fresh)
        named = agent, session.session_id
        if row is not None and row.withdrawn and not is_named(unshared, *named):
            return True
        return _is_taken_back(channel, item, unshared, named)

    def is_open(self, channel: Channel) -> bool:
        """Whether a recall of this channel is not finished."""
        with self._store.reading() as tx:
            recall = ledger.get_recall(tx, channel.id)
        return recall is not None and not recall.swept

    def delete_dropped_chunks(self, channel: Channel, outbox: Outbox) -> None:
        """Delete at once the chunks that no manifest names any more.

        Only chunks without secrets wait for receipts (see `delete_unneeded_chunks`).
        """
        with self._store.reading() as tx:
            dropped = work.chunks_dropped_before(tx, self._now_ms() + 1)
        self._remove(channel, outbox, {sha for folder, sha in dropped if folder == channel.id})

    def finish_recall(self, channel: Channel, outbox: Outbox) -> None:
        """End a recall if no item is stale: delete every chunk that no item names."""
        with self._store.reading() as tx:
            recall = ledger.get_recall(tx, channel.id)
            if recall is None or recall.swept:
                return
            rows = ledger.departed.all(tx, folder=channel.id)
            named = ledger.named_chunks(tx, channel.id, outbox.items())
        if any(self._is_stale(channel, row) for row in rows):
            return
        self._remove(channel, outbox, outbox.chunks() - named)
        with self._store.transaction() as tx:
            ledger.put_recall(tx, recall.finished())

    def _take_stock(self, channel: Channel, outbox: Outbox) -> list[Departed]:
        """The ledger rows of a channel, completed from the outbox where a database was lost.

        Starts a recall if another redactor passed an item that no recall covers yet.
        """
        with self._store.reading() as tx:
            rows = ledger.departed.all(tx, folder=channel.id)
            recall = ledger.get_recall(tx, channel.id)
            last = work.last_revision(tx, channel.id)
        found = self._forgotten(channel, outbox, rows)
        rows += found
        known = 0 if recall is None or recall.swept else recall.through
        recalls = any(self._is_stale(channel, row) and row.revision > known for row in rows)
        if found or recalls:
            through = max((last, *(row.revision for row in rows)))
            with self._store.transaction() as tx:
                ledger.departed.put(tx, *found)
                if recalls:
                    now = self._now_ms()
                    ledger.put_recall(tx, Recall(channel.id, through, now, swept=False))
                elif recall is None and isinstance(self._packager.redactor, OwnRedactor):
                    self._remember_recall(tx, channel, rows)
        return rows

    def _remember_recall(self, tx: Transaction, channel: Channel, rows: Sequence[Departed]) -> None:
        """Record an earlier recall whose row was lost with the ledger.

        That it happened follows from the person's own redactions. A receiver has confirmed it
        only if it has nothing older than the items in the outbox.
        """
        oldest = min((row.revision for row in rows if not row.withdrawn), default=0)
        if oldest:
            # unnamed chunks stay: the database no longer knows which chunks are named
            ledger.put_recall(tx, Recall(channel.id, oldest - 1, oldest - 1, swept=True))

    def _forgotten(
        self, channel: Channel, outbox: Outbox, rows: Sequence[Departed]
    ) -> list[Departed]:
        """Ledger rows of items that the outbox holds and the ledger does not know."""
        forgotten = {*outbox.items(), *outbox.retracted()} - {row.item for row in rows}
        return [row for item in forgotten if (row := row_of(channel, item, outbox))]

    def _is_due(self, channel: Channel, row: Departed) -> bool:
        larger = not all(takes(channel.profile, kind) for kind in row.kinds)
        return self._is_stale(channel, row) or (larger and not row.withdrawn)

    def _is_stale(self, channel: Channel, row: Departed) -> bool:
        return not row.withdrawn and row.redactor != self._packager.version(channel, row.agent)

    def _remove(self, channel: Channel, outbox: Outbox, hashes: Collection[str]) -> None:
        for sha in hashes:
            outbox.remove_chunk(sha)
        with self._store.transaction() as tx:
            work.keep_chunks(tx, channel.id, hashes)

    def delete_unneeded_chunks(
        self, boxes: Mapping[str, tuple[Channel, Outbox]], covers: Callable[[Channel], bool]
    ) -> None:
        """Delete unnamed chunks that no receiver needs, and all of them after 24 hours.

        `covers` is true if every receiver has everything in a channel.
        """
        now_ms = self._now_ms()
        with self._store.reading() as tx:
            dropped = [e for e in work.chunks_dropped_before(tx, now_ms + 1) if e[0] in boxes]
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
            with self._store.transaction() as tx:
                work.keep_chunks(tx, folder, [sha])


def _is_taken_back(
    channel: Channel, item: str, unshared: Collection[Unshared], named: tuple[str, str]
) -> bool:
    """Whether an item, of this agent and session, is to be withdrawn."""
    if is_named(unshared, *named):
        return is_unshared(unshared, *named)
    return item in channel.subscription.retracted
