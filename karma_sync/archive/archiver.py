"""Keeps every own session, unredacted, beside the agent that will delete it; the only writer.

The archive is `archive/` (a pack for each session) and `archive.db` (what the packs hold). Nothing
of it is linked, copied or sent anywhere, and no room that sends imports this one. A transaction
on archive.db is also the lock between processes: whoever changes packs holds one.

Order: packs are fsynced before the transaction that names their new length commits. So the
database never names what a power cut could take away, and what lies behind that length is cut off.
"""

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.agents.read_ahead import MUCH_BYTES, ReadAhead, is_worth_it
from karma_sync.archive import store
from karma_sync.archive.pack import DamagedPack, PackEntry, PackWriter, pack_path
from karma_sync.archive.store import About, ArchivedFile, ArchivedSession, Key, facts_of, plans_of
from karma_sync.archive.taking import (
    FileTaker,
    SourceUnreadable,
    SourceVanished,
    is_transcript,
    keeps_versions,
    superseded,
)
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts, PlanNames
from karma_sync.domain.session.profile import TRANSCRIPT, Profile
from karma_sync.domain.session.source_files import ReadFile, SourceFile, SourceSession
from karma_sync.errors import KarmaError
from karma_sync.files import fsync_dirs, fsync_files, private_dir
from karma_sync.store.database import Database, Transaction

# One step, that is one transaction: a command that purges waits for it.
STEP_BYTES = 64_000_000
_STEP_SESSIONS = 64


@dataclass(frozen=True)
class ArchiverHooks:
    """The functions of other parts that the archiver calls.

    `project_of` returns the project of a session that worked in these directories; "" if there is
    none, or more than one. `now_ms` returns the time in Unix milliseconds.
    """

    project_of: Callable[[Sequence[str]], str]
    now_ms: Callable[[], int]


def state_of(session: SourceSession) -> str:
    """A hash that identifies the state of all files of a session; no file is opened."""
    seen = "\0".join(
        f"{f.path}\0{f.stat.size}\0{f.stat.mtime_ns}\0{f.stat.inode}" for f in session.files
    )
    return hashlib.sha256(seen.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _key(session: SourceSession) -> Key:
    return session.agent, session.session_id


class Archiver:
    """Writes the archive at `root`; one thread uses it."""

    def __init__(
        self, root: Path, database: Database, source: ClaudeSource, hooks: ArchiverHooks
    ) -> None:
        self._root = root
        self._store = database
        self._source = source
        self._hooks = hooks
        self._ahead: ReadAhead | None = None

    # ---- archiving

    def read_ahead(self, sessions: Iterable[SourceSession], much: int = MUCH_BYTES) -> None:
        """Let a second process read the new transcripts of sessions, if they have `much` bytes.

        Call it before the sessions are archived in this order. It does nothing while the process
        still reads earlier ones.
        """
        if self._ahead and not self._ahead.has_ended:
            return
        with self._store.reading() as tx:
            known = store.states(tx)
        new = [s for s in sessions if _key(s) not in known]
        files = [f for session in new for f in session.files if is_transcript(f.name)]
        small = [file for file in files if file.stat.size < STEP_BYTES]
        if is_worth_it(small, much):
            self._ahead = ReadAhead(small)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead:
            self._ahead.close()
        self._ahead = None

    def _read(self, file: SourceFile) -> ReadFile | None:
        """The content of a file that the second process has read."""
        return self._ahead.take(file) if self._ahead else None

    def outdated(self, sessions: Iterable[SourceSession]) -> list[SourceSession]:
        """The sessions of which something is not archived yet; opens none of their files.

        Purged sessions are left out.
        """
        with self._store.reading() as tx:
            known, purged = store.states(tx), store.purged(tx)
        found = []
        for session in sessions:
            key = _key(session)
            if key in purged:
                continue
            seen = known.get(key)
            plans = seen.plans if seen else PlanNames()
            whole = self._whole(session, plans)
            if seen is None or seen.is_gone or seen.state != state_of(whole):
                found.append(session)
        return found

    def archive(self, sessions: Sequence[SourceSession]) -> tuple[int, list[KarmaError]]:
        """Archive new content of the first of these sessions, about one step of it.

        Returns how many of them are done, and what could not be archived: files that cannot be
        read, and packs that are damaged.

        Raises:
            OSError: the archive cannot be written; nothing of this step is archived.
            DatabaseUnusable: archive.db cannot be written; the same holds.
            KarmaError: the disk is nearly full.
        """
        private_dir(self._root)
        self._require_space()
        done, left, errors = 0, STEP_BYTES, list[KarmaError]()
        written: set[Path] = set()
        with self._store.transaction() as tx:
            for session in sessions[:_STEP_SESSIONS]:
                try:
                    if not store.is_purged(tx, _key(session)):
                        left = self._archive_one(_Step(tx, errors), session, left, written)
                except DamagedPack as error:  # of this session alone; upkeep deals with it
                    errors.append(error)
                if left <= 0:
                    break
                done += 1
            fsync_files(written)
            fsync_dirs({path.parent for path in written} | ({self._root} if written else set()))
        return done, errors

    def _whole(self, session: SourceSession, plans: PlanNames) -> SourceSession:
        """The session with all its files, also those that no channel takes.

        They are copies of its transcript that say nothing else, and other files beside it.
        """
        found = self._source.complete(session, plans, Profile.FULL)
        stubs = [
            replace(file, name=f"copies/stub-{n}.jsonl") for n, file in enumerate(found.left_out, 1)
        ]
        known = {file.path for file in found.files}
        others = [f for f in self._source.others_beside(session) if f.path not in known]
        more = (*stubs, *others)
        return replace(found, files=(*found.files, *more)) if more else found

    def _require_space(self) -> None:
        usage = shutil.disk_usage(self._root)
        if usage.free < limits.LEAST_FREE * usage.total:
            raise KarmaError(
                f"nothing is archived: less than {limits.LEAST_FREE:.0%} of the disk of"
                f" {self._root} is free",
                hint="make space",
            )

    def _archive_one(
        self, step: "_Step", session: SourceSession, left: int, written: set[Path]
    ) -> int:
        """Archive one session within a step, at most `left` bytes; returns what is left of them.

        Nothing is left if the session needs another step.
        """
        key = _key(session)
        before = store.get_session(step.tx, key) or ArchivedSession(*key)
        home = session.directory.parent.parent  # above `projects`
        places = _Places(home, session)
        path = pack_path(self._root, key, before.generation)
        private_dir(path.parent)
        with PackWriter(path, before.length) as writer:
            if not before.length:
                head = PackEntry(agent=session.agent, session=session.session_id, home=str(home))
                writer.append(head)
            taker = FileTaker(writer, self._read)
            taking = _Taking(taker, key, left, step)
            taking.take(session.files, places)
            plans = plans_of(taking.files)
            whole = self._whole(session, plans)
            taking.take(whole.files[len(session.files) :], places)
        if TRANSCRIPT not in taking.files:  # it vanished before anything of it was read
            path.unlink()
            return taking.left
        facts = facts_of(taking.files)
        seen = replace(
            before,
            changed_ns=session.changed_ns,
            home=str(home),
            folder=session.directory.name,
        )
        row = replace(
            described(seen, facts, self._hooks.project_of(facts.cwds)),
            length=writer.length,
            entries=before.entries + taker.count,
            size=sum(file.size for file in taking.files.values()),
            state=state_of(whole) if taking.is_complete else "",
            plans=plans,
            gone_ms=0,
            early=0,
        )
        if row != before:
            store.put_session(step.tx, replace(row, archived_ms=self._hooks.now_ms()))
        if writer.length > before.length:
            written.add(path)
        return taking.left

    # ---- what the agent lacks

    def note_gone(self, present: Collection[Key], sweep_ns: int) -> None:
        """Record the archived sessions that the agent no longer has.

        The agent deletes a session itself `sweep_ns` nanoseconds after it was last written.
        """
        with self._store.reading() as tx:
            known = store.states(tx)
        gone = {key: seen for key, seen in known.items() if key not in present and not seen.is_gone}
        if not gone:
            return
        now_ms = self._hooks.now_ms()
        with self._store.transaction() as tx:
            for key, seen in gone.items():
                is_early = now_ms * 10**6 - seen.changed_ns < sweep_ns
                store.set_gone(tx, key, now_ms, is_early)


@dataclass(frozen=True)
class _Places:
    """The paths of a session's files below the agent's directory, if they lie there."""

    home: Path
    session: SourceSession

    def of(self, file: SourceFile) -> str:
        """The path below `home`; "" if a link led elsewhere."""
        if file is self.session.transcript:  # it may be a link: the agent looks for its name
            name = f"{self.session.session_id}.jsonl"
            return str((self.session.directory / name).relative_to(self.home))
        is_below = file.path.is_relative_to(self.home)
        return str(file.path.relative_to(self.home)) if is_below else ""


@dataclass(frozen=True)
class _Step:
    """The transaction of one step, and the errors of sources that the step met."""

    tx: Transaction
    errors: list[KarmaError]


class _Taking:
    """Takes the files of one session; at most `left` bytes are read."""

    def __init__(self, taker: FileTaker, key: Key, left: int, step: _Step) -> None:
        self._taker = taker
        self._key = key
        self._step = step
        versions = store.files_of(step.tx, key)
        self.files = store.newest(versions)
        self._versions: dict[str, list[ArchivedFile]] = {}
        for file in versions:
            self._versions.setdefault(file.name, []).append(file)
        self.left = left
        self.is_complete = True
        self.count = taker.count

    def take(self, files: Iterable[SourceFile], places: "_Places") -> None:
        """Archive new content of these files."""
        for file in files:
            if self.left <= 0:
                self.is_complete = False
                return
            try:
                self._take(file, places.of(file))
            except SourceVanished:
                self.is_complete = False  # the next pass looks again
            except SourceUnreadable as error:
                self.is_complete = False
                self._step.errors.append(error)

    def _take(self, file: SourceFile, path: str) -> None:
        known = self.files.get(file.name)
        taken = self._taker.take(file, path, known, self.left)
        if taken.left:
            self.is_complete = False
        self.left -= max(0, taken.file.size - (known.size if known else 0))
        if taken.file is known:
            return
        self.files[file.name] = taken.file
        store.put_file(self._step.tx, self._key, taken.file)
        if taken.replaced:
            self._replace(taken.replaced)

    def _replace(self, before: ArchivedFile) -> None:
        """Keep a version that was replaced, without the data that only the newest version needs."""
        tx, key = self._step.tx, self._key
        if not keeps_versions(before.name):
            store.drop_file(tx, key, before)
            return
        store.put_file(tx, key, replace(before, read_to=None, facts=None, fed=0))
        for each in superseded(self._versions[before.name]):
            store.drop_file(tx, key, each)


def described(row: ArchivedSession, facts: Facts, project: str) -> ArchivedSession:
    """The session with the values from its facts."""
    last_ms = int(facts.last.timestamp() * 1000) if facts.last else row.changed_ns // 10**6
    return replace(
        row,
        active_ms=last_ms,
        cwd=facts.cwds[0] if facts.cwds else "",
        project=project,
        wrote=f"{row.agent}/{facts.agent}" if facts.agent else row.agent,
        about=About.of(facts),
    )
