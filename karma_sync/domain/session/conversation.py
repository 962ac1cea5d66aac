"""Turns a transcript into the conversation that people read: what was said, which tools were used.

The texts are safe to show on a terminal.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from karma_sync.domain.text import printable

_TOOL_CHARS = 160


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation; `who` is `user`, `assistant`, or `tool` for a tool's use."""

    who: str
    text: str


def conversation(lines: Iterable[bytes]) -> Iterator[Turn]:
    """The turns of a transcript (one record per line).

    Skips records that are not turns, and lines that do not parse.
    """
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and not record.get("isMeta"):
            yield from _turns(record)


def _turns(record: dict[str, Any]) -> Iterator[Turn]:
    who, message = record.get("type"), record.get("message")
    if who not in ("user", "assistant") or not isinstance(message, dict):
        return
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            yield Turn(str(who), printable(part["text"]))
        elif part.get("type") == "tool_use":
            given = json.dumps(part.get("input"), ensure_ascii=False)[:_TOOL_CHARS]
            yield Turn("tool", printable(f"{part.get('name')} {given}"))
