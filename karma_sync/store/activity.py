"""Stores the activity of sessions for `who` and `stats`, beside the library's or archive's index.

It is written with the index, in the same transaction, from the same lines; an item that is taken
out of the index is taken out here too. Items and files have the numbers that
`store/search_index.py` gave them.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from karma_sync.domain.session.activity import (
    HOUR_S,
    STRETCH_S,
    Activity,
    Response,
    absolute,
    root_of,
)
from karma_sync.store.database import Transaction

# - `activity_place`: the directories in which an item's session worked; `placed` is 0 while the
#   touched files are not compared with it.
# - `activity_open`: calls that name a file and have no result yet.
# - `activity_touch`: files that were read or changed; `below` is where the part of `path` begins
#   (from 1) that lies in the repository, 0 while that is not known.
# - `activity_response`: the tokens of each response; several records repeat them.
# - `activity_stretch`: the five minutes in which something was written, with the prompts in them.
# - `activity_usage`: the sums of both by hour; the row without a model has prompts and stretches.
TABLES = """
    CREATE TABLE activity_place (
        item INTEGER, cwd TEXT, placed INTEGER NOT NULL, PRIMARY KEY (item, cwd)) WITHOUT ROWID;
    CREATE TABLE activity_open (
        item INTEGER, file INTEGER, id TEXT, path TEXT NOT NULL, changes INTEGER NOT NULL,
        message TEXT NOT NULL, PRIMARY KEY (item, file, id)) WITHOUT ROWID;
    CREATE TABLE activity_touch (
        number INTEGER PRIMARY KEY, item INTEGER NOT NULL, file INTEGER NOT NULL,
        path TEXT NOT NULL, below INTEGER NOT NULL, changes INTEGER NOT NULL,
        times INTEGER NOT NULL, last INTEGER NOT NULL, message TEXT NOT NULL);
    CREATE UNIQUE INDEX activity_touch_by_item ON activity_touch (item, file, changes, path);
    CREATE INDEX activity_touch_by_path ON activity_touch (substr(path, below));
    CREATE TABLE activity_response (
        item INTEGER, id INTEGER, file INTEGER NOT NULL, hour INTEGER NOT NULL,
        model TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,
        cache_read INTEGER NOT NULL, cache_creation INTEGER NOT NULL,
        PRIMARY KEY (item, id)) WITHOUT ROWID;
    CREATE TABLE activity_stretch (
        item INTEGER, at INTEGER, file INTEGER, turns INTEGER NOT NULL,
        PRIMARY KEY (item, at, file)) WITHOUT ROWID;
    CREATE TABLE activity_usage (
        item INTEGER, hour INTEGER, model TEXT, turns INTEGER NOT NULL DEFAULT 0,
        stretches INTEGER NOT NULL DEFAULT 0, input INTEGER NOT NULL DEFAULT 0,
        output INTEGER NOT NULL DEFAULT 0, cache_read INTEGER NOT NULL DEFAULT 0,
        cache_creation INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (item, hour, model)) WITHOUT ROWID;
    CREATE TABLE activity_tool (
        item INTEGER, file INTEGER, tool TEXT, times INTEGER NOT NULL,
        PRIMARY KEY (item, file, tool)) WITHOUT ROWID
    """
_TABLES = ("place", "open", "touch", "response", "stretch", "usage", "tool")
_OF_FILES = ("open", "touch", "response", "stretch", "tool")

_PATH_CHARS = 1000  # a longer one is no path
_TOOL_CHARS = 100
_MODEL_CHARS = 100
_STRETCHES = HOUR_S // STRETCH_S
_COUNTS = ("input", "output", "cache_read", "cache_creation")
_SUMS = ("turns", "stretches", *_COUNTS)
_MARKS = ", ".join("?" for _ in ("item", "hour", "model", *_SUMS))
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
_UsageKey = tuple[int, str]  # an hour (Unix seconds / 3600), and a model


@dataclass
class _Open:
    """A call that has no result yet, and whether the database knows it already."""

    path: str
    changes: bool
    message: str
    stored: bool = False


class _Touch(NamedTuple):
    times: int = 0
    last: int = 0
    message: str = ""


@dataclass
class _Sums:
    """The facts of one block of lines, before they are stored."""

    open: dict[str, _Open]
    cwds: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    touches: dict[tuple[str, bool], _Touch] = field(default_factory=dict)
    responses: dict[str, tuple[int, Response]] = field(default_factory=dict)
    stretches: Counter[int] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)

    def take(self, time: int, found: Activity, is_main: bool) -> None:
        """Add the facts of one record; `time` is in Unix seconds, 0 if it has none."""
        if found.cwd and len(found.cwd) <= _PATH_CHARS:
            self.cwds.add(found.cwd)
        if time > 0:
            self.stretches[time // STRETCH_S] += found.is_turn and is_main
        if found.response is not None:
            self._take_response(time, found.response)
        for call in found.calls:
            self.tools[call.tool[:_TOOL_CHARS]] += 1
            path = absolute(call.path, found.cwd) if call.path else ""
            if path and len(path) <= _PATH_CHARS:
                self.open[call.id] = _Open(path, call.changes, found.message)
        for call_id, failed in found.results:
            self._end(time, call_id, failed)

    def _take_response(self, time: int, new: Response) -> None:
        hour, known = self.responses.get(new.id, (time // HOUR_S, new))
        counts = {name: max(getattr(known, name), getattr(new, name)) for name in _COUNTS}
        self.responses[new.id] = hour, known._replace(**counts)

    def _end(self, time: int, call_id: str, failed: bool) -> None:
        call = self.open.pop(call_id, None)
        if call is None:
            return
        if call.stored:
            self.ended.add(call_id)
        if not failed:
            key = call.path, call.changes
            times, last, _ = self.touches.get(key, _Touch())
            self.touches[key] = _Touch(times + 1, max(last, time), call.message)


def add(
    tx: Transaction, item: int, file: int, is_main: bool, found: Iterable[tuple[int, Activity]]
) -> None:
    """Add what lines of a file tell, each with its time in Unix seconds.

    Prompts count in a session's own transcript (`is_main`), not in a subagent's.
    """
    rows = tx.execute("SELECT * FROM activity_open WHERE item = ? AND file = ?", [item, file])
    known = {r["id"]: _Open(r["path"], bool(r["changes"]), r["message"], True) for r in rows}
    sums = _Sums(known)
    for time, each in found:
        sums.take(time, each, is_main)
    tx.executemany(
        "INSERT OR IGNORE INTO activity_place VALUES (?, ?, 0)",
        [(item, cwd) for cwd in sums.cwds],
    )
    _put_calls(tx, item, file, sums)
    tx.executemany(
        "INSERT INTO activity_tool VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " times = times + excluded.times",
        [(item, file, tool, times) for tool, times in sums.tools.items()],
    )
    usage: dict[_UsageKey, list[int]] = {}
    _put_responses(tx, item, file, sums, usage)
    _put_stretches(tx, item, file, sums, usage)
    tx.executemany(
        f"INSERT INTO activity_usage VALUES ({_MARKS}) ON CONFLICT DO UPDATE SET {_ADDED}",  # noqa: S608 ours
        [(item, *key, *counts) for key, counts in usage.items()],
    )


def place(tx: Transaction, item: int, project: str) -> None:
    """Find out where in the repository of `project` the files lie that an item touched."""
    rows = tx.execute("SELECT cwd, placed FROM activity_place WHERE item = ?", [item]).fetchall()
    cwds = [row["cwd"] for row in rows]
    again = "" if all(row["placed"] for row in rows) else " OR 1"
    touched = tx.execute(
        f"SELECT number, path, below FROM activity_touch WHERE item = ? AND (below = 0{again})",  # noqa: S608
        [item],
    ).fetchall()
    changed = []
    for row in touched:
        root = root_of(row["path"], cwds, project)
        below = len(root.rstrip("/")) + 2 if root else 1
        if below != row["below"]:
            changed.append((below, row["number"]))
    tx.executemany("UPDATE activity_touch SET below = ? WHERE number = ?", changed)
    tx.executemany(
        # row by row: an UPDATE of several rows has FTS5 write what it holds of the transaction
        "UPDATE activity_place SET placed = 1 WHERE item = ? AND cwd = ?",
        [(item, row["cwd"]) for row in rows if not row["placed"]],
    )


def drop_file(tx: Transaction, item: int, file: int) -> None:
    """Forget the facts of one file of an item."""
    for table in _OF_FILES:
        tx.execute(
            f"DELETE FROM activity_{table} WHERE item = ? AND file = ?",  # noqa: S608 ours
            [item, file],
        )
    tx.execute("DELETE FROM activity_usage WHERE item = ?", [item])
    sums = ", ".join(f"sum({name})" for name in _COUNTS)
    tx.execute(
        f"INSERT INTO activity_usage SELECT item, hour, model, 0, 0, {sums}"  # noqa: S608 ours
        " FROM activity_response WHERE item = ? GROUP BY hour, model",
        [item],
    )
    tx.execute(
        # a response that names no model has the same row
        "INSERT INTO activity_usage SELECT item, at / ?, '', sum(turns), count(DISTINCT at),"  # noqa: S608 ours
        " 0, 0, 0, 0 FROM activity_stretch WHERE item = ? GROUP BY at / ?"
        f" ON CONFLICT DO UPDATE SET {_ADDED}",
        [_STRETCHES, item, _STRETCHES],
    )


def drop_items(tx: Transaction, items: Iterable[int]) -> None:
    """Forget the facts of these items."""
    for item in items:
        for table in _TABLES:
            tx.execute(f"DELETE FROM activity_{table} WHERE item = ?", [item])  # noqa: S608 ours


def _put_calls(tx: Transaction, item: int, file: int, sums: _Sums) -> None:
    tx.executemany(
        "DELETE FROM activity_open WHERE item = ? AND file = ? AND id = ?",
        [(item, file, call) for call in sums.ended],
    )
    tx.executemany(
        "INSERT OR REPLACE INTO activity_open VALUES (?, ?, ?, ?, ?, ?)",
        [
            (item, file, call_id, call.path, call.changes, call.message)
            for call_id, call in sums.open.items()
            if not call.stored
        ],
    )
    tx.executemany(
        "INSERT INTO activity_touch (item, file, path, below, changes, times, last, message)"
        " VALUES (?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " times = times + excluded.times, last = max(last, excluded.last),"
        " message = excluded.message",
        [
            (item, file, path, changes, touch.times, touch.last, touch.message)
            for (path, changes), touch in sums.touches.items()
        ],
    )


def _put_responses(
    tx: Transaction, item: int, file: int, sums: _Sums, usage: dict[_UsageKey, list[int]]
) -> None:
    """Store the greatest counts of each response; what is new in them is added to `usage`."""
    found = {_number(name): each for name, each in sums.responses.items()}
    rows = tx.execute(
        f"SELECT id, hour, model, {', '.join(_COUNTS)} FROM activity_response"  # noqa: S608 ours
        " WHERE item = ? AND id IN (SELECT value FROM json_each(?))",
        [item, json.dumps(list(found))],
    )
    known = {row["id"]: row for row in rows}
    changed = []
    for number, (hour, response) in found.items():
        model = response.model[:_MODEL_CHARS]
        before = [0, 0, 0, 0]
        if (row := known.get(number)) is not None:
            hour, model, before = row["hour"], row["model"], [row[name] for name in _COUNTS]
        after = [max(b, getattr(response, n)) for b, n in zip(before, _COUNTS, strict=True)]
        if row is None or after != before:
            changed.append((item, number, file, hour, model, *after))
            new = (0, 0, *(a - b for a, b in zip(after, before, strict=True)))
            _add(usage, (hour, model), new)
    tx.executemany(
        "INSERT INTO activity_response VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " input = excluded.input, output = excluded.output, cache_read = excluded.cache_read,"
        " cache_creation = excluded.cache_creation",
        changed,
    )


def _put_stretches(
    tx: Transaction, item: int, file: int, sums: _Sums, usage: dict[_UsageKey, list[int]]
) -> None:
    """Record in which five minutes something was written; a session counts each of them once."""
    rows = tx.execute(
        "SELECT DISTINCT at FROM activity_stretch WHERE item = ?"
        " AND at IN (SELECT value FROM json_each(?))",
        [item, json.dumps(list(sums.stretches))],
    )
    known = {row["at"] for row in rows}
    for at, turns in sums.stretches.items():
        if at not in known or turns:
            _add(usage, (at // _STRETCHES, ""), (turns, int(at not in known), 0, 0, 0, 0))
    tx.executemany(
        "INSERT INTO activity_stretch VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " turns = turns + excluded.turns",
        [(item, at, file, turns) for at, turns in sums.stretches.items()],
    )


def _add(usage: dict[_UsageKey, list[int]], key: _UsageKey, counts: Iterable[int]) -> None:
    before = usage.get(key, [0] * len(_SUMS))
    usage[key] = [b + c for b, c in zip(before, counts, strict=True)]


def _number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
