"""Imports verified items into the library; it takes nothing that is not `Verified`.

What was verified is what is kept: a file is first linked into a private folder where no peer can
reach it, opened without following links, checked to be a regular file, verified, and then renamed
into the library.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable
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
from karma_sync.domain.mesh.channels import Channel, Kept
from karma_sync.domain.session.manifest import Manifest, Retraction, Verified
from karma_sync.errors import Unverified
from karma_sync.files import fsync_dirs, private_dir
from karma_sync.store import library, retractions
from karma_sync.store.database import Database

# link() fails so where the file system has no hard links, or refuses them
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK, errno.EACCES}


class VerifiedFiles(Protocol):
    """A verified item: manifest, and the ends of its files."""

    @property
    def manifest(self) -> Verified[Manifest]: ...


@dataclass(frozen=True)
class Verifier:
    """The functions of `channel/verify.py`, handed in so that no step imports its neighbour."""

    item: Callable[[bytes, str, Channel, int], VerifiedFiles]
    chunk: Callable[[bytes, str, int], None]
    retraction: Callable[[bytes, str, Channel, int], Verified[Retraction]]


class MissingChunks(Exception):
    """Not an error: the item waits for these hashes."""

    def __init__(self, hashes: set[str]) -> None:
        super().__init__(f"{len(hashes)} chunks")
        self.hashes = hashes


class Withdrawn(Exception):
    """Not an error: the item was retracted after this copy of it was packaged."""


class Importer:
    """The only writer of the library: `root` holds its files, `store` its database."""

    def __init__(
        self, root: Path, store: Database, verifier: Verifier, now: Callable[[], datetime]
    ) -> None:
        self._root = root
        self._store = store
        self._verify = verifier
        self._now = now
        self._incoming = private_dir(root / "incoming")
        self._own_chunks: dict[str, dict[str, int]] = {}
        self._scrub = True  # a crash may have come between forgetting and scrubbing
        self._sweep()

    def import_item(self, channel: Channel, folder: Path, item: str) -> None:
        """Take one item file in, with the chunks it names; the same bytes again change nothing.

        Raises:
            Unverified: it must be kept out; the code tells the step that failed.
            MissingChunks: it is good so far, but not all of it is here.
            Withdrawn: it is an old copy of an item that was retracted since.
            OSError: it vanished meanwhile, or the disk is full; nothing changed.
        """
        private = self._private(folder / item_name(item), limits.ITEM_BYTES)
        try:
            with self._store.reading() as tx:
                last = library.revision(tx, channel.id, item)
                gone = retractions.revision(tx, channel.id, item)
            raw = private.read_bytes()
            kept = kept_item(self._root, channel.id, item, last)
            if last and kept.exists() and kept.read_bytes() == raw:
                self._verify_kept(channel, item, kept, last)
                return
            manifest = self._verify.item(raw, item, channel, last).manifest
            if manifest.value.revision <= gone:
                raise Withdrawn
            places = self._take_chunks(channel, folder, manifest.value)
            # under a name of its own: the row that readers follow always names a whole file
            revision = manifest.value.revision
            places.append(self._keep(private, kept_item(self._root, channel.id, item, revision)))
            fsync_dirs({place.parent for place in places})
            self._record(channel, folder, manifest, last)
            kept.unlink(missing_ok=True)
        finally:
            private.unlink(missing_ok=True)

    def _verify_kept(self, channel: Channel, item: str, kept: Path, revision: int) -> None:
        """The kept file may be the one that arrived, by another name, and altered with it.

        Raises:
            Unverified: that happened; it is kept no longer.
        """
        try:
            self._verify.item(kept.read_bytes(), item, channel, revision - 1)
        except Unverified:
            kept.unlink(missing_ok=True)
            raise

    def retract(self, channel: Channel, folder: Path, item: str) -> bool:
        """Carry a retraction out: whether that is news.

        The item goes from disk, library and database, and older copies of it stay out.

        Raises:
            Unverified: it must not be believed; the code tells the step that failed.
            OSError: it vanished meanwhile; nothing changed.
        """
        private = self._private(folder / retraction_name(item), limits.RETRACTION_BYTES)
        try:
            raw = private.read_bytes()
        finally:
            private.unlink(missing_ok=True)
        signed = self._verify.retraction(raw, item, channel, 0).value
        with self._store.transaction() as tx:
            last = library.revision(tx, channel.id, item)
            known = retractions.revision(tx, channel.id, item)
            if signed.revision <= max(last, known):
                return False  # known, or the item was packaged again since
            carried = retractions.Carried(item, signed.revision, raw, done=False)
            retractions.put(tx, channel.id, carried)
            named = library.chunks_of(tx, channel.id, item)
            dropped = library.drop_item(tx, channel.id, item, last)
            retractions.linger(tx, channel.id, item, last, named)
        self._delete([dropped])
        remove_unfinished(folder, [item_name(item), *map(chunk_name, named)])
        return True

    def settle(self, folder_id: str, folder: Path, strays: bool) -> bool:
        """Find out whether all that was dropped is gone from a channel's folder too.

        Only then it is called gone in a receipt. `strays`: chunks of who knows what lie there.
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
                retractions.went(tx, folder_id, gone)
                for item in done:
                    retractions.finish(tx, folder_id, item)
        return len(gone) == len(left) and len(done) == len(open_ones)

    def forget_all_but(self, kept: Kept) -> int:
        """Remove what a member took back from disk, library and database; how many items."""
        with self._store.transaction() as tx:
            dropped = library.drop_all_but(tx, kept)
        self._delete(dropped)
        return len(dropped)

    def scrub(self) -> bool:
        """Have the database forget on disk too; whether nothing of that is left to do."""
        if self._scrub and self._store.checkpoint():
            self._scrub = False
        return not self._scrub

    def _delete(self, dropped: Iterable[library.Dropped]) -> None:
        for item in dropped:
            kept_item(self._root, item.folder, item.item, item.revision).unlink(missing_ok=True)
            self._own_chunks.pop(item.folder, None)
            for sha in item.chunks:
                (self._root / chunk_name(sha)).unlink(missing_ok=True)
            self._scrub = True

    def _take_chunks(self, channel: Channel, folder: Path, manifest: Manifest) -> list[Path]:
        known = self.known(channel.id)
        sizes = manifest.chunks()
        if any(known.get(sha, size) != size for sha, size in sizes.items()):
            raise Unverified("7-length", "a chunk is stated with another length than it has")
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
            private = self._private(folder / chunk_name(sha), 2 * limits.CHUNK_BYTES)
        except FileNotFoundError:
            raise MissingChunks({sha}) from None
        try:
            self._verify.chunk(private.read_bytes(), sha, size)
            return self._keep(private, self._root / chunk_name(sha))
        finally:
            private.unlink(missing_ok=True)

    def _remove_unused(self, hashes: Iterable[str]) -> None:
        with self._store.reading() as tx:
            useless = library.unused(tx, hashes)
        self._scrub = self._scrub or bool(useless)
        for sha in useless:
            (self._root / chunk_name(sha)).unlink(missing_ok=True)

    def _record(self, channel: Channel, folder: Path, item: Verified[Manifest], last: int) -> None:
        with self._store.transaction() as tx:
            before = library.redactor_of(tx, channel.id, item.value.item)
            dropped = library.put_item(tx, channel.id, item, self._now())
            retractions.drop(tx, channel.id, item.value.item)
            retractions.linger(tx, channel.id, item.value.item, last, dropped)
        self.known(channel.id).update(item.value.chunks())
        # what newer rules cut from a title is in the log of the database still
        self._scrub = self._scrub or before not in (None, item.value.redactor)
        if dropped:
            self._own_chunks.pop(channel.id, None)
            self._remove_unused(dropped)
            remove_unfinished(folder, map(chunk_name, dropped))

    def known(self, folder: str) -> dict[str, int]:
        """Size by hash of what was verified of a channel."""
        if folder not in self._own_chunks:
            with self._store.reading() as tx:
                self._own_chunks[folder] = library.verified_chunks(tx, folder)
        return self._own_chunks[folder]

    def _sweep(self) -> None:
        """Remove what a crash left: files that no row of the database names."""
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

    def _private(self, path: Path, most: int) -> Path:
        """A link to `path` that no peer can replace; a copy where linking fails.

        Raises:
            Unverified: it is no regular file, or larger than `most` bytes.
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
        found = private.lstat()  # what is checked is the private one: the other may have changed
        if not stat.S_ISREG(found.st_mode) or found.st_size > most:
            private.unlink()
            raise Unverified("2-size", f"{path.name} is no regular file of at most {most} bytes")
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
