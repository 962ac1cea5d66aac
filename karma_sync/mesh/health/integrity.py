"""What should lie in an outbox, and whether it does.

A send-only folder that lacks a file deletes it at every peer, so an outbox is shown to Syncthing
only when it is whole. What should be in it, our library knows: it imported every revision from
the outbox and keeps links of its own; so does the packager. What the library has is linked back.
What it lost too comes back from the peers (`recovering.py`), or is packaged again.
"""

import shutil
from collections.abc import Iterable, Mapping
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
    """What was done for an outbox: files put back, items that are lost here, items known of."""

    restored: int
    lost: tuple[str, ...]
    known: int


@dataclass(frozen=True)
class Adopted:
    """What a recovered outbox holds: its items, and the sessions that left once and are not there.

    `foreign` are the names of what peers had put there, and was not mine.
    """

    items: int
    lost: tuple[str, ...]
    foreign: tuple[str, ...]


class OutboxIntegrity:
    """Compares outboxes with what they should hold; `root` is the library's directory."""

    def __init__(self, root: Path, items: Database, packed: Database) -> None:
        self._root = root
        self._items = items
        self._packed = packed

    def restore(self, channel: Channel, path: Path) -> Restored:
        """Put back what is missing in an outbox, as far as the library has it."""
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
            # of an older revision nothing is put back: it may hold what was cut since
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
        """Put retractions back that are missing; the items of all that are there.

        One of them may be younger than what the library has of its item.
        """
        with self._items.reading() as tx:
            carried = retractions.of(tx, channel.id)
        there = set(outbox.retracted())
        for each in carried:
            if each.item not in there and not outbox.has_item(each.item):
                outbox.retract(each.item, each.envelope)
        return {item for item in outbox.retracted() if not outbox.has_item(item)}

    def mark(self, path: Path) -> None:
        """Tell Syncthing that nothing is missing here: without its marker it does not look."""
        private_dir(path / _MARKER)

    def unmark(self, path: Path) -> None:
        """Keep Syncthing from looking at a folder that it still takes for send-only."""
        shutil.rmtree(path / _MARKER, ignore_errors=True)

    def drop_unnamed(self, channel: Channel, path: Path, now_ms: int) -> None:
        """Have chunks deleted in time that no item names: a crash came before their item.

        What the database does not know may be named by an item that was there before it.
        """
        unnamed = {chunk.stem for chunk in (path / CHUNKS).glob("??/*.zst")}
        with self._packed.reading() as tx:
            unnamed -= _named(tx, channel) | work.dropped_chunks(tx, channel.id)
        for item in Inbox(path).items() if unnamed else ():
            manifest = _mine(channel, path, item)
            unnamed -= set(manifest.chunks()) if manifest else set()
        if unnamed:
            with self._packed.transaction() as tx:  # when Syncthing died, packaging goes on
                work.drop_chunks(tx, channel.id, unnamed - _named(tx, channel), now_ms)

    def adopt(self, channel: Channel, path: Path) -> Adopted:
        """After recovering: keep what verifies as mine, remove the rest, know its revisions."""
        packed = self._packed_items(channel)
        verified, foreign = {}, []
        for item in Inbox(path).items():
            manifest = _mine(channel, path, item)
            if manifest:
                verified[item] = manifest
            else:  # a peer's invention, or damaged: the library's own is better, or none
                foreign.append(item_name(item))
                (path / item_name(item)).unlink(missing_ok=True)
        withdrawn = _withdraw(channel, path, verified)
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
        _remove_unnamed(path, verified)
        with self._packed.transaction() as tx:
            last = work.last_revision(tx, channel.id)
            highest = max(
                (*(m.revision for m in verified.values()), *withdrawn.values()), default=0
            )
            work.put_revision(tx, channel.id, max(last, highest))
            left = [row for row in ledger.departed.all(tx, folder=channel.id) if not row.withdrawn]
        # the ledger also knows what was lost with the packager's own memory
        known = {row.item: row.session for row in left}
        known |= {item: found.session for item, found in packed.items()}
        lost = known.keys() - verified.keys() - withdrawn.keys()
        # what came back as it was packaged last needs no packaging
        now = {item: manifest.revision for item, manifest in verified.items()}
        self._forget_packed(channel, (i for i, p in packed.items() if now.get(i) != p.revision))
        sessions = tuple(sorted(known[item] for item in lost))
        return Adopted(len(verified), sessions, tuple(foreign))

    def _kept(self, channel: Channel) -> dict[str, tuple[int, dict[str, Path]]]:
        """By item what the library keeps of a channel: its revision, its files by name."""
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
        """Have the packager begin anew with these."""
        with self._packed.transaction() as tx:
            for item in items:
                packaged.packed_items.drop(tx, folder=channel.id, item=item)


def _named(tx: Transaction, channel: Channel) -> set[str]:
    """The chunks that what was packaged for a channel is made of."""
    return set[str]().union(*work.chunk_refs(tx, channel.id).values())


def _mine(channel: Channel, path: Path, item: str) -> Manifest | None:
    """An item of the outbox, if it verifies under my own key with every chunk it names."""
    try:
        raw = _read(path / item_name(item), limits.ITEM_BYTES)
        manifest = verify_item(raw, item, channel, 0).manifest.value
        for sha, size in manifest.chunks().items():
            verify_chunk(_read(path / chunk_name(sha), 2 * limits.CHUNK_BYTES), sha, size)
    except (Unverified, FileNotFoundError):
        return None
    return manifest


def _withdraw(channel: Channel, path: Path, verified: dict[str, Manifest]) -> dict[str, int]:
    """Remove what I had retracted before the loss; the revision by item."""
    withdrawn = {}
    outbox = Outbox(path)
    for item in outbox.retracted():
        found = retraction_of(outbox, item, channel.owner.key)
        if found is None:  # a peer's invention
            (path / retraction_name(item)).unlink(missing_ok=True)
        elif item not in verified or verified[item].revision < found.revision:
            verified.pop(item, None)
            (path / item_name(item)).unlink(missing_ok=True)
            withdrawn[item] = found.revision
    return withdrawn


def _read(path: Path, most: int) -> bytes:
    """A file of an outbox; peers could write into it meanwhile.

    Raises:
        Unverified: it is no regular file of at most `most` bytes.
    """
    if path.is_symlink() or path.stat().st_size > most:
        raise Unverified("2-size", f"{path.name} is no regular file of at most {most} bytes")
    return path.read_bytes()


def _remove_unnamed(path: Path, verified: Mapping[str, Manifest]) -> None:
    """Delete chunks that no item of mine names: what peers added, or what I dropped long ago."""
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
