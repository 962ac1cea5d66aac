"""Stores events in work.db, and the facts that were reported last (`domain/team/changes.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.team.changes import Fact
from karma_sync.store.database import Transaction

TABLES = """
    CREATE TABLE event (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
        why TEXT NOT NULL, bad INTEGER NOT NULL);
    CREATE INDEX event_by_who ON event (who);
    CREATE TABLE told (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID
    """
_KEPT = 10_000
FAULT_OVER = "fault over"


@dataclass(frozen=True)
class Event:
    """Something to report to people: `what` happened, to `who`, and `why`; `at` is UTC.

    Refusals and faults are `bad`.
    """

    id: int
    at: datetime
    what: str
    who: str
    why: str
    bad: bool = False


def add(tx: Transaction, event: Event) -> None:
    """Store an event; the database assigns its id and keeps the newest 10,000."""
    tx.execute(
        "INSERT INTO event (at, what, who, why, bad) VALUES (?, ?, ?, ?, ?)",
        [event.at.isoformat(), event.what, event.who, event.why, event.bad],
    )
    tx.execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", [_KEPT])


def add_once(tx: Transaction, event: Event) -> None:
    """Store an event unless it repeats one: a condition that continues is not news.

    An event is stored again after an event of another kind about the same `who`, such as the end
    of a fault. A fault that alternates between two reasons is stored once for each reason.
    """
    found = tx.execute(
        "SELECT 1 FROM event WHERE who = ? AND what = ? AND why = ? AND id >"
        " coalesce((SELECT max(id) FROM event WHERE who = ? AND what <> ?), 0) LIMIT 1",
        [event.who, event.what, event.why, event.who, event.what],
    )
    if found.fetchone() is None:
        add(tx, event)


def after(tx: Transaction, last_id: int) -> list[Event]:
    """Events newer than `last_id`, oldest first."""
    rows = tx.execute("SELECT * FROM event WHERE id > ? ORDER BY id", [last_id])
    return [_event(dict(row)) for row in rows]


def last_bad(tx: Transaction) -> Event | None:
    """The newest refusal or fault; None if there was none."""
    row = tx.execute("SELECT * FROM event WHERE bad ORDER BY id DESC LIMIT 1").fetchone()
    return _event(dict(row)) if row else None


def is_over(tx: Transaction, fault: Event) -> bool:
    """Whether the end of this fault was stored after it."""
    found = tx.execute(
        "SELECT 1 FROM event WHERE who = ? AND id > ? AND what = ? LIMIT 1",
        [fault.who, fault.id, FAULT_OVER],
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


def _event(row: dict[str, object]) -> Event:
    fields = {name: str(row[name]) for name in ("what", "who", "why")}
    at = datetime.fromisoformat(str(row["at"]))
    return Event(id=int(str(row["id"])), at=at, bad=bool(row["bad"]), **fields)
