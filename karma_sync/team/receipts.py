"""Signs my receipts, which state what I imported, and reads those of other members.

Receipts are in work.db and are written at their own times, so that they start no cycle anywhere.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from karma_sync.domain.events import Topic
from karma_sync.domain.ids import next_version
from karma_sync.domain.mesh.channels import Channel, World, document_title, inboxes, receivers
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.paths import Paths, metadata_folder
from karma_sync.runtime.event_log import reason
from karma_sync.runtime.timing import soonest
from karma_sync.signing import PayloadType, read_accepted
from karma_sync.store import ledger, library, packaged, retractions, state, work
from karma_sync.store.database import Database, Transaction
from karma_sync.store.intent import void_unknown
from karma_sync.syncthing.rescan import Rescan, Scan
from karma_sync.team.context import TeamContext
from karma_sync.team.departures import makes_known
from karma_sync.team.documents.folder import DocumentFile, MetadataFolder
from karma_sync.team.documents.models import MemberDocument
from karma_sync.team.documents.receipt import (
    STRAY_REVISION,
    ChannelReceipt,
    Imported,
    Receipt,
    Seen,
    channel_receipt,
    fitting,
    seen,
)
from karma_sync.team.documents.stored import MEMBER, RECEIPT, ROSTER, receipts_for
from karma_sync.team.documents.verify import verify_receipt
from karma_sync.team.put_back import HeldDocument, PutBack, counts

EVERY_S = 10.0
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class ReceiptHooks:
    """The functions of other parts that receipts call.

    `claimed` is called with a channel's folder and the revision that a member's receipt names.
    `astray` returns whether a channel's folder has chunks that no item names.
    """

    claimed: Callable[[str, int], None] = lambda folder, revision: None
    astray: Callable[[str], bool] = lambda folder: False


class Receipts:
    """Writes my receipt for each team, at most every ten seconds, and reads all others.

    Used by one thread, except `covers`.
    """

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
        self._unscanned: dict[str, set[str]] = defaultdict(set)  # names of written files, by team
        self._put_back = PutBack(context)
        self._accepted = False  # a receipt, since `take_accepted` was last called
        self._world: World | None = None

    def run(self, world: World) -> float | None:
        """Read new receipts, and write mine if they are due.

        Returns the seconds until the next call is due; None if it is not.
        """
        self._world = world
        self._forget_former_teams(world)
        self._put_back.begin_run()
        waits = []
        for team in world.teams:
            folder = self._folder(team)
            if folder is None:
                continue
            self._read(team, folder)
            self._put_files_back(team, folder)
            waits += [self._write(world, team, folder), self._request_scan(team)]
        return soonest(*waits, self._put_back.wait)

    def _forget_former_teams(self, world: World) -> None:
        """Forget the receipts of the members of teams that I left; the version of mine stays."""
        me = self._context.me.key
        for team in world.former - {team.id for team in world.teams}:
            with self._store.reading() as tx:
                others = [r for r in work.receipts_of(tx, team) if r.writer != me]
            if others:
                with self._store.transaction() as tx:
                    work.drop_receipts(tx, team, but=me)

    def take_accepted(self) -> bool:
        """Whether a receipt was accepted since the last call."""
        accepted_some, self._accepted = self._accepted, False
        return accepted_some

    def covers(self, channel: Channel) -> bool:
        """Whether every receiver of my channel has the newest revision of every item."""
        if self._world is None:
            return False
        with self._store.reading() as tx:
            packed = packaged.packed_items.all(tx, folder=channel.id)
        mine = {each.item: each.revision for each in packed}
        confirmed = confirmations(self._store, channel.team, channel.id, mine)
        taking = receivers(self._world, channel)
        tags = [member.tag for member in channel.team.everybody if member.device in taking]
        return all(confirmed.get(tag, (0, False))[1] for tag in tags)

    def _folder(self, team: Team) -> MetadataFolder | None:
        path = self._context.paths.folder(metadata_folder(team.id))
        if not path.is_dir():
            return None
        return self._folders.setdefault(team.id, MetadataFolder(path, [RECEIPT]))

    def _read(self, team: Team, folder: MetadataFolder) -> None:
        for found in folder.changed():
            if found.writer == self._context.me.key or team.former(found.writer):
                continue
            receipt = self._accept(team, found)
            if receipt:
                self._accepted = True
                self._check_seen(team, receipt)
                for each in receipt.channels:
                    self._claimed(each.folder, each.revision)

    def _put_files_back(self, team: Team, folder: MetadataFolder) -> None:
        """Put other members' receipts back that somebody deleted."""
        with self._store.reading() as tx:
            held = [
                HeldDocument(RECEIPT, r.writer, r.envelope)
                for r in work.receipts_of(tx, team.id)
                if counts(team, RECEIPT, r.writer)
            ]
        names = self._put_back.put_back(metadata_folder(team.id), folder, held)
        self._unscanned[team.id].update(names)

    def _accept(self, team: Team, found: DocumentFile) -> Receipt | None:
        """Store a receipt if it is new and verifies; else return None."""
        with self._store.reading() as tx:
            known = work.get_receipt(tx, team.id, found.writer)
        if known and known.envelope == found.raw:
            return None
        version = known.version if known else 0
        try:
            receipt = verify_receipt(found.raw, found.writer, team, version).value
        except Unverified as error:
            who = document_title(team, RECEIPT, found.writer)
            about = Topic(team=team.name)
            self._context.event_log.record_fault("document refused", who, reason(error), about)
            return None
        with self._store.transaction() as tx:
            row = work.SignedReceipt(found.writer, receipt.version, found.raw)
            work.put_receipt(tx, team.id, row)
            self._confirm(tx, receipt)
        return receipt

    def _confirm(self, tx: Transaction, receipt: Receipt) -> None:
        """Store up to which revision the member had exactly what I had sent."""
        for each in receipt.channels:
            mine = ledger.revisions(tx, each.folder)
            if not each.has_all(mine):
                continue
            gone = ledger.retractions(tx, each.folder)
            done = gone if each.carried_out(gone) == set(gone) else []
            reached = max([*mine.values(), *(revision for _, revision in done)], default=0)
            if reached:
                ledger.confirm(tx, each.folder, receipt.writer, reached)

    def _check_seen(self, team: Team, receipt: Receipt) -> None:
        """Raise my version counter if I lost it; record two contents under one version."""
        state_db = self._context.store
        with state_db.reading() as tx:
            known = {(d.kind, d.writer): d for d in state.documents(tx, team.id)}
        for each in receipt.seen:
            mine = known.get((each.kind, each.writer))
            if mine is None or each.version < mine.version:
                continue
            is_same = each.version == mine.version
            agrees = is_same and each == seen(mine.kind, mine.writer, mine.version, mine.envelope)
            if agrees:
                self._end_leaving(team, receipt.writer, mine)
            if each.kind == ROSTER and each.writer == self._context.me.key:
                self._note_followed(team)
            if is_same:
                if not agrees:
                    who = document_title(team, each.kind, each.writer)
                    why = f"two contents under version {each.version}: the first is kept"
                    self._context.event_log.record_fault(
                        "document doubled", who, why, Topic(team=team.name)
                    )
            elif each.writer == self._context.me.key and each.version < self._latest_version():
                with state_db.transaction() as tx:
                    state.raise_minimum_version(tx, team.id, each.kind, each.version)
                    void_unknown(tx, (), self._context.now())

    def _end_leaving(self, team: Team, witness: str, known: state.Document) -> None:
        """Forget a team that I left, if who has seen that is enough for all others to learn it.

        `known` is the document that it has seen. Mine may not say yet that I left.
        """
        me = self._context.me.key
        if (known.kind, known.writer) != (MEMBER, me):
            return
        with self._context.store.transaction() as tx:
            fresh = state.teams.get(tx, team.id)
            leaves = fresh and fresh.is_leaving(me) and _says_left(known)
            if fresh and leaves and makes_known(fresh, witness):
                state.forget_team(tx, fresh)

    def _note_followed(self, team: Team) -> None:
        """Note that another member has a roster that I signed as the leader of this term."""
        if team.leader != self._context.me.key or not team.chain:
            return
        followed = state.Followed(team=team.id, link=team.chain[-1])
        with self._context.store.reading() as tx:
            known = state.followed.get(tx, team.id)
        if known != followed:
            with self._context.store.transaction() as tx:
                state.followed.put(tx, followed)

    def _latest_version(self) -> int:
        """The highest version that I can have signed: versions are moments, or just above one.

        A member that claims to have seen a higher one tries to use up my counter.
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
        before = read_accepted(known.envelope, me, PayloadType.RECEIPT, Receipt) if known else None
        saw = self._saw(team)
        channels = fitting(channels, len(saw), len(team.everybody))
        if before is None or (before.channels, before.seen) != (channels, saw):
            self._written[team.id] = self._context.monotonic()
            version = next_version(before.version if before else 0, self._context.now_ms)
            receipt = Receipt(team=team.id, writer=me, version=version, channels=channels, seen=saw)
            payload = receipt.to_json().encode()
            envelope = self._context.key.sign(PayloadType.RECEIPT, payload)
            known = work.SignedReceipt(me, version, envelope)
            # committed before it is written, so a crash cannot make two contents under one version
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
                    aside = [(a.item, _revision(a.why)) for a in arrivals if a.is_set_aside]
                    lingering = retractions.lingering(tx, channel.id)
                    retracted = retractions.all_of(tx, channel.id)
                    imported = Imported(
                        revisions=library.revisions(tx, channel.id),
                        lingering=[
                            *(each.revision for each in lingering),
                            *([STRAY_REVISION] if self._astray(channel.id) else []),
                        ],
                        retracted=[(r.item, r.revision) for r in retracted if r.done],
                        refused=refused,
                        set_aside=aside,
                    )
                    receipts.append(channel_receipt(channel.id, imported))
        return tuple(sorted(receipts, key=lambda r: r.folder))

    def _saw(self, team: Team) -> tuple[Seen, ...]:
        with self._context.store.reading() as tx:
            documents = state.documents(tx, team.id)
        return tuple(
            seen(d.kind, d.writer, d.version, d.envelope)
            for d in documents
            if counts(team, d.kind, d.writer) or team.former(d.writer)
        )

    def _put(self, team: Team, folder: MetadataFolder, envelope: bytes) -> None:
        name = folder.write(RECEIPT, self._context.me.key, envelope)
        if name:
            self._unscanned[team.id].add(name)

    def _request_scan(self, team: Team) -> float | None:
        """Have Syncthing scan the written files; returns seconds until the next try if it fails."""
        names = self._unscanned[team.id]
        if names and not self._rescan.request(metadata_folder(team.id), sorted(names)):
            return EVERY_S
        names.clear()
        return None


def _says_left(mine: state.Document) -> bool:
    """Whether my own document says that I left."""
    return read_accepted(mine.envelope, mine.writer, PayloadType.MEMBER, MemberDocument).left


def _revision(why: str) -> int:
    """The revision of an item that was set aside, from the reason of its arrival."""
    return int(why.split(":")[0])


def claims(paths: Paths, world: World) -> dict[str, int]:
    """By channel, the highest revision that a receipt on disk names."""
    highest: dict[str, int] = {}
    for team in world.teams:
        for found in MetadataFolder(paths.folder(metadata_folder(team.id)), [RECEIPT]).changed():
            try:
                receipt = verify_receipt(found.raw, found.writer, team, 0).value
            except Unverified:
                continue  # `Receipts` records the refusal when it reads the file
            for each in receipt.channels:
                highest[each.folder] = max(highest.get(each.folder, 0), each.revision)
    return highest


def confirmations(
    store: Database, team: Team, folder: str, mine: Mapping[str, int]
) -> dict[str, tuple[int, bool]]:
    """By member tag: how many items the member has, and whether they are exactly `mine`.

    `mine` holds the revision by item.
    """
    receipts = receipts_for(store, team, folder)
    return {tag: (each.items, each.has_all(mine)) for tag, each in receipts.items()}
