"""Imports verified items into the library; it takes nothing that is not `Verified`.

The library keeps exactly the bytes that were verified. The importer links each file into a private
folder, where no peer can change it, without following links; checks that it is a regular file;
verifies it there; and renames it into the library.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from karma_sync.channel.layout import (
    chunk_name,
    item_name,
    kept_item,
    remove_unfinished,
    retraction_name,
)
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel, Kept, TakenBack
from karma_sync.domain.session.manifest import Manifest, Retraction, SetAside
from karma_sync.domain.session.profile import ItemKind
from karma_sync.domain.value import Verified
from karma_sync.errors import Unverified
from karma_sync.files import fsync_dirs, private_dir
from karma_sync.receiving.indexer import Indexer
from karma_sync.receiving.observation_reader import ObservationReader
from karma_sync.receiving.observations import Checked, CheckedObservations
from karma_sync.store import library, retractions, search_index
from karma_sync.store.database import Database, Transaction

# link() fails with these where the file system has no hard links, or refuses one
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK, errno.EACCES}


class VerifiedFiles(Protocol):
    """A verified item, as `channel/verify.py` returns it."""

    @property
    def manifest(self) -> Verified[Manifest]: ...
    @property
    def tails(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True)
class Verifier:
    """The functions of `channel/verify.py`, passed in so that no step imports its neighbour."""

    item: Callable[[bytes, str, Channel, int], VerifiedFiles]
    chunk: Callable[[bytes, str, int], None]
    retraction: Callable[[bytes, str, Channel, int], Verified[Retraction]]
    observations: Callable[[Iterable[bytes], Channel], CheckedObservations]


class MissingChunks(Exception):
    """Not an error: the item waits for the chunks with these hashes."""

    def __init__(self, hashes: set[str]) -> None:
        super().__init__(f"{len(hashes)} chunks")
        self.hashes = hashes


class Withdrawn(Exception):
    """Not an error: the item was retracted after this revision of it was packaged."""


class Importer:
    """The only writer of the library: `root` holds its files, `store` its database."""

    def __init__(
        self,
        root: Path,
        store: Database,
        verifier: Verifier,
        indexer: Indexer,
        now: Callable[[], datetime],
    ) -> None:
        self._root = root
        self._store = store
        self._index = indexer
        self._verify = verifier
        reading = verifier.observations
        self._reader = ObservationReader(root, store, indexer.observations, reading)
        self._now = now
        self._incoming = private_dir(root / "incoming")
        self._own_chunks: dict[str, dict[str, int]] = {}
        self._scrub = True  # a crash may have come between a deletion and `scrub`
        self._sweep()

    def import_item(
        self,
        channel: Channel,
        folder: Path,
        item: str,
        wanted: Container[ItemKind] = frozenset(ItemKind),
    ) -> None:
        """Import one item file with the chunks that it names; the same bytes again change nothing.

        Only items of the `wanted` kinds are imported.

        Raises:
            SetAside: the item is of another kind, perhaps one that this version does not know.
            Unverified: the item must be kept out; the code begins with the step that failed.
            MissingChunks: the manifest is good, but not all chunks have arrived.
            Withdrawn: the file is an old revision of an item that was retracted since.
            OSError: the file vanished, or the disk is full; nothing changed.
        """
        private = self._take_private(folder / item_name(item), limits.ITEM_BYTES)
        try:
            with self._store.reading() as tx:
                last = library.revision(tx, channel.id, item)
                gone = retractions.revision(tx, channel.id, item)
            if last and self._has(channel, item, last, private):
                return
            verified = self._verify.item(private.read_bytes(), item, channel, last)
            manifest = verified.manifest.value
            if manifest.kind not in wanted:
                hashes = frozenset(manifest.chunks())
                raise SetAside(manifest.kind, manifest.revision, hashes)
            if manifest.revision <= gone:
                raise Withdrawn
            places = self._take_chunks(channel, folder, manifest)
            # each revision has its own file name, so the row that readers follow names a whole file
            revision = manifest.revision
            places.append(self._keep(private, kept_item(self._root, channel.id, item, revision)))
            fsync_dirs({place.parent for place in places})
            observed = self._reader.read(channel, manifest, verified.tails, last)
            self._record(channel, folder, verified, last, observed)
            kept_item(self._root, channel.id, item, last).unlink(missing_ok=True)
        finally:
            private.unlink(missing_ok=True)

    def _has(self, channel: Channel, item: str, revision: int, private: Path) -> bool:
        """Whether the arrived file is that of the readable revision, which is then kept again.

        It is verified again: the kept file may be a link to it, altered through it. Then the kept
        one is deleted, until a peer sends the good one back.

        Raises:
            Unverified: the arrived file is altered, or older.
        """
        kept, raw = kept_item(self._root, channel.id, item, revision), private.read_bytes()
        if kept.exists() and kept.read_bytes() != raw:
            return False
        try:
            manifest = self._verify.item(raw, item, channel, revision - 1).manifest.value
        except Unverified:
            kept.unlink(missing_ok=True)
            raise
        if kept.exists():
            return True
        with self._store.reading() as tx:
            body = library.kept_body(tx, channel.id, item)
        if body is None or Manifest.model_validate_json(body) != manifest:
            return False
        fsync_dirs({self._keep(private, kept).parent})
        return True

    def retract(self, channel: Channel, folder: Path, item: str) -> bool:
        """Carry out a retraction; returns whether it was new.

        Deletes the item from disk, library and database; older revisions of it stay out.

        Raises:
            Unverified: the retraction is not valid; the code begins with the step that failed.
            OSError: the file vanished; nothing changed.
        """
        private = self._take_private(folder / retraction_name(item), limits.RETRACTION_BYTES)
        try:
            raw = private.read_bytes()
        finally:
            private.unlink(missing_ok=True)
        signed = self._verify.retraction(raw, item, channel, 0).value
        with self._store.transaction() as tx:
            last = library.revision(tx, channel.id, item)
            known = retractions.revision(tx, channel.id, item)
            if signed.revision <= max(last, known):
                return False  # we know it already, or the item was packaged again since
            carried = retractions.Carried(item, signed.revision, raw, done=False)
            retractions.put(tx, channel.id, carried)
            named = library.chunks_of(tx, channel.id, item)
            self._index.drop(tx, channel.id, item)
            dropped = library.drop_item(tx, channel.id, item, last)
            retractions.put_lingering(tx, channel.id, item, last, named)
        self._delete([dropped])
        remove_unfinished(folder, [item_name(item), *map(chunk_name, named)])
        return True

    def check_deletions(self, folder_id: str, folder: Path, strays: bool) -> bool:
        """Whether everything that was dropped is deleted from the channel's folder too.

        Only then a receipt confirms that it is gone. `strays` is true if the folder has chunks
        whose revision nobody here knows (see stray_chunks.py).
        """
        with self._store.reading() as tx:
            left = retractions.lingering(tx, folder_id)
            open_ones = retractions.unfinished(tx, folder_id)
        gone = [each for each in left if not (folder / chunk_name(each.sha256)).exists()]
        held = {each.item for each in left} - {each.item for each in gone}
        held |= set(open_ones) if strays else set()
        done = [i for i in open_ones if i not in held and not (folder / item_name(i)).exists()]
        if gone or done:
            with self._store.transaction() as tx:
                retractions.drop_lingering(tx, folder_id, gone)
                for item in done:
                    retractions.finish(tx, folder_id, item)
        return len(gone) == len(left) and len(done) == len(open_ones)

    def forget_all_but(self, kept: Kept) -> int:
        """Delete what a member took back from disk, library and database; returns the item count.

        `kept` names the channels whose items of that member stay.
        """
        return self._forget(lambda tx: library.drop_all_but(tx, kept))

    def forget_taken_back(self, gone: TakenBack) -> int:
        """Delete single items that a member took back; returns the number of them."""
        with self._store.transaction() as tx:
            found = library.taken_back(tx, gone)
            for folder, item, _ in found:
                self._index.drop(tx, folder, item)
            dropped = [library.drop_item(tx, *each) for each in found]
        self._delete(dropped)
        return len(dropped)

    def forget_received(self, team: str, project: str, me: str) -> int:
        """Delete what others sent for a project of a team, or with "" for all; returns the count.

        `me` is my tag.
        """
        return self._forget(lambda tx: library.drop_received(tx, team, project, me))

    def forget_channel(self, folder: str) -> None:
        """Delete everything that came through one channel from disk, library and database."""
        self._forget(lambda tx: library.drop_folder(tx, folder))

    def _forget(self, drop: Callable[[Transaction], list[library.Dropped]]) -> int:
        with self._store.transaction() as tx:
            dropped = drop(tx)
            for folder in {each.folder for each in dropped}:
                self._index.drop_channel(tx, folder)
        self._delete(dropped)
        return len(dropped)

    def complete_index(self) -> bool:
        """Index some of what can be read but not yet be found; whether anything is left."""
        return self._index.complete(self._store)

    def close(self) -> None:
        """End what works beside the thread."""
        self._index.close()

    def scrub(self) -> bool:
        """Remove deleted text from the database's files; whether nothing is left to do."""
        if self._remove_rests():
            self._scrub = True
        if self._scrub and self._store.checkpoint():
            self._scrub = False
        return not self._scrub

    def _remove_rests(self) -> bool:
        with self._store.reading() as tx:
            if not search_index.has_rests(tx):
                return False
        with self._store.transaction() as tx:
            search_index.remove_rests(tx)
        return True

    def _delete(self, dropped: Iterable[library.Dropped]) -> None:
        for item in dropped:
            kept_item(self._root, item.folder, item.item, item.revision).unlink(missing_ok=True)
            self._own_chunks.pop(item.folder, None)
            for sha in item.chunks:
                (self._root / chunk_name(sha)).unlink(missing_ok=True)
            self._scrub = True

    def _take_chunks(self, channel: Channel, folder: Path, manifest: Manifest) -> list[Path]:
        known = self.verified_chunks(channel.id)
        sizes = manifest.chunks()
        if any(known.get(sha, size) != size for sha, size in sizes.items()):
            raise Unverified("7-length", "the manifest states another length for a known chunk")
        wanted = {sha: size for sha, size in sizes.items() if sha not in known}
        missing = {sha for sha in wanted if not (folder / chunk_name(sha)).exists()}
        if missing:
            raise MissingChunks(missing)
        taken: dict[str, Path] = {}
        try:
            for sha, size in wanted.items():
                taken[sha] = self._take_chunk(folder, sha, size)
        except Unverified:
            self._remove_unused(taken)
            raise
        return list(taken.values())

    def _take_chunk(self, folder: Path, sha: str, size: int) -> Path:
        try:
            private = self._take_private(folder / chunk_name(sha), 2 * limits.CHUNK_BYTES)
        except FileNotFoundError:
            raise MissingChunks({sha}) from None
        try:
            self._verify.chunk(private.read_bytes(), sha, size)
            return self._keep(private, self._root / chunk_name(sha))
        finally:
            private.unlink(missing_ok=True)

    def _remove_unused(self, hashes: Iterable[str]) -> None:
        with self._store.reading() as tx:
            useless = library.unused_chunks(tx, hashes)
        self._scrub = self._scrub or bool(useless)
        for sha in useless:
            (self._root / chunk_name(sha)).unlink(missing_ok=True)

    def _record(
        self,
        channel: Channel,
        folder: Path,
        verified: VerifiedFiles,
        last: int,
        observations: Checked | None,
    ) -> None:
        item = verified.manifest
        with self._store.transaction() as tx:
            if observations is None:
                self._index.update(tx, channel.id, item.value, verified.tails)
            elif self._index.observations.replace(tx, channel.id, item.value, observations):
                self._scrub = True
            before = library.redactor_of(tx, channel.id, item.value.item)
            dropped = library.put_item(tx, channel.id, item, self._now())
            retractions.drop(tx, channel.id, item.value.item)
            retractions.put_lingering(tx, channel.id, item.value.item, last, dropped)
        self.verified_chunks(channel.id).update(item.value.chunks())
        # text that newer rules cut from a title is still in the database's log
        self._scrub = self._scrub or before not in (None, item.value.redactor)
        if dropped:
            self._own_chunks.pop(channel.id, None)
            self._remove_unused(dropped)
            remove_unfinished(folder, map(chunk_name, dropped))

    def verified_chunks(self, folder: str) -> dict[str, int]:
        """The size in bytes of every chunk of a channel that was verified, by hash."""
        if folder not in self._own_chunks:
            with self._store.reading() as tx:
                self._own_chunks[folder] = library.verified_chunks(tx, folder)
        return self._own_chunks[folder]

    def _sweep(self) -> None:
        """Delete the files that no row of the database names: a crash left them."""
        for leftover in self._incoming.iterdir():
            leftover.unlink()
        with self._store.reading() as tx:
            named = {chunk_name(sha) for sha in library.all_chunks(tx)}
            named |= {
                str(kept_item(Path(), folder, item, revision))
                for folder, item, revision in library.all_revisions(tx)
            }
        for part in ("chunks", "items"):
            for path in (self._root / part).glob("*/*"):
                if str(path.relative_to(self._root)) not in named:
                    path.unlink()

    def _take_private(self, path: Path, most: int) -> Path:
        """Link the file at `path` to a place where no peer can replace it; copy it if links fail.

        Raises:
            Unverified: it is not a regular file, or larger than `most` bytes.
        """
        private = self._incoming / path.name
        private.unlink(missing_ok=True)
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise Unverified("1-path", f"{path.name} is not a regular file")
        try:
            os.link(path, private, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(path, private)
        found = private.lstat()  # checked again on the private one: a peer may have swapped `path`
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            private.unlink()
            raise Unverified("2-size", f"{path.name} is not a regular file of at most {most} bytes")
        return private

    def _keep(self, private: Path, place: Path) -> Path:
        private_dir(place.parent)
        return private.replace(place)


def _copy(path: Path, private: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as source, private.open("wb") as target:
        private.chmod(0o600)
        shutil.copyfileobj(source, target)
        os.fsync(target.fileno())
