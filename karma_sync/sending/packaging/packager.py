"""Packages sessions into my outboxes: redacts, cuts, signs and writes them.

A packager cannot be made without a redactor, so nothing reaches an outbox unredacted.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from karma_sync.agents.growing_file import QUIET_S
from karma_sync.channel.layout import compress
from karma_sync.channel.own_items import OutboxFiles, PreviousItem, read_back, without_source
from karma_sync.domain.ids import item_id, next_version
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import FORMAT, Manifest, Retraction, join_item
from karma_sync.domain.session.profile import ItemKind, Profile, kind_of, takes
from karma_sync.domain.session.source_files import (
    PackedItem,
    SourceFile,
    SourceSession,
)
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.packaging.chunker import Put
from karma_sync.sending.packaging.file_selection import running, sendable
from karma_sync.sending.packaging.manifest import RevisionContent, describe, signed
from karma_sync.sending.packaging.outgoing import Outgoing
from karma_sync.sending.packaging.session_cut import CutSession, CutStart, SessionCut
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import ledger, packaged, work
from karma_sync.store.database import Database, Transaction

# Chunks get a later file time than their item: Syncthing pulls the newest files first.
_CHUNK_LEAD_NS = 1_000_000


@dataclass(frozen=True)
class Step:
    """The revision of one packaging step, and the bytes of the session left for later steps."""

    revision: int
    left: int = 0


@dataclass(frozen=True)
class DescribedItem:
    """One revision of an item, signed and ready to be written.

    `packed` is the state that the next step resumes from, `raw` the bytes of the item's file,
    `chunks` the change in the chunks that the item names.
    """

    packed: PackedItem
    manifest: Manifest
    raw: bytes
    chunks: work.Named


class Packager:
    """Writes new items and retractions into my outboxes, as the only one to do so.

    `cut_bytes` counts the bytes of the current session that this step has put into chunks; other
    threads may read it. `now_ms` gives Unix milliseconds.
    """

    def __init__(
        self, redactor: Redactor, key: SigningKey, store: Database, now_ms: Callable[[], int]
    ) -> None:
        self._redactor = redactor
        self._key = key
        self._store = store
        self._now_ms = now_ms
        self._packed: dict[tuple[str, str], PackedItem] = {}
        self._ways_out: dict[tuple[str, Profile], Outgoing] = {}
        self.cut_bytes = 0

    def begin_session(self) -> None:
        """Begin with another session: reset `cut_bytes`."""
        self.cut_bytes = 0

    @property
    def redactor(self) -> Redactor:
        """The redactor that everything passes before it leaves."""
        return self._redactor

    def version(self, channel: Channel, agent: str) -> str:
        """A value that changes whenever an agent's session might leave in another form."""
        return self._outgoing(channel, agent).version

    def _outgoing(self, channel: Channel, agent: str) -> Outgoing:
        key = agent, channel.profile
        if key not in self._ways_out:
            self._ways_out[key] = Outgoing(self._redactor, *key)
        return self._ways_out[key]

    def use_redactor(self, redactor: Redactor) -> None:
        """Redact with this from now on; items that another redactor passed are stale."""
        self._ways_out.clear()
        self._redactor = redactor

    def load(self, folder: str) -> None:
        """Read into memory what was packaged into this channel."""
        self._packed = {key: p for key, p in self._packed.items() if key[0] != folder}
        with self._store.reading() as tx:
            for packed in packaged.packed_items.all(tx, folder=folder):
                self._packed[folder, packed.item] = packed

    def forget_missing(self, folder: str, outbox: OutboxFiles) -> None:
        """Forget items that the outbox no longer holds, so that they are packaged afresh.

        They are gone if the channel was closed in between.
        """
        for key, packed in list(self._packed.items()):
            if key[0] == folder and not outbox.has_item(packed.item):
                del self._packed[key]

    def item_of(self, channel: Channel, session: SourceSession) -> str:
        """The item id of a session in a channel."""
        place = (channel.team.id, channel.project, channel.owner.key)
        return item_id(place, session.agent, session.session_id)

    def is_current(self, channel: Channel, session: SourceSession) -> bool:
        """Whether the outbox holds this session as it is now; reads no content."""
        packed = self._packed.get((channel.id, self.item_of(channel, session)))
        if packed is None or packed.version != self.version(channel, session.agent):
            return False
        if packed.running is not running(packed, session):
            return False
        if not all(takes(channel.profile, kind_of(name)) for name in packed.files):
            return False  # the profile takes fewer kinds of files than before
        files = sendable(session, channel.profile, self._redactor)
        return all(
            packed.held.get(f.name) == f.stat.values
            or (known := packed.files.get(f.name)) is not None
            and known.position.is_current(f.stat)
            and not (known.waits and self._is_quiet(f))
            for f in files
        )

    def tells_open(self, channel: Channel, session: SourceSession) -> bool:
        """Whether the item of a session states that its program has it open."""
        packed = self._packed.get((channel.id, self.item_of(channel, session)))
        return packed is not None and packed.running is True

    def left(self, channel: Channel, session: SourceSession) -> int:
        """About how many bytes of a session are still to be packaged; reads no content."""
        packed = self._packed.get((channel.id, self.item_of(channel, session)))
        if packed is None or packed.version != self.version(channel, session.agent):
            return session.size
        known = (packed.files.get(f.name) for f in session.files)
        return max(0, session.size - sum(k.position.offset for k in known if k))

    def revision(self, channel: Channel, item: str) -> int:
        """The revision of an item that is in its place in the outbox; 0 if none is."""
        packed = self._packed.get((channel.id, item))
        return packed.revision if packed else 0

    def _is_quiet(self, file: SourceFile) -> bool:
        return self._now_ms() - file.stat.mtime_ns // 10**6 > QUIET_S * 1000

    def package(
        self, channel: Channel, session: SourceSession, facts: Facts, outbox: OutboxFiles
    ) -> Step:
        """Bring the outbox up to date with this session, or take one step towards that.

        The session counts as packaged when the outbox has put the item into its place.

        Raises:
            RedactionFailed: redaction failed; the outbox holds nothing new for readers.
            KarmaError: the session has more files or content than an item may have; as above.
            OSError: a file vanished or cannot be read, or the outbox cannot be written.
        """
        with all_or_nothing(outbox):
            cut = self.cut(channel, session, outbox)
            described = self.describe(cut, facts)
            self.write(described, session, outbox)
        return Step(described.packed.revision, cut.left)

    def cut(self, channel: Channel, session: SourceSession, outbox: OutboxFiles) -> CutSession:
        """Redact and cut the new content of a session's files; stage its chunks in the outbox."""
        start = self.start(channel, session, outbox)
        outgoing = self._outgoing(channel, session.agent)
        put = self.put_into(outbox, session.changed_ns)
        cut = SessionCut(start, outgoing, self._redactor, put, lambda: self.cut_bytes)
        return cut.run(outbox)

    def start(self, channel: Channel, session: SourceSession, outbox: OutboxFiles) -> CutStart:
        """The state from which cutting begins: the item in the outbox, and the state saved then."""
        item = self.item_of(channel, session)
        before = read_back(outbox, item, self._key.public)
        packed = self._state_to_resume(channel, session, item, before)
        self.cut_bytes = 0
        return CutStart(channel, session, item, before, packed)

    def put_into(self, outbox: OutboxFiles, changed_ns: int) -> Put:
        """Stages chunks of an item that was written at `changed_ns` (Unix nanoseconds)."""

        def put(content: bytes) -> tuple[str, int]:
            sha256 = hashlib.sha256(content).hexdigest()
            outbox.put_chunk(sha256, content, changed_ns + _CHUNK_LEAD_NS)
            self.cut_bytes += len(content)
            return sha256, len(content)

        return put

    def describe(self, cut: CutSession, facts: Facts) -> DescribedItem:
        """Take the next revision, and sign the manifest of the item."""
        packed = self._begin(cut)
        start = cut.start
        content = RevisionContent(
            start.item,
            packed.revision,
            cut.version,
            tuple(f.entry() for f in cut.files),
            cut.running,
            cut.records,
            cut.redactions,
            cut.kind,
        )
        manifest = describe(start.channel, start.session, facts, content, self._redactor)
        inline = compress(b"".join(f.tail for f in cut.files))
        named = frozenset(start.before.manifest.chunks()) if start.before else frozenset[str]()
        change = work.Named(start.channel.id, start.item, frozenset(manifest.chunks()), named)
        return DescribedItem(
            packed, manifest, join_item(signed(manifest, self._key), inline), change
        )

    def write(self, described: DescribedItem, session: SourceSession, outbox: OutboxFiles) -> None:
        """Hand the item to the outbox; it is recorded as packaged once it is in its place."""

        def on_placed() -> None:
            self._remember(described)

        outbox.put_item(described.packed.item, described.raw, session.changed_ns, on_placed)

    def _state_to_resume(
        self, channel: Channel, session: SourceSession, item: str, before: PreviousItem | None
    ) -> PackedItem | None:
        """The state after the packaging that wrote `before`; None if all must be cut afresh."""
        packed = self._packed.get((channel.id, item))
        if before and (packed is None or packed.revision != before.manifest.revision):
            with self._store.reading() as tx:  # a crash came between placing and recording it
                packed = packaged.begun_items.get(tx, channel.id, item)
        if not packed or not before or packed.version != self.version(channel, session.agent):
            return None
        # another revision in the outbox is not the one that I wrote last: it is from a backup
        return packed if packed.revision == before.manifest.revision else None

    def package_again(self, channel: Channel, item: str, outbox: OutboxFiles) -> int:
        """Redact once more what the outbox holds of an item.

        This is for items that are no longer packaged from their source: it is gone, the session is
        frozen, or it is outside the limits. Returns the new revision, 0 if the outbox has no item.

        Raises:
            RedactionFailed, OSError: as `package` does.
        """
        before = read_back(outbox, item, self._key.public)
        if before is None or before.manifest.kind is not ItemKind.SESSION:
            return 0  # observations are packaged again by their own packager, in each pass
        self._packed.pop((channel.id, item), None)
        session, facts = without_source(before, outbox, self._now_ms() * 10**6)
        return self.package(channel, session, facts, outbox).revision

    def retract(self, channel: Channel, item: str, outbox: OutboxFiles) -> None:
        """Withdraw an item: replace its file with a signed retraction."""
        before = read_back(outbox, item, self._key.public)
        with self._store.transaction() as tx:
            revision = self._next_revision(tx, channel.id)
        retraction = Retraction(
            format=FORMAT,
            team=channel.team.id,
            project=channel.project,
            member=channel.owner.tag,
            item=item,
            revision=revision,
        )
        payload = retraction.model_dump_json().encode()
        outbox.retract(item, self._key.sign(PayloadType.RETRACTION, payload))
        named = frozenset(before.manifest.chunks()) if before else frozenset[str]()
        with self._store.transaction() as tx:
            packaged.packed_items.drop(tx, folder=channel.id, item=item)
            change = work.Named(channel.id, item, frozenset(), named)
            work.put_chunks(tx, change, self._now_ms())
            ledger.record_withdrawn(tx, channel.id, item, retraction.revision)
        self._packed.pop((channel.id, item), None)

    def _next_revision(self, tx: Transaction, folder: str) -> int:
        """Take the next revision and store it before anything is signed with it.

        So a crash cannot lead to two contents under one revision.
        """
        revision = next_version(work.last_revision(tx, folder), self._now_ms())
        work.put_revision(tx, folder, revision)
        return revision

    def _begin(self, cut: CutSession) -> PackedItem:
        """Store the state before signing: a crash may come before the item is recorded."""
        start = cut.start
        with self._store.transaction() as tx:
            packed = PackedItem(
                folder=start.channel.id,
                item=start.item,
                session=start.session.session_id,
                revision=self._next_revision(tx, start.channel.id),
                version=cut.version,
                files={f.name: f.state for f in cut.files},
                running=cut.running,
                held={file.name: file.stat.values for file in cut.held},
            )
            packaged.begun_items.put(tx, packed)
        return packed

    def _remember(self, described: DescribedItem) -> None:
        packed = described.packed
        with self._store.transaction() as tx:
            packaged.packed_items.put(tx, packed)
            packaged.begun_items.drop(tx, folder=packed.folder, item=packed.item)
            ledger.record_sent(tx, packed.folder, described.manifest)
            work.put_chunks(tx, described.chunks, self._now_ms())
        self._packed[packed.folder, packed.item] = packed


@contextmanager
def all_or_nothing(outbox: OutboxFiles) -> Iterator[None]:
    """Take back the staged chunks if the block fails: no unnamed chunk may stay in the outbox."""
    try:
        yield
    except BaseException:
        outbox.undo()
        raise
