"""Stores in archive.db what the archive holds; the content lies in the packs (archive/pack.py).

Only the archiver writes. Readers open the file read-only (`store/read_only.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from karma_sync.archive import index
from karma_sync.domain import limits
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.facts import Facts, PlanNames
from karma_sync.domain.session.profile import TITLE, TRANSCRIPT
from karma_sync.domain.session.source_files import Position
from karma_sync.domain.value import Value
from karma_sync.store.database import Database, Transaction

_MIGRATIONS = [
    """
    CREATE TABLE session (
        agent TEXT, session TEXT, generation INTEGER NOT NULL, length INTEGER NOT NULL,
        entries INTEGER NOT NULL, size INTEGER NOT NULL, state TEXT NOT NULL,
        changed_ns INTEGER NOT NULL, active_ms INTEGER NOT NULL, archived_ms INTEGER NOT NULL,
        gone_ms INTEGER NOT NULL, early INTEGER NOT NULL,
        home TEXT NOT NULL, folder TEXT NOT NULL, cwd TEXT NOT NULL, project TEXT NOT NULL,
        wrote TEXT NOT NULL, about TEXT NOT NULL, plans TEXT NOT NULL,
        PRIMARY KEY (agent, session)) WITHOUT ROWID;
    CREATE INDEX session_by_activity ON session (active_ms);
    CREATE TABLE file (
        agent TEXT, session TEXT, name TEXT, version INTEGER, path TEXT NOT NULL,
        size INTEGER NOT NULL, read_to TEXT NOT NULL, facts TEXT NOT NULL, fed INTEGER NOT NULL,
        PRIMARY KEY (agent, session, name, version)) WITHOUT ROWID;
    CREATE INDEX file_by_path ON file (path);
    CREATE TABLE purged (
        agent TEXT, session TEXT, at_ms INTEGER NOT NULL,
        PRIMARY KEY (agent, session)) WITHOUT ROWID;
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID
    """,
    *index.TABLES,
]

Key = index.Key


@dataclass(frozen=True)
class ArchivedFile:
    """One version of one file in the archive.

    - `path` is below the agent's directory, `size` in bytes.
    - `read_to` is where reading goes on in the source; None in a version that was replaced.
    - `facts` are those of a transcript's first `fed` bytes; `fed` is -1 once a line was too long.
    """

    name: str
    version: int
    path: str
    size: int
    read_to: Position | None = None
    facts: Facts | None = None
    fed: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """The name and the version."""
        return self.name, self.version

    @property
    def label(self) -> str:
        """The name by which a person asks for this version once another one replaced it."""
        return f"{self.name}@{self.version}"

    @property
    def is_main(self) -> bool:
        """Whether it is the session's own transcript."""
        return self.name == TRANSCRIPT


class About(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The facts from its transcript that a list shows of an archived session; times are UTC."""

    agent_name: str = ""
    title: str = ""
    branches: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    records: int = 0
    prompts: int = 0
    tokens: dict[str, int] = {}

    @classmethod
    def of(cls, facts: Facts) -> "About":
        """The values that a list shows, from these facts."""
        return cls(
            agent_name=facts.agent[: limits.TITLE_CHARS],
            title=facts.title[: limits.TITLE_CHARS],
            branches=tuple(branch[: limits.TITLE_CHARS] for branch in facts.branches),
            models=tuple(model[: limits.TITLE_CHARS] for model in facts.models),
            first=facts.first,
            last=facts.last,
            records=facts.records,
            prompts=facts.prompts,
            tokens=dict(facts.tokens),
        )


@dataclass(frozen=True)
class ArchivedSession:
    """One session in the archive.

    - Its pack is the file of this `generation`; its first `length` bytes are valid.
    - `size` counts the bytes of the newest versions, `entries` the pieces in the pack.
    - `state` identifies the state of the source's files that is archived; "" if not all of it is.
    - `changed_ns` (Unix nanoseconds) is when the source was last written. `active_ms`,
      `archived_ms` and `gone_ms` (Unix milliseconds) are when the session was last active, when it
      was last archived, and when the source was first missed; 0 if the agent has it. `early` is 1
      if the source was missed before the agent's own clean-up would have deleted it.
    - `home` is the agent's directory, `folder` its project directory below that.
    - `cwd` is the first directory in which it worked, `project` the project to which it belongs; ""
      if there is none, or more than one. `wrote` is the agent with its own name.
    """

    agent: str
    session: str
    generation: int = 1
    length: int = 0
    entries: int = 0
    size: int = 0
    state: str = ""
    changed_ns: int = 0
    active_ms: int = 0
    archived_ms: int = 0
    gone_ms: int = 0
    early: int = 0
    home: str = ""
    folder: str = ""
    cwd: str = ""
    project: str = ""
    wrote: str = ""
    about: About = About()
    plans: PlanNames = PlanNames()

    @property
    def key(self) -> Key:
        """The agent and the id."""
        return self.agent, self.session


_NO_PLANS = PlanNames()


class _Plans(Value, frozen=True, kw_only=True):
    slugs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def open_archive(path: Path) -> Database:
    """Open archive.db; creates it if it does not exist.

    A source may vanish as soon as it is archived, so each commit waits for the disk.
    """
    return Database(path, _MIGRATIONS, durable=True)


# ---- sessions


def put_session(tx: Transaction, row: ArchivedSession) -> None:
    """Store a session in place of what was stored about it."""
    plans = _Plans(slugs=tuple(sorted(row.plans.slugs)), paths=tuple(sorted(row.plans.paths)))
    tx.execute(
        f"INSERT OR REPLACE INTO session VALUES ({', '.join('?' * 19)})",  # noqa: S608 marks
        [
            *(row.agent, row.session, row.generation, row.length, row.entries, row.size),
            *(row.state, row.changed_ns, row.active_ms, row.archived_ms, row.gone_ms, row.early),
            *(row.home, row.folder, row.cwd, row.project, row.wrote, row.about.to_json()),
            plans.to_json() if row.plans else "",
        ],
    )


def get_session(tx: Transaction, key: Key) -> ArchivedSession | None:
    """The session with this key; None if it is not archived."""
    rows = tx.execute("SELECT * FROM session WHERE agent = ? AND session = ?", key)
    return next((_session(row) for row in rows), None)


def all_sessions(tx: Transaction) -> dict[Key, ArchivedSession]:
    """Every archived session, for the archiver alone; the last active first."""
    rows = tx.execute("SELECT * FROM session ORDER BY active_ms DESC, session")
    found = (_session(row) for row in rows)
    return {row.key: row for row in found}


@dataclass(frozen=True)
class SeenState:
    """An archived session's facts that a pass compares with the source; see ArchivedSession."""

    state: str
    changed_ns: int
    is_gone: bool
    plans: PlanNames


def states(tx: Transaction) -> dict[Key, SeenState]:
    """The facts that a pass compares, for every archived session."""
    rows = tx.execute("SELECT agent, session, state, changed_ns, gone_ms, plans FROM session")
    return {
        (agent, session): SeenState(state, changed_ns, gone_ms > 0, _plans(plans))
        for agent, session, state, changed_ns, gone_ms, plans in rows
    }


def scattered(tx: Transaction, before_ns: int, frame: int, spare: int) -> list[ArchivedSession]:
    """Sessions that may have more pieces than they need, last written before a moment.

    They have `spare` pieces more than twice as many as frames of the size `frame` would be.
    """
    rows = tx.execute(
        "SELECT * FROM session WHERE entries > 2 * (size / ?) + ? AND changed_ns < ?",
        [frame, spare, before_ns],
    )
    return [_session(row) for row in rows]


def readable(tx: Transaction, scope: AccessScope, session: str = "") -> list[ArchivedSession]:
    """The archived sessions that the scope allows, the last active first.

    All of them are the reader's own, and belong to no team. With `session`, only those whose id
    begins with that text.
    """
    where, values = ["?", "substr(session, 1, ?) = ?"], [scope.sees_own, len(session), session]
    for column, allowed in (("project", scope.only), ("wrote", scope.agents)):
        if allowed is not None:
            where.append(f"{column} IN ({', '.join('?' for _ in allowed)})")
            values += sorted(allowed)
    rows = tx.execute(
        f"SELECT * FROM session WHERE {' AND '.join(where)}"  # noqa: S608 our column names
        " ORDER BY active_ms DESC, session",
        values,
    )
    return [_session(row) for row in rows]


def set_gone(tx: Transaction, key: Key, gone_ms: int, early: bool) -> None:
    """Record since when the agent lacks a session, and if that was early; 0 if it has it."""
    tx.execute(
        "UPDATE session SET gone_ms = ?, early = ? WHERE agent = ? AND session = ?",
        [gone_ms, int(early), *key],
    )


def drop_session(tx: Transaction, key: Key) -> None:
    """Delete a session and its files from the database; the caller deletes the pack."""
    tx.execute("DELETE FROM file WHERE agent = ? AND session = ?", key)
    tx.execute("DELETE FROM session WHERE agent = ? AND session = ?", key)


def _session(row: object) -> ArchivedSession:
    fields = dict(row)  # type: ignore[call-overload] # a row of sqlite3
    parsed = {"about": About.from_json(fields["about"]), "plans": _plans(fields["plans"])}
    return ArchivedSession(**fields | parsed)


def _plans(stored: str) -> PlanNames:
    if not stored:
        return _NO_PLANS
    plans = _Plans.from_json(stored)
    return PlanNames(frozenset(plans.slugs), frozenset(plans.paths))


# ---- files


def put_file(tx: Transaction, key: Key, file: ArchivedFile) -> None:
    """Store one version of a file."""
    tx.execute(
        "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(*key, file.name, file.version, file.path, file.size),
            file.read_to.to_json() if file.read_to else "",
            file.facts.model_dump_json() if file.facts else "",
            file.fed,
        ],
    )


def files_of(tx: Transaction, key: Key) -> list[ArchivedFile]:
    """All versions of all files of a session, by name and version."""
    rows = tx.execute(
        "SELECT * FROM file WHERE agent = ? AND session = ? ORDER BY name, version", key
    )
    return [
        ArchivedFile(
            name=row["name"],
            version=row["version"],
            path=row["path"],
            size=row["size"],
            read_to=Position.from_json(row["read_to"]) if row["read_to"] else None,
            facts=Facts.model_validate_json(row["facts"]) if row["facts"] else None,
            fed=row["fed"],
        )
        for row in rows
    ]


_OF_PATH = (
    " FROM file JOIN session USING (agent, session) WHERE path = ? AND home = ? AND read_to <> ''"
)


def facts_of_path(tx: Transaction, home: str, path: str) -> tuple[Position, Facts] | None:
    """The facts of a whole file, and its state then; None if they are not known.

    `path` is below `home`, the agent's directory.
    """
    row = tx.execute(
        f"SELECT read_to, facts{_OF_PATH} AND facts <> '' AND fed = file.size",  # noqa: S608 ours
        [path, home],
    ).fetchone()
    if row is None:
        return None
    return Position.from_json(row["read_to"]), Facts.model_validate_json(row["facts"])


def session_of_path(tx: Transaction, home: str, path: str) -> str:
    """The session of an archived file; "" if there is none. `path` is below `home`."""
    row = tx.execute(f"SELECT session{_OF_PATH}", [path, home]).fetchone()  # noqa: S608 ours
    return str(row["session"]) if row else ""


def drop_file(tx: Transaction, key: Key, file: ArchivedFile) -> None:
    """Forget one version of a file; its content goes when the pack is written anew."""
    tx.execute(
        "DELETE FROM file WHERE agent = ? AND session = ? AND name = ? AND version = ?",
        [*key, file.name, file.version],
    )


def newest(files: Iterable[ArchivedFile]) -> dict[str, ArchivedFile]:
    """The newest version of each file, by name."""
    found: dict[str, ArchivedFile] = {}
    for file in files:
        if file.name not in found or found[file.name].version < file.version:
            found[file.name] = file
    return found


def facts_of(files: Mapping[str, ArchivedFile]) -> Facts:
    """The facts from a session's transcript, with the directories of its subagents too.

    A name that the transcript does not give comes from another copy of it, or from the file beside
    it that has the title.
    """
    main = files.get(TRANSCRIPT)
    facts = main.facts if main and main.facts else Facts()
    others = [f for f in files.values() if f.facts and f is not main]
    naming = [f.facts for f in others if f.facts if f.name == TITLE or f.name.startswith("copies/")]
    every = [facts, *(f.facts for f in others if f.facts)]
    cwds = dict.fromkeys(cwd for each in every for cwd in each.cwds)
    return facts.with_names_of(naming).model_copy(update={"cwds": list(cwds)})


def plans_of(files: Mapping[str, ArchivedFile]) -> PlanNames:
    """The names of the session's plans."""
    return Facts.plan_names(file.facts for file in files.values() if file.facts)


# ---- what was purged, and marks


def put_purged(tx: Transaction, key: Key, now_ms: int) -> None:
    """Record that a session was forgotten for good at `now_ms` (Unix milliseconds)."""
    tx.execute("INSERT OR REPLACE INTO purged VALUES (?, ?, ?)", [*key, now_ms])


def purged(tx: Transaction) -> set[Key]:
    """The keys of all sessions that were forgotten for good."""
    return {(row["agent"], row["session"]) for row in tx.execute("SELECT * FROM purged")}


def is_purged(tx: Transaction, key: Key) -> bool:
    """Whether a session was forgotten for good."""
    row = tx.execute("SELECT 1 FROM purged WHERE agent = ? AND session = ?", key).fetchone()
    return row is not None


def put_mark(tx: Transaction, name: str, value: int) -> None:
    """Remember a number by name."""
    tx.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", [name, value])


def mark(tx: Transaction, name: str) -> int:
    """The number that was remembered by this name; 0 if there is none."""
    row = tx.execute("SELECT value FROM mark WHERE name = ?", [name]).fetchone()
    return int(row["value"]) if row else 0
