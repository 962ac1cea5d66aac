"""Engram's database and its `.engram` folders for tests, as Engram writes them."""

import gzip
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

OLD = """
    CREATE TABLE sessions (id TEXT PRIMARY KEY, project TEXT NOT NULL, directory TEXT NOT NULL,
        started_at TEXT, ended_at TEXT, summary TEXT);
    CREATE TABLE observations (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,
        type TEXT NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL, tool_name TEXT,
        project TEXT, created_at TEXT NOT NULL);
    CREATE TABLE sync_chunks (chunk_id TEXT PRIMARY KEY, imported_at TEXT NOT NULL);
"""
NEW = """
    CREATE TABLE sessions (id TEXT PRIMARY KEY, project TEXT NOT NULL, directory TEXT NOT NULL,
        started_at TEXT, ended_at TEXT, summary TEXT, ownership_mode TEXT);
    CREATE TABLE observations (id INTEGER PRIMARY KEY AUTOINCREMENT, sync_id TEXT,
        session_id TEXT NOT NULL, type TEXT NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL,
        tool_name TEXT, project TEXT, scope TEXT NOT NULL DEFAULT 'project', topic_key TEXT,
        revision_count INTEGER NOT NULL DEFAULT 1, duplicate_count INTEGER NOT NULL DEFAULT 1,
        last_seen_at TEXT, review_after TEXT, pinned INTEGER, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL, deleted_at TEXT);
    CREATE TABLE user_prompts (id INTEGER PRIMARY KEY, session_id TEXT, content TEXT);
    CREATE TABLE sync_chunks (target_key TEXT NOT NULL DEFAULT 'local', chunk_id TEXT NOT NULL,
        imported_at TEXT NOT NULL, PRIMARY KEY (target_key, chunk_id));
    CREATE TABLE sync_mutations (seq INTEGER PRIMARY KEY, target_key TEXT, entity TEXT,
        entity_key TEXT, op TEXT, payload TEXT, source TEXT, project TEXT);
"""
AT = "2026-11-20 12:00:00"


class EngramHome:
    """Engram's database below a directory, in its schema of early or of late 2026."""

    def __init__(self, directory: Path, schema: str = NEW) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / "engram.db"
        with closing(sqlite3.connect(self.path)) as made:
            made.executescript("PRAGMA journal_mode = WAL;" + schema)

    def execute(self, query: str, *values: object) -> None:
        """Change the database, as Engram does."""
        with closing(sqlite3.connect(self.path)) as opened:
            opened.execute(query, values)
            opened.commit()

    def insert(self, table: str, **fields: object) -> None:
        """One more row."""
        names = ", ".join(fields)
        marks = ", ".join("?" for _ in fields)
        query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 tests' own names
        self.execute(query, *fields.values())

    def session(self, session_id: str, directory: Path, project: str = "repo") -> None:
        """A session that worked in a directory."""
        self.insert(
            "sessions", id=session_id, project=project, directory=str(directory), started_at=AT
        )

    def save(self, title: str, content: str = "what was learned", **fields: object) -> None:
        """Save an observation as `mem_save` does."""
        given: dict[str, object] = {
            "sync_id": f"obs-{hashlib.sha256(title.encode()).hexdigest()[:16]}",
            "session_id": "s1",
            "type": "bugfix",
            "title": title,
            "content": content,
            "project": "repo",
            "scope": "project",
            "revision_count": 1,
            "created_at": AT,
            "updated_at": AT,
        }
        self.insert("observations", **(given | fields))


def row(title: str, **fields: object) -> dict[str, Any]:
    """An observation as a chunk holds it."""
    given: dict[str, Any] = {
        "id": 1,
        "sync_id": f"obs-{hashlib.sha256(title.encode()).hexdigest()[:16]}",
        "session_id": "s1",
        "type": "decision",
        "title": title,
        "content": f"about {title}",
        "project": "repo",
        "scope": "project",
        "revision_count": 1,
        "created_at": AT,
        "updated_at": AT,
    }
    return given | fields


def write_chunk(
    engram: Path, observations: Iterable[Mapping[str, Any]], created_by: str, **lists: object
) -> str:
    """Put one more chunk into a `.engram` folder, as `engram sync` does; its id."""
    (engram / "chunks").mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"sessions": [], "observations": list(observations), "prompts": []}
    content |= lists
    raw = json.dumps(content).encode()
    chunk_id = hashlib.sha256(raw).hexdigest()[:8]
    (engram / "chunks" / f"{chunk_id}.jsonl.gz").write_bytes(gzip.compress(raw))
    path = engram / "manifest.json"
    manifest: dict[str, Any] = {"version": 1, "chunks": []}
    if path.exists():
        manifest = json.loads(path.read_text())
    manifest["chunks"].append({"id": chunk_id, "created_by": created_by, "created_at": AT})
    path.write_text(json.dumps(manifest, indent=2))
    return chunk_id
