"""Takes transcripts from a directory as one member's sessions, and compares arrived copies."""

import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from karma_sync.agents.claude.gathering import feed
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.errors import BadInput

# Claude Code's types (docs/agent-files.md, "Records"); others write `type` too, but none of
# these together with one of the fields.
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
    """A file that was found, the session made of it, and its name in the item."""

    path: Path
    session: str
    cwds: frozenset[str]
    sha256: str
    size: int
    name: str = TRANSCRIPT


@dataclass(frozen=True)
class SessionFate:
    """The fate of a file: its hash at each side, its session's cuts by rule, or why it stayed."""

    packaged: str = ""
    read: str = ""
    cuts: Mapping[str, int] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Row:
    """The fate of one file; a hash that does not exist is empty, `note` is empty if all is well."""

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

    Its todos, tool results and plans go with it. Also counts the *.jsonl files that were left out:
    empty, or of another kind.

    Raises:
        BadInput: there is no transcript.
    """
    found: list[Source] = []
    others = 0
    beside = _Beside(directory)
    for parent, folders, names in os.walk(directory):
        folders.sort()
        for path in (Path(parent) / name for name in sorted(names) if name.endswith(".jsonl")):
            if path.is_file() and is_claude_code(path):
                found += _take(path, into, beside)
            else:
                others += 1
    if not found:
        raise BadInput(f"there is no Claude Code transcript below {directory}")
    return found, others


def compare(
    directory: Path, sources: Iterable[Source], fate_of: Callable[[str, str], SessionFate]
) -> list[Row]:
    """One row per file; its fate is asked for by session, and name in the item."""
    rows = []
    for source in sources:
        fate = fate_of(source.session, source.name)
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


class _Beside:
    """Side files below a directory: todos by their session, plans by their slug."""

    def __init__(self, directory: Path) -> None:
        self._todos: dict[str, list[Path]] = {}
        self._plans: dict[str, Path] = {}
        for parent, _, names in os.walk(directory):
            for path in (Path(parent) / name for name in sorted(names)):
                session, mark, _ = path.name.partition("-agent-")
                if mark and session and path.suffix == ".json" and path.is_file():
                    self._todos.setdefault(session, []).append(path)
                elif path.suffix == ".md" and path.parent.name == "plans":
                    self._plans.setdefault(path.stem, path)

    def of(self, path: Path, session: str, slugs: Iterable[str]) -> Iterator[tuple[str, str, Path]]:
        """Name in the item, place in Claude's directory, and source, for a transcript's files."""
        for todo in self._todos.get(path.stem, ()):
            name = f"todos/{session}-agent-{todo.name.partition('-agent-')[2]}"
            yield name, name, todo
        results = path.with_suffix("") / "tool-results"
        for result in sorted(results.iterdir()) if results.is_dir() else ():
            if result.is_file():
                name = f"tool-results/{result.name}"
                yield name, f"projects/PROJECT/{session}/{name}", result
        for slug in slugs:
            if slug in self._plans:
                yield f"plans/{slug}.md", f"plans/{slug}.md", self._plans[slug]


def _take(path: Path, into: Path, beside: _Beside) -> list[Source]:
    session = str(uuid.uuid4())
    content = _copy(path, into / f"{session}.jsonl")
    facts = Facts()
    feed(facts, content)
    cwds = frozenset(facts.cwds)
    found = [_source(path, session, content, cwds)]
    for name, place, source in beside.of(path, session, facts.slugs):
        copied = _copy(source, into.parents[1] / place.replace("PROJECT", into.name, 1))
        found.append(replace(_source(source, session, copied, frozenset()), name=name))
    return found


def _copy(path: Path, to: Path) -> bytes:
    to.parent.mkdir(parents=True, exist_ok=True)
    Path(shutil.copy2(path, to)).chmod(0o600)
    return to.read_bytes()


def _source(path: Path, session: str, content: bytes, cwds: frozenset[str]) -> Source:
    return Source(path, session, cwds, hashlib.sha256(content).hexdigest(), len(content))


def _note(source: Source, fate: SessionFate) -> str:
    if not fate.packaged:
        return f"not packaged: {fate.why or 'it names no directory of the project'}"
    if not fate.read:
        return "did not arrive"
    if fate.packaged != fate.read:
        return "read back differently than packaged"
    if not fate.cuts and fate.packaged != source.sha256:
        return "packaged differently than written, although nothing was cut"
    return ""


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
