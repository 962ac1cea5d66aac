"""Events, in work.db: what was told to people, and what stood when it was told last."""

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
OVER = "fault over"


@dataclass(frozen=True)
class Event:
    """Something worth telling: `what` happened, to `who`, and `why`; `at` is UTC.

    `bad` ones are refusals and faults.
    """

    id: int
    at: datetime
    what: str
    who: str
    why: str
    bad: bool = False


def add(tx: Transaction, event: Event) -> None:
    """Note an event; its id is given here."""
    tx.execute(
        "INSERT INTO event (at, what, who, why, bad) VALUES (?, ?, ?, ?, ?)",
        [event.at.isoformat(), event.what, event.who, event.why, event.bad],
    )
    tx.execute("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", [_KEPT])


def add_once(tx: Transaction, event: Event) -> None:
    """Note an event unless it was noted: what goes on as it was is not news.

    The same is news again once something of another kind happened to the same `who`, such as the
    end of a fault; two reasons in turn are two events, not more.
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
    """Whether a fault's end was noted after it."""
    found = tx.execute(
        "SELECT 1 FROM event WHERE who = ? AND id > ? AND what = ? LIMIT 1",
        [fault.who, fault.id, OVER],
    )
    return found.fetchone() is not None


def told(tx: Transaction) -> dict[str, Fact]:
    """What stood when it was told last, by key."""
    rows = tx.execute("SELECT key, body FROM told")
    return {row["key"]: Fact.from_json(row["body"]) for row in rows}


def put_told(tx: Transaction, facts: Mapping[str, Fact]) -> None:
    """Remember that this is what stands, and was told."""
    tx.execute("DELETE FROM told")
    rows = [(key, fact.to_json()) for key, fact in facts.items()]
    tx.executemany("INSERT INTO told VALUES (?, ?)", rows)


def _event(row: dict[str, object]) -> Event:
    fields = {name: str(row[name]) for name in ("what", "who", "why")}
    at = datetime.fromisoformat(str(row["at"]))
    return Event(id=int(str(row["id"])), at=at, bad=bool(row["bad"]), **fields)
