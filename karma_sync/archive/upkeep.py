"""Keeps the packs in order: writes a scattered one anew, and finds packs that archive.db lacks."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from karma_sync.archive import store
from karma_sync.archive.archiver import described
from karma_sync.archive.pack import (
    FRAME_BYTES,
    DamagedPack,
    PackEntry,
    PackWriter,
    Placed,
    contents,
    entries,
    open_pack,
    pack_path,
    sound_entries,
)
from karma_sync.archive.store import ArchivedFile, ArchivedSession, Key, facts_of, plans_of
from karma_sync.archive.taking import BESIDE, Feeder, is_transcript, title_facts
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import FILE_NAME
from karma_sync.domain.session.profile import TITLE, TRANSCRIPT
from karma_sync.files import fsync_dirs, fsync_files
from karma_sync.store.database import Database

log = logging.getLogger(__name__)

# A pack is scattered when it has this many more pieces than its size needs.
_SPARE_ENTRIES = 64


class Upkeep:
    """Changes packs without changing the content of the archive."""

    def __init__(
        self, root: Path, database: Database, project_of: Callable[[Sequence[str]], str]
    ) -> None:
        self._root = root
        self._store = database
        self._project_of = project_of

    def repack_one(self, before_ns: int) -> bool:
        """Write one scattered pack anew, of a session last written before a moment.

        `before_ns` is in Unix nanoseconds. Returns whether there was one.
        """
        with self._store.reading() as tx:
            rows = store.scattered(tx, before_ns, FRAME_BYTES, _SPARE_ENTRIES)
        for row in rows:
            if self._is_scattered(row):
                self._repack(row.key)
                return True
        return False

    def _is_scattered(self, row: ArchivedSession) -> bool:
        """Whether a new pack would have fewer entries: a session may have that many files."""
        with self._store.reading() as tx:
            files = store.files_of(tx, row.key)
        needed = sum(1 + file.size // FRAME_BYTES for file in files)
        return row.entries > 2 * needed + _SPARE_ENTRIES

    def _repack(self, key: Key) -> None:
        with self._store.transaction() as tx:
            row = store.get_session(tx, key)
            if row is None:
                return
            old, new = (pack_path(self._root, key, row.generation + more) for more in (0, 1))
            new.unlink(missing_ok=True)  # of an attempt that failed
            with open_pack(old) as source, PackWriter(new, 0) as writer:
                placed = list(entries(source, row.length))
                writer.append(PackEntry(agent=row.agent, session=row.session, home=row.home))
                count = 0
                for file in store.files_of(tx, key):
                    own = [each for each in placed if _is_of(each, file)]
                    count += _copy(file, contents(source, own), writer)
            fsync_files([new])
            fsync_dirs([new.parent])
            generation = row.generation + 1
            store.put_session(
                tx, replace(row, generation=generation, length=writer.length, entries=count)
            )
        old.unlink(missing_ok=True)

    def recover(self) -> None:
        """Bring archive.db and the packs together, after a crash or after one of them was lost.

        The packs are the truth: entries of a pack that the database lacks are taken over, and so
        are whole packs that it lacks. Purged sessions are deleted.
        """
        with self._store.reading() as tx:
            rows, purged = store.all_sessions(tx), store.purged(tx)
        packs = {path.name: path for path in self._root.glob("??/*.pack")}
        for key in purged:
            for name in [n for n in packs if n.startswith(_stem(self._root, key))]:
                packs.pop(name).unlink()
        for row in rows.values():
            self._recover_known(row, packs)
        for path in sorted(packs.values()):
            self._adopt(path)

    def _recover_known(self, row: ArchivedSession, packs: dict[str, Path]) -> None:
        """Leave in `packs` what has to be adopted, of those that belong to a known session."""
        own = pack_path(self._root, row.key, row.generation)
        others = [n for n in packs if n.startswith(_stem(self._root, row.key)) and n != own.name]
        if own.name in packs:
            for name in others:  # of a repacking that was cut off
                packs.pop(name).unlink()
            size = own.stat().st_size
            if size == row.length:
                del packs[own.name]
            elif size < row.length:
                log.warning(
                    "the archive has lost the end of session %s: %s has %d bytes instead of %d",
                    *(row.session, own, size, row.length),
                )
        elif not others:
            log.warning("the archive has lost session %s: %s is missing", row.session, own)
            with self._store.transaction() as tx:
                store.drop_session(tx, row.key)

    def _adopt(self, path: Path) -> None:
        """Describe a pack in the database from its content."""
        with open_pack(path) as source:
            placed = sound_entries(source, path.stat().st_size)
            head = placed[0].entry if placed else PackEntry()
            key = head.agent, head.session
            name, _, generation = path.stem.partition(".")
            if not name or pack_path(self._root, key, 0).name.partition(".")[0] != name:
                log.warning(
                    "%s is not a pack of the archive, or is damaged; it is left alone", path
                )
                return
            files = _files_in(placed)
            newest = store.newest(files)
            for each in newest.values():
                newest[each.name] = _with_facts(
                    each, [p for p in placed if _is_of(p, each)], source
                )
        changed_ns = path.stat().st_mtime_ns
        transcript = newest.get(TRANSCRIPT)
        facts = facts_of(newest)
        row = ArchivedSession(
            *key,
            generation=int(generation),
            length=placed[-1].end,
            entries=len(placed) - 1,
            size=sum(file.size for file in newest.values()),
            changed_ns=changed_ns,
            home=head.home,
            folder=Path(transcript.path).parent.name if transcript else "",
            plans=plans_of(newest),
        )
        with self._store.transaction() as tx:
            store.drop_session(tx, key)
            store.put_session(tx, described(row, facts, self._project_of(facts.cwds)))
            for file in files:
                store.put_file(tx, key, newest[file.name] if _is_newest(file, newest) else file)


def _stem(root: Path, key: Key) -> str:
    return pack_path(root, key, 0).name.partition(".")[0] + "."


def _is_of(placed: Placed, file: ArchivedFile) -> bool:
    return (placed.entry.name, placed.entry.version) == (file.name, file.version)


def _is_newest(file: ArchivedFile, newest: dict[str, ArchivedFile]) -> bool:
    return newest[file.name].version == file.version


def _copy(file: ArchivedFile, pieces: Iterable[bytes], writer: PackWriter) -> int:
    """Append a file's content in full frames; returns how many."""
    at, count = 0, 0
    for content in _joined(pieces):
        digest, frame = writer.sealed(content)
        entry = PackEntry(
            name=file.name,
            version=file.version,
            path="" if at else file.path,
            at=at,
            size=len(content),
            stored=len(frame),
            hash=digest,
        )
        writer.append(entry, frame)
        at += len(content)
        count += 1
    if at != file.size:
        raise DamagedPack(f"{writer.path}: {file.name} has {at} bytes instead of {file.size}")
    return count


def _joined(pieces: Iterable[bytes]) -> Iterable[bytes]:
    held = b""
    is_empty = True
    for piece in pieces:
        held += piece
        while len(held) >= FRAME_BYTES:
            yield held[:FRAME_BYTES]
            held, is_empty = held[FRAME_BYTES:], False
    if held or is_empty:
        yield held


def _files_in(placed: Sequence[Placed]) -> list[ArchivedFile]:
    """The versions of files that a pack holds whole, as far as it goes."""
    found: dict[tuple[str, int], ArchivedFile] = {}
    for each in placed[1:]:
        entry = each.entry
        key = entry.name, entry.version
        known = found.get(key)
        if not (FILE_NAME.fullmatch(entry.name) or entry.name.startswith(BESIDE)):
            continue
        if entry.at == 0:
            found[key] = ArchivedFile(entry.name, entry.version, entry.path, entry.size)
        elif known and known.size == entry.at:
            found[key] = replace(known, size=entry.at + entry.size)
    return list(found.values())


def _with_facts(file: ArchivedFile, placed: Iterable[Placed], source: BinaryIO) -> ArchivedFile:
    if file.name == TITLE:
        return replace(file, facts=title_facts(BytesIO(b"".join(contents(source, placed)))))
    if not is_transcript(file.name):
        return file
    feeder = Feeder(Facts(), 0)
    for content in contents(source, placed):
        feeder.add(content)
    return replace(file, facts=feeder.facts, fed=feeder.fed)
