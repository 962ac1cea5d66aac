"""Reads a row of Engram's observations, from its database or from a chunk.

Engram changes its columns often, and none but the oldest is always there: each field is looked up
by name, and what is missing is empty (docs/agent-files.md, "Engram").
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from karma_sync.agents.observations import label, observed, text
from karma_sync.domain.session.observation import (
    SourceObservation,
    StayReason,
    derived_id,
    moment_text,
)

ENGRAM = "engram"
_REVISIONS = 999  # of one second: they make its last three digits of the version


# begins the ids of the sessions under which the export hands over other members' observations
HANDED_OVER = "karma-sync-"


def observation_of(
    row: Mapping[str, Any], *, directories: Sequence[str] = (), stays: StayReason | None = None
) -> SourceObservation:
    """The observation in a row of the database or of a chunk; a deleted one is marked."""
    created, updated = _moment(row.get("created_at")), _moment(row.get("updated_at"))
    deleted = bool(row.get("deleted_at") or row.get("deleted"))
    changed = updated or created
    kind = label(row.get("type") or row.get("category"))
    title = label(row.get("title"))
    given = label(row.get("sync_id"))
    session = text(row.get("session_id"))
    fields = {
        "id": given or derived_id(session, kind, title, text(row.get("created_at"))),
        "version": version_of(changed, row.get("revision_count")),
        "type": kind,
        "title": "" if deleted else title,
        "content": "" if deleted else text(row.get("content")),
        "topic": label(row.get("topic_key")),
        "tool": label(row.get("tool_name")),
        "agent": ENGRAM,
        "created": moment_text(created) if created else "",
        "updated": moment_text(changed) if changed else "",
        "deleted": deleted,
        "scope": label(row.get("scope")).lower(),
    }
    found = observed(fields, project=label(row.get("project")), directories=directories)
    if session.startswith(HANDED_OVER):
        return found.staying(StayReason.FOREIGN)
    return found.staying(stays) if stays else found


def version_of(changed: datetime | None, revisions: object) -> int:
    """A version that grows with each edit: Engram counts revisions, and its times have seconds."""
    seconds = int(changed.timestamp()) if changed else 0
    count = revisions if isinstance(revisions, int) else 0
    return max(1, seconds * 1000 + min(max(count, 0), _REVISIONS))


def _moment(value: object) -> datetime | None:
    """A time as Engram writes it, `2026-05-31 12:00:00` or RFC 3339, in UTC; None if unreadable."""
    return _parsed(value.strip()) if isinstance(value, str) else None


@lru_cache(maxsize=4096)  # an agent saves several in one second, and each is read at every look
def _parsed(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
