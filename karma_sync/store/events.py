"""Stores events in work.db, and the facts that were reported last (`domain/team/changes.py`)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from karma_sync.domain.events import ALL_EVENTS, Event, EventFilter, EventType, Topic
from karma_sync.domain.team.changes import Fact
from karma_sync.store.database import Transaction

TABLES = """
    CREATE TABLE event (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, type TEXT NOT NULL, team TEXT NOT NULL,
        project TEXT NOT NULL, actor TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL,
        bad INTEGER NOT NULL);
    CREATE INDEX event_by_type ON event (type);
    CREATE INDEX event_by_team ON event (team);
    CREATE INDEX event_by_project ON event (project);
    CREATE INDEX event_by_actor ON event (actor);
    CREATE INDEX event_by_subject ON event (subject, payload);
    CREATE TABLE told (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
    """
_KEPT = 10_000


def add(tx: Transaction, event: Event) -> None:
    """Store an event; the database assigns its id and keeps the newest 10,000."""
    about = event.about
    tx.execute(
        "INSERT INTO event (at, type, team, project, actor, subject, payload, bad)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(event.at.isoformat(), event.type, about.team, about.project, about.actor),
            *(event.subject, event.payload, event.bad),
        ],
    )
    tx.execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", [_KEPT])


def add_once(tx: Transaction, event: Event) -> None:
    """Store an event unless it repeats one: a condition that continues is not news.

    An event is stored again after an event of another kind about the same subject, such as the end
    of a fault. A fault that alternates between two reasons is stored once for each reason.
    """
    found = tx.execute(
        "SELECT 1 FROM event WHERE subject = ? AND type = ? AND payload = ? AND id >"
        " coalesce((SELECT max(id) FROM event WHERE subject = ? AND type <> ?), 0) LIMIT 1",
        [event.subject, event.type, event.payload, event.subject, event.type],
    )
    if found.fetchone() is None:
        add(tx, event)


def after(tx: Transaction, last_id: int, wanted: EventFilter = ALL_EVENTS) -> list[Event]:
    """The wanted events newer than `last_id`, oldest first."""
    conditions, values = ["id > ?"], [last_id]
    for condition, found in _conditions(wanted):
        conditions.append(condition)
        values += found
    rows = tx.execute(
        f"SELECT * FROM event WHERE {' AND '.join(conditions)} ORDER BY id",  # noqa: S608 our names
        values,
    )
    return [_event(dict(row)) for row in rows]


def _conditions(wanted: EventFilter) -> Iterator[tuple[str, list[Any]]]:
    if wanted.types:
        yield f"type IN ({', '.join('?' for _ in wanted.types)})", list(wanted.types)
    if wanted.team:
        yield "team = ?", [wanted.team]
    if wanted.project:
        ending = f"/{wanted.project.lower()}"
        yield (
            "(project = ? OR substr(project, -length(?)) = ?)",
            [wanted.project.lower(), ending, ending],
        )
    if wanted.member:
        tag, user = wanted.member, f"{wanted.member}."
        of_user = "substr({0}, 1, length(?)) = ?"
        both = " OR ".join(f"{c} = ? OR {of_user.format(c)}" for c in ("actor", "subject"))
        yield f"({both})", [tag, user, user] * 2
    if wanted.since:
        yield "at >= ?", [wanted.since.isoformat()]


def last_bad(tx: Transaction) -> Event | None:
    """The newest refusal or fault; None if there was none."""
    row = tx.execute("SELECT * FROM event WHERE bad ORDER BY id DESC LIMIT 1").fetchone()
    return _event(dict(row)) if row else None


def is_over(tx: Transaction, fault: Event) -> bool:
    """Whether the end of this fault was stored after it."""
    found = tx.execute(
        "SELECT 1 FROM event WHERE subject = ? AND id > ? AND type = ? LIMIT 1",
        [fault.subject, fault.id, EventType.FAULT_OVER],
    )
    return found.fetchone() is not None


def reported_facts(tx: Transaction) -> dict[str, Fact]:
    """The facts that were reported last, by key."""
    rows = tx.execute("SELECT key, body FROM told")
    return {row["key"]: Fact.from_json(row["body"]) for row in rows}


def put_reported_facts(tx: Transaction, facts: Mapping[str, Fact]) -> None:
    """Replace the facts that were reported last."""
    tx.execute("DELETE FROM told")
    rows = [(key, fact.to_json()) for key, fact in facts.items()]
    tx.executemany("INSERT INTO told VALUES (?, ?)", rows)


def _event(row: dict[str, Any]) -> Event:
    return Event(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        type=EventType(row["type"]),
        subject=row["subject"],
        payload=row["payload"],
        bad=bool(row["bad"]),
        about=Topic(row["team"], row["project"], row["actor"]),
    )
