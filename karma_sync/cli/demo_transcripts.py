"""Takes transcripts from a directory as one member's sessions, and compares what arrived."""

import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from karma_sync.errors import BadInput

# What Claude Code writes (FILES.md sections 6 and C2); others write `type` too, but none of these
# together with one of the fields.
_TYPES = {
    "ai-title",
    "assistant",
    "attachment",
    "custom-title",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "progress",
    "queue-operation",
    "summary",
    "system",
    "user",
}
_FIELDS = {"sessionId", "leafUuid", "snapshot"}
_LOOK_LINES = 200


@dataclass(frozen=True)
class Source:
    """A transcript that was found, and the session it was made."""

    path: Path
    session: str
    cwds: frozenset[str]
    sha256: str
    size: int


@dataclass(frozen=True)
class Fate:
    """What became of a session: hash of its transcript at each side, cuts by rule, why not."""

    packaged: str = ""
    read: str = ""
    cuts: Mapping[str, int] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Row:
    """What became of one file; a hash is empty where there is none, `note` where all is well."""

    path: str
    raw_sha256: str
    packaged_sha256: str
    read_sha256: str
    bytes: int
    cuts: Mapping[str, int]
    note: str


def is_claude_code(path: Path) -> bool:
    """Whether a file is a transcript that Claude Code wrote, by what is in it."""
    with path.open("rb") as lines:
        for _, line in zip(range(_LOOK_LINES), lines, strict=False):
            record = _parsed(line)
            if record.get("type") in _TYPES and _FIELDS & record.keys():
                return True
    return False


def take(directory: Path, into: Path) -> tuple[list[Source], int]:
    """Copy every transcript below a directory into a Claude project directory, as its own session.

    Also says how many *.jsonl files were left out: empty, or of another kind.

    Raises:
        BadInput: there is no transcript.
    """
    found, others = [], 0
    for parent, folders, names in os.walk(directory):
        folders.sort()
        for path in (Path(parent) / name for name in sorted(names) if name.endswith(".jsonl")):
            if path.is_file() and is_claude_code(path):
                found.append(_take(path, into))
            else:
                others += 1
    if not found:
        raise BadInput(f"there is no Claude Code transcript below {directory}")
    return found, others


def compare(directory: Path, sources: Iterable[Source], fates: Mapping[str, Fate]) -> list[Row]:
    """One row per file; `fates` are by session."""
    rows = []
    for source in sources:
        fate = fates.get(source.session, Fate())
        row = Row(
            str(source.path.relative_to(directory)),
            source.sha256,
            fate.packaged,
            fate.read,
            source.size,
            fate.cuts,
            _note(source, fate),
        )
        rows.append(row)
    return rows


def render(rows: Iterable[Row], as_lines: bool) -> str:
    """The report, as JSON lines or as a table with tabs."""
    if as_lines:
        return "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(Row.__dataclass_fields__)
    for row in rows:
        cuts = ",".join(f"{rule}={count}" for rule, count in sorted(row.cuts.items()))
        writer.writerow([*({**asdict(row), "cuts": cuts}).values()])
    return out.getvalue()


def _take(path: Path, into: Path) -> Source:
    session = str(uuid.uuid4())
    copy = Path(shutil.copy2(path, into / f"{session}.jsonl"))
    copy.chmod(0o600)
    content = copy.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Source(path, session, _cwds(content), digest, len(content))


def _note(source: Source, fate: Fate) -> str:
    if not fate.packaged:
        return f"not packaged: {fate.why or 'it names no directory of the project'}"
    if not fate.read:
        return "did not arrive"
    if fate.packaged != fate.read:
        return "read back differently than packaged"
    if not fate.cuts and fate.packaged != source.sha256:
        return "packaged differently than written, although nothing was cut"
    return ""


def _cwds(content: bytes) -> frozenset[str]:
    found = (_parsed(line).get("cwd") for line in content.splitlines())
    return frozenset(cwd for cwd in found if isinstance(cwd, str) and cwd)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
