"""Compares an outbox with what should be in it, and puts missing files back from the library.

If a file is missing in a send-only folder, Syncthing deletes it at every peer. So Syncthing may
scan an outbox only while no file is missing. The library knows which files belong there: it
imported every revision from the outbox, and keeps links of its own. The packager's records name the
items too. A file that the library has is linked back. A file that the library lost too comes back
from the peers (`recovery.py`), or the session is packaged again.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.channel.inbox import Inbox
from karma_sync.channel.layout import (
    CHUNK_NAME,
    CHUNKS,
    chunk_name,
    item_name,
    kept_item,
    retraction_name,
)
from karma_sync.channel.outbox import Outbox
from karma_sync.channel.own_items import retraction_of
from karma_sync.channel.verify import verify_chunk, verify_item
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.source_files import PackedItem
from karma_sync.errors import Unverified
from karma_sync.files import PRIVATE_FILE, private_dir
from karma_sync.store import ledger, library, packaged, retractions, work
from karma_sync.store.database import Database, Transaction

_MARKER = ".stfolder"


@dataclass(frozen=True)
class Restored:
    """The result of `restore`: number of files put back, items still incomplete, known items."""

    restored: int
    lost: tuple[str, ...]
    known: int


@dataclass(frozen=True)
class Adopted:
    """The content of a recovered outbox.

    `items` counts its items. `lost` are the IDs of sessions that left once and are not there.
    `foreign` are the names of files that peers had put there and that were not mine.
    """

    items: int
    lost: tuple[str, ...]
    foreign: tuple[str, ...]


class OutboxIntegrity:
    """Checks outboxes against the library and the packager's records.

    `root` is the library's directory, `items` library.db, `packed` work.db.
    """

    def __init__(self, root: Path, items: Database, packed: Database) -> None:
        self._root = root
        self._items = items
        self._packed = packed

    def restore(self, channel: Channel, path: Path) -> Restored:
        """Put missing files back into an outbox, as far as the library has them."""
        outbox = Outbox(path)
        outbox.prepare()
        kept = self._kept(channel)
        packed = self._packed_items(channel)
        with self._packed.reading() as tx:
            chunks = work.chunk_refs(tx, channel.id)
        restored, lost = 0, []
        withdrawn = self._retract(channel, outbox)
        for item in sorted((kept.keys() | packed.keys()) - withdrawn):
            revision, links = kept.get(item, (0, {}))
            newer = item in packed and packed[item].revision > revision
            # no file of an older revision is put back: it may hold text that was redacted since
            wanted = {} if newer else links
            missing = {name: link for name, link in wanted.items() if not (path / name).exists()}
            if (newer and not outbox.has_item(item)) or not _all_exist(missing):
                lost.append(item)
                continue
            for name, link in missing.items():
                _link(link, path / name)
            restored += len(missing)
            if Inbox(path).missing(chunks.get(item, ())):
                lost.append(item)
        return Restored(restored, tuple(lost), len(kept.keys() | packed.keys()))

    def _retract(self, channel: Channel, outbox: Outbox) -> set[str]:
        """Put missing retractions back; returns the items of all retractions in the outbox.

        A retraction may be newer than the library's revision of the item.
        """
        with self._items.reading() as tx:
            known = retractions.all_of(tx, channel.id)
        present = set(outbox.retracted())
        for each in known:
            if each.item not in present and not outbox.has_item(each.item):
                outbox.retract(each.item, each.envelope)
        return {item for item in outbox.retracted() if not outbox.has_item(item)}

    def set_marker(self, path: Path) -> None:
        """Make the folder's marker: Syncthing scans no folder without one."""
        private_dir(path / _MARKER)

    def remove_marker(self, path: Path) -> None:
        """Delete the marker: Syncthing must not scan a folder that it still takes for send-only."""
        shutil.rmtree(path / _MARKER, ignore_errors=True)

    def drop_unnamed(self, channel: Channel, path: Path, now_ms: int) -> None:
        """Mark the chunks that no item names as dropped, so that they are deleted later.

        A crash before the item was written leaves such chunks. The items in the folder are read
        too: an item may be older than the database.
        """
        unnamed = {chunk.stem for chunk in (path / CHUNKS).glob("??/*.zst")}
        with self._packed.reading() as tx:
            unnamed -= _named(tx, channel) | work.dropped_chunks(tx, channel.id)
        for item in Inbox(path).items() if unnamed else ():
            manifest = _mine(channel, path, item)
            unnamed -= set(manifest.chunks()) if manifest else set()
        if unnamed:
            # read again: the packager goes on while Syncthing is down
            with self._packed.transaction() as tx:
                work.drop_chunks(tx, channel.id, unnamed - _named(tx, channel), now_ms)

    def adopt(self, channel: Channel, path: Path) -> Adopted:
        """Take over an outbox after its recovery.

        Items that verify as mine are kept, all other files are deleted, and the next revision will
        be above all that were found.
        """
        packed = self._packed_items(channel)
        Outbox(path).prepare()  # Syncthing deletes an empty directory that no peer has
        verified, foreign = _verify_all(channel, path)
        withdrawn = _withdraw(channel, path, verified)
        self._link_newer(channel, path, verified, withdrawn)
        _remove_unnamed(path, verified)
        with self._packed.transaction() as tx:
            last = work.last_revision(tx, channel.id)
            highest = max(
                (*(m.revision for m in verified.values()), *withdrawn.values()), default=0
            )
            work.put_revision(tx, channel.id, max(last, highest))
            left = [row for row in ledger.departed.all(tx, folder=channel.id) if not row.withdrawn]
        # the ledger also has the items that are lost from the packager's records
        known = {row.item: row.session for row in left}
        known |= {item: found.session for item, found in packed.items()}
        lost = known.keys() - verified.keys() - withdrawn.keys()
        # an item that came back in its newest revision needs no packaging
        now = {item: manifest.revision for item, manifest in verified.items()}
        self._forget_packed(channel, (i for i, p in packed.items() if now.get(i) != p.revision))
        sessions = tuple(sorted(known[item] for item in lost))
        return Adopted(len(verified), sessions, tuple(foreign))

    def _link_newer(
        self,
        channel: Channel,
        path: Path,
        verified: dict[str, Manifest],
        withdrawn: Collection[str],
    ) -> None:
        """Replace items by newer revisions of the library, and add these to `verified`."""
        for item, (revision, links) in self._kept(channel).items():
            if item in withdrawn:
                continue
            newest = verified.get(item)
            if (newest is None or newest.revision < revision) and _all_exist(links):
                for name, link in links.items():
                    (path / name).unlink(missing_ok=True)
                    _link(link, path / name)
                manifest = _mine(channel, path, item)
                if manifest:
                    verified[item] = manifest

    def _kept(self, channel: Channel) -> dict[str, tuple[int, dict[str, Path]]]:
        """By item of a channel in the library: its revision, and its files by name."""
        with self._items.reading() as tx:
            revisions = library.revisions(tx, channel.id)
            chunks = {item: library.chunks_of(tx, channel.id, item) for item in revisions}
        kept = {}
        for item, revision in revisions.items():
            links = {chunk_name(sha): self._root / chunk_name(sha) for sha in chunks[item]}
            links[item_name(item)] = kept_item(self._root, channel.id, item, revision)
            kept[item] = revision, links
        return kept

    def _packed_items(self, channel: Channel) -> dict[str, PackedItem]:
        with self._packed.reading() as tx:
            return {p.item: p for p in packaged.packed_items.all(tx, folder=channel.id)}

    def _forget_packed(self, channel: Channel, items: Iterable[str]) -> None:
        """Delete the packager's records of these items: it packages them from the beginning."""
        with self._packed.transaction() as tx:
            for item in items:
                packaged.packed_items.drop(tx, folder=channel.id, item=item)


def _named(tx: Transaction, channel: Channel) -> set[str]:
    """The chunks that the packaged items of a channel name."""
    return set[str]().union(*work.chunk_refs(tx, channel.id).values())


def _mine(channel: Channel, path: Path, item: str) -> Manifest | None:
    """An item of the outbox, if it and its chunks verify under my key; else None."""
    try:
        raw = _read(path / item_name(item), limits.ITEM_BYTES)
        manifest = verify_item(raw, item, channel, 0).manifest.value
        for sha, size in manifest.chunks().items():
            verify_chunk(_read(path / chunk_name(sha), 2 * limits.CHUNK_BYTES), sha, size)
    except (Unverified, FileNotFoundError):
        return None
    return manifest


def _verify_all(channel: Channel, path: Path) -> tuple[dict[str, Manifest], list[str]]:
    """The items of an outbox that verify as mine; deletes all others, and returns their names."""
    verified: dict[str, Manifest] = {}
    foreign = []
    for item in Inbox(path).items():
        manifest = _mine(channel, path, item)
        if manifest:
            verified[item] = manifest
        else:  # forged by a peer, or damaged: the library's item replaces it, if there is one
            foreign.append(item_name(item))
            (path / item_name(item)).unlink(missing_ok=True)
    return verified, foreign


def _withdraw(channel: Channel, path: Path, verified: dict[str, Manifest]) -> dict[str, int]:
    """Remove the items that I had retracted before the loss; returns the revision by item."""
    withdrawn = {}
    outbox = Outbox(path)
    for item in outbox.retracted():
        found = retraction_of(outbox, item, channel.owner.key)
        if found is None:  # forged by a peer
            (path / retraction_name(item)).unlink(missing_ok=True)
        elif item not in verified or verified[item].revision < found.revision:
            verified.pop(item, None)
            (path / item_name(item)).unlink(missing_ok=True)
            withdrawn[item] = found.revision
    return withdrawn


def _read(path: Path, most: int) -> bytes:
    """The bytes of a file of an outbox, into which peers may have written during the recovery.

    Raises:
        Unverified: it is no regular file of at most `most` bytes.
    """
    if path.is_symlink() or path.stat().st_size > most:
        raise Unverified("2-size", f"{path.name} is no regular file of at most {most} bytes")
    return path.read_bytes()


def _remove_unnamed(path: Path, verified: Mapping[str, Manifest]) -> None:
    """Delete chunks that no item of mine names: peers added them, or I dropped them long ago."""
    named = {sha for manifest in verified.values() for sha in manifest.chunks()}
    for chunk in (path / CHUNKS).glob("*/*.zst"):
        match = CHUNK_NAME.fullmatch(str(chunk.relative_to(path)))
        if match is None or match[2] not in named:
            chunk.unlink()


def _all_exist(links: Mapping[str, Path]) -> bool:
    return all(link.exists() for link in links.values())


def _link(kept: Path, place: Path) -> None:
    private_dir(place.parent)
    try:
        place.hardlink_to(kept)
    except OSError:
        shutil.copy2(kept, place)
        place.chmod(PRIVATE_FILE)
