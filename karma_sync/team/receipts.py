"""Receipts: I sign what I imported; others' tell me what became of what I sent.

They live in work.db and have a rhythm of their own, so that they wake nobody's first phase.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from karma_sync.domain.ids import next_version
from karma_sync.domain.mesh.channels import Channel, World, document_title, inboxes, receivers
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import reason
from karma_sync.signing import PayloadType, accepted
from karma_sync.store import ledger, library, packaged, retractions, state, work
from karma_sync.store.database import Database, Transaction
from karma_sync.syncthing.rescan import Rescan, Scan
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import receipt
from karma_sync.team.documents.folder import DocumentFile, MetadataFolder
from karma_sync.team.documents.receipt import (
    ChannelReceipt,
    Imported,
    Receipt,
    Seen,
    channel_receipt,
    seen,
)
from karma_sync.team.documents.stored import RECEIPT, digest_of, receipts_for
from karma_sync.team.documents.verify import verify_receipt
from karma_sync.team.put_back import HeldDocument, PutBack

EVERY_S = 10.0
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class ReceiptHooks:
    """What receipts call in other parts.

    `claimed` gets each revision of a channel that a member says it has; `astray` tells whether
    chunks of an unknown revision lie in the folder of a channel.
    """

    claimed: Callable[[str, int], None] = lambda folder, revision: None
    astray: Callable[[str], bool] = lambda folder: False


class Receipts:
    """Writes my receipts, at most every ten seconds a team, and reads the others'."""

    def __init__(
        self,
        context: TeamContext,
        store: Database,
        items: Database,
        scan: Scan,
        hooks: ReceiptHooks,
    ) -> None:
        self._context = context
        self._store = store
        self._items = items
        self._rescan = Rescan(scan)
        self._claimed = hooks.claimed
        self._astray = hooks.astray
        self._folders: dict[str, MetadataFolder] = {}
        self._written: dict[str, float] = {}
        self._untold: dict[str, set[str]] = defaultdict(set)  # by team: what is still to be told
        self._keeper = PutBack(context)
        self._news = False
        self._world: World | None = None

    def run(self, world: World) -> float | None:
        """Read what is new, write what is due; seconds until more is due, None if nothing is."""
        self._world = world
        waits = []
        for team in world.teams:
            folder = self._folder(team)
            if folder is None:
                continue
            self._read(team, folder)
            self._put_back(team, folder)
            waits += [self._write(world, team, folder), self._keeper.wait, self._tell(team)]
        return min((wait for wait in waits if wait is not None), default=None)

    def take_news(self) -> bool:
        """Whether others' receipts were accepted since this was asked last."""
        news, self._news = self._news, False
        return news

    def covers(self, channel: Channel) -> bool:
        """Whether every member who takes my channel has all of it in its newest revisions."""
        if self._world is None:
            return False
        with self._store.reading() as tx:
            packed = packaged.packed_items.all(tx, folder=channel.id)
        mine = {each.item: each.revision for each in packed}
        said = confirmations(self._store, channel.team, channel.id, mine)
        taking = receivers(self._world, channel)
        tags = [member.tag for member in channel.team.members if member.device in taking]
        return all(said.get(tag, (0, False))[1] for tag in tags)

    def _folder(self, team: Team) -> MetadataFolder | None:
        path = self._context.paths.folder(metadata_folder(team.id))
        if not path.is_dir():
            return None
        return self._folders.setdefault(team.id, MetadataFolder(path, [RECEIPT]))

    def _read(self, team: Team, folder: MetadataFolder) -> None:
        for found in folder.changed():
            if found.writer == self._context.me.key:
                continue
            receipt = self._accept(team, found)
            if receipt:
                self._news = True
                self._look_at_seen(team, receipt)
                for each in receipt.channels:
                    self._claimed(each.folder, each.revision)

    def _put_back(self, team: Team, folder: MetadataFolder) -> None:
        """Others' receipts that somebody deleted: any holder of the newest may."""
        with self._store.reading() as tx:
            held = [
                HeldDocument(RECEIPT, r.writer, r.envelope) for r in work.receipts_of(tx, team.id)
            ]
        names = self._keeper.put_back(metadata_folder(team.id), folder, held)
        self._untold[team.id].update(names)

    def _accept(self, team: Team, found: DocumentFile) -> Receipt | None:
        """Keep a receipt that is new and good; None if it is neither."""
        with self._store.reading() as tx:
            known = work.get_receipt(tx, team.id, found.writer)
        if known and known.envelope == found.raw:
            return None
        version = known.version if known else 0
        try:
            receipt = verify_receipt(found.raw, found.writer, team, version).value
        except Unverified as error:
            who = document_title(team, RECEIPT, found.writer)
            self._context.notes.record_fault("document refused", who, reason(error))
            return None
        with self._store.transaction() as tx:
            row = work.SignedReceipt(found.writer, receipt.version, found.raw)
            work.put_receipt(tx, team.id, row)
            self._confirm(tx, receipt)
        return receipt

    def _confirm(self, tx: Transaction, receipt: Receipt) -> None:
        """Remember up to which revision somebody had exactly what I had sent."""
        for said in receipt.channels:
            mine = ledger.revisions(tx, said.folder)
            if mine and said.digest == digest_of(mine):
                ledger.confirm(tx, said.folder, receipt.writer, max(mine.values()))

    def _look_at_seen(self, team: Team, receipt: Receipt) -> None:
        """Find my counter again if it was lost; notice two contents under one version."""
        state_db = self._context.store
        with state_db.reading() as tx:
            known = {(d.kind, d.writer): d for d in state.documents(tx, team.id)}
        for said in receipt.seen:
            mine = known.get((said.kind, said.writer))
            if mine is None or said.version < mine.version:
                continue
            if said.version == mine.version:
                if said != seen(mine.kind, mine.writer, mine.version, mine.envelope):
                    who = document_title(team, said.kind, said.writer)
                    why = f"two contents under version {said.version}: the first is kept"
                    self._context.notes.record_fault("document doubled", who, why)
            elif said.writer == self._context.me.key and said.version < self._latest_version():
                with state_db.transaction() as tx:
                    state.raise_floor(tx, team.id, said.kind, said.version)

    def _latest_version(self) -> int:
        """No version of mine can be later than this: versions are moments, or just above one.

        Who claims to have seen a higher one wants to use up my counter.
        """
        return self._context.now_ms + _DAY_MS

    def _write(self, world: World, team: Team, folder: MetadataFolder) -> float | None:
        wait = self._written.get(team.id, -EVERY_S) + EVERY_S - self._context.monotonic()
        if wait > 0:
            return wait
        channels = self._mine(world, team)
        me = self._context.me.key
        with self._store.reading() as tx:
            known = work.get_receipt(tx, team.id, me)
        before = accepted(known.envelope, me, PayloadType.RECEIPT, Receipt) if known else None
        saw = self._saw(team)
        if before is None or (before.channels, before.seen) != (channels, saw):
            self._written[team.id] = self._context.monotonic()
            version = next_version(before.version if before else 0, self._context.now_ms)
            receipt = Receipt(team=team.id, writer=me, version=version, channels=channels, seen=saw)
            payload = receipt.to_json().encode()
            envelope = self._context.key.sign(PayloadType.RECEIPT, payload)
            known = work.SignedReceipt(me, version, envelope)
            # committed before it is written: no two contents under one version
            with self._store.transaction() as tx:
                work.put_receipt(tx, team.id, known)
        if known:
            self._put(team, folder, known.envelope)
        return None

    def _mine(self, world: World, team: Team) -> tuple[ChannelReceipt, ...]:
        receipts = []
        with self._items.reading() as tx:
            for channel in inboxes(world):
                if channel.team.id == team.id:
                    arrivals = library.arrivals(tx, channel.id).values()
                    refused = [(a.item, a.why.split(":")[0]) for a in arrivals if a.refused]
                    left = retractions.lingering(tx, channel.id)
                    carried = retractions.of(tx, channel.id)
                    imported = Imported(
                        revisions=library.revisions(tx, channel.id),
                        lingering=[
                            *(each.revision for each in left),
                            *([receipt.REVISION] if self._astray(channel.id) else []),
                        ],
                        retracted=[(c.item, c.revision) for c in carried if c.done],
                        refused=refused,
                    )
                    receipts.append(channel_receipt(channel.id, imported))
        return tuple(sorted(receipts, key=lambda r: r.folder))

    def _saw(self, team: Team) -> tuple[Seen, ...]:
        with self._context.store.reading() as tx:
            documents = state.documents(tx, team.id)
        return tuple(seen(d.kind, d.writer, d.version, d.envelope) for d in documents)

    def _put(self, team: Team, folder: MetadataFolder, envelope: bytes) -> None:
        name = folder.write(RECEIPT, self._context.me.key, envelope)
        if name:
            self._untold[team.id].add(name)

    def _tell(self, team: Team) -> float | None:
        """Have Syncthing look at what was written; seconds until the next try if it does not."""
        names = self._untold[team.id]
        if names and not self._rescan.request(metadata_folder(team.id), sorted(names)):
            return EVERY_S
        names.clear()
        return None


def claims(paths: Paths, world: World) -> dict[str, int]:
    """By channel the highest revision that the receipts on disk name."""
    highest: dict[str, int] = {}
    for team in world.teams:
        for found in MetadataFolder(paths.folder(metadata_folder(team.id)), [RECEIPT]).changed():
            try:
                receipt = verify_receipt(found.raw, found.writer, team, 0).value
            except Unverified:
                continue  # refused, and noted, when the daemon reads it
            for each in receipt.channels:
                highest[each.folder] = max(highest.get(each.folder, 0), each.revision)
    return highest


def confirmations(
    store: Database, team: Team, folder: str, mine: Mapping[str, int]
) -> dict[str, tuple[int, bool]]:
    """By member tag: how many items its receipt names, and whether it has exactly `mine`."""
    wanted = digest_of(mine)
    said = receipts_for(store, team, folder)
    return {tag: (each.items, each.digest == wanted) for tag, each in said.items()}
