"""Hands observations over to Engram: writes chunks that `engram sync --import` reads.

Each observation is in exactly one chunk; an edit and a deletion follow as a mutation in a later
one. Earlier observations are read from the chunks themselves.

Engram's own export takes the rows saved after the newest chunk of a manifest. So a chunk of ours
never makes a manifest newer than it was: Engram would leave out the rows that it saved before.
"""

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from karma_sync.agents.engram.chunks import (
    BadChunk,
    Chunk,
    ChunkEntry,
    ChunkNotFound,
    ChunkStore,
)
from karma_sync.agents.engram.rows import HANDED_OVER
from karma_sync.domain.session.observation import Observation
from karma_sync.domain.value import Value

_SOURCE = "karma-sync"
_NO_PLACE = "(karma-sync)"  # the directory of the sessions: late versions refuse an empty one
_FIRST = "1970-01-01T00:00:00Z"  # the moment of a chunk in a manifest that lists no other


@dataclass(frozen=True)
class HandedOver:
    """An observation to be handed over: the record, its author's name, its project for Engram."""

    record: Observation
    author: str
    project: str


class ExportResult(Value, frozen=True, kw_only=True):
    """The result of an export: the new chunk's id ("" if nothing was new) and its counts."""

    chunk_id: str = ""
    sessions_exported: int = 0
    observations_exported: int = 0
    prompts_exported: int = 0
    mutations_exported: int = 0
    is_empty: bool = True


@dataclass(frozen=True)
class _Known:
    """An observation in the chunks: texts (None if deleted), project, and creator of the chunk."""

    said: str | None
    project: str
    is_ours: bool


def export(
    store: ChunkStore,
    found: Iterable[HandedOver],
    created_by: str,
    at: str,
    projects: Container[str] | None = None,
) -> ExportResult:
    """Write one chunk with all that the store does not have yet; none if there is nothing new.

    `created_by` is this member's tag, `at` the moment of the edits and deletions. Chunks that
    others put into the store are not handed over again, and never changed or deleted. With
    `projects`, by Engram's names, only observations of them are deleted if not among `found`.

    Raises:
        BadChunk: the store's manifest is damaged; nothing was written.
    """
    manifest = store.read_manifest()
    known = _handed_over(store, manifest.chunks, created_by)
    wanted = {each.record.id: each for each in found}
    ordered = [each for _, each in sorted(wanted.items())]
    new = [each for each in ordered if each.record.id not in known]
    changed = [each for each in ordered if _differs(known.get(each.record.id), each)]
    gone = [
        (name, each.project)
        for name, each in sorted(known.items())
        if each.is_ours and each.said is not None and name not in wanted
        if projects is None or each.project in projects
    ]
    if not new and not changed and not gone:
        return ExportResult()
    sessions = _sessions((*new, *changed))
    mutations = [_upsert(each, at) for each in changed]
    mutations += [_delete(name, project, at) for name, project in gone]
    chunk = Chunk(tuple(sessions), tuple(_row(each) for each in new), (), tuple(mutations))
    chunk_id = store.write_chunk(chunk)
    newest = max((each.created_at for each in manifest.chunks), default=_FIRST)
    entry = ChunkEntry(chunk_id, created_by, newest, len(sessions), len(new), 0)
    store.write_manifest(manifest.with_entry(entry))
    return ExportResult(
        chunk_id=chunk_id,
        sessions_exported=len(sessions),
        observations_exported=len(new),
        mutations_exported=len(mutations),
        is_empty=False,
    )


def _differs(known: _Known | None, each: HandedOver) -> bool:
    return known is not None and known.is_ours and known.said != _said(_fields(each))


def _handed_over(
    store: ChunkStore, chunks: Iterable[ChunkEntry], created_by: str
) -> dict[str, _Known]:
    """The observations in the chunks so far, by id."""
    known: dict[str, _Known] = {}
    for entry in chunks:
        try:
            chunk = store.read_chunk(entry.id)
        except (ChunkNotFound, BadChunk):
            continue  # the manifest lists a chunk that a merge lost
        ours = entry.created_by == created_by
        for row in chunk.observations:
            known[str(row.get("sync_id"))] = _Known(_said(row), str(row.get("project")), ours)
        for mutation in chunk.mutations:
            if mutation.get("entity") == "observation":
                name = str(mutation.get("entity_key"))
                was_ours = known[name].is_ours if name in known else ours
                said = None if mutation.get("op") == "delete" else _said(_payload(mutation))
                known[name] = _Known(said, str(mutation.get("project")), was_ours)
    return known


def _payload(mutation: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = mutation.get("payload")
    try:
        fields = json.loads(payload) if isinstance(payload, str) else payload
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _said(row: Mapping[str, Any]) -> str:
    return "\0".join(str(row.get(name) or "") for name in ("type", "title", "content"))


def _fields(each: HandedOver) -> dict[str, Any]:
    """The fields of an observation for Engram.

    Engram has no column for an author, so the text names the author.
    """
    record = each.record
    by = f"(by {each.author})"
    content = f"{record.content.rstrip()}\n\n{by}" if each.author else record.content
    title = record.title.strip() or record.content.strip()[:80].strip() or record.id
    fields: dict[str, Any] = {
        "sync_id": record.id,
        "session_id": _session_of(each.project),
        "type": record.type.strip() or "discovery",
        "title": title,
        "content": content if content.strip() else title,
        "project": each.project,
        "scope": "project",
    }
    if record.topic:
        fields["topic_key"] = record.topic
    if record.tool:
        fields["tool_name"] = record.tool
    return fields


def _row(each: HandedOver) -> dict[str, Any]:
    created, updated = (_engram_time(t) for t in (each.record.created, each.record.updated))
    times = {"created_at": created or updated, "updated_at": updated or created}
    return {
        "id": 0,
        **_fields(each),
        "revision_count": 1,
        "duplicate_count": 1,
        "last_seen_at": None,
        **times,
    }


def _upsert(each: HandedOver, at: str) -> dict[str, Any]:
    return _mutation(each.record.id, "upsert", _fields(each), each.project, at)


def _delete(name: str, project: str, at: str) -> dict[str, Any]:
    payload = {"sync_id": name, "project": project, "deleted": True, "deleted_at": at}
    return _mutation(name, "delete", payload, project, at)


def _mutation(
    name: str, op: str, payload: Mapping[str, Any], project: str, at: str
) -> dict[str, Any]:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return {
        "seq": 0,
        "target_key": "local",
        "entity": "observation",
        "entity_key": name,
        "op": op,
        "payload": text,
        "source": _SOURCE,
        "project": project,
        "occurred_at": at,
    }


def _sessions(found: Iterable[HandedOver]) -> list[dict[str, Any]]:
    """A session for each project: Engram takes no observation without one."""
    firsts: dict[str, str] = {}
    for each in found:
        moment = each.record.created or each.record.updated
        firsts[each.project] = min(firsts.get(each.project, moment), moment)
    return [
        {
            "id": _session_of(project),
            "project": project,
            "directory": _NO_PLACE,
            "started_at": _engram_time(first) or "1970-01-01 00:00:00",
        }
        for project, first in sorted(firsts.items())
    ]


def _session_of(project: str) -> str:
    return f"{HANDED_OVER}{project}"


def _engram_time(moment: str) -> str:
    return moment.replace("T", " ").rstrip("Z")
