"""What a transcript tells of itself, gathered line by line so that nothing is read twice.

Field names are Claude Code's (FILES.md sections 6 and C2). What is unknown is passed over: the
set of record types changes every few weeks.
"""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from karma_sync.domain.record import Attachment, Message, MessageContent, Record, parse_record
from karma_sync.domain.typed import command, typed

_TEXT_CHARS = 2000
_OPEN_RESPONSES = 16
# Some sessions repeat their whole history in the same file, with other uuids (measured: responses
# come again 137 lines later). So many responses back that is noticed; it is some 10 MB.
_CLOSED_RESPONSES = 2000
_MOST_TOKENS = 10**9  # of one response: more is no count, and the sum has to fit into a manifest
_MARK_CHARS = 12  # the end of an id is random
# tuples: whatever a record has in the place of a name can be looked for in them
_PLAN_WRITERS = ("Write", "Edit", "MultiEdit")
_PLAN_TELLERS = ("plan_mode", "plan_mode_reentry", "plan_mode_exit", "plan_file_reference")
# Records that name the session or its agent: what they tell, and in which of their fields.
_NAMES = {
    "agent-setting": ("agent_setting", "agentSetting"),
    "agent-name": ("agent_name", "agentName"),
    "custom-title": ("custom_title", "customTitle"),
    "ai-title": ("ai_title", "aiTitle"),
    "summary": ("summary", "summary"),
}
# Where a line does not parse (two records spliced, one cut off) a directory in it counts still.
# Inside a string the quotes would be escaped.
_CWD = re.compile(rb'(?<!\\)"cwd"\s*:\s*("(?:[^"\\]++|\\.)*+")')


@dataclass(frozen=True)
class PlanNames:
    """How a session names its plans: slugs of its records, paths that it wrote to or was given."""

    slugs: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.slugs or self.paths)

    def mean(self, name: str, folder: Path) -> bool:
        """Whether the file of this name in the folder of all plans is one of them.

        A subagent's plan is named after its session's: `SLUG-agent-ID.md`.
        """
        stem = name.removesuffix(".md")
        own = stem in self.slugs or stem.partition("-agent-")[0] in self.slugs
        return (own and stem != name) or str(folder / name) in self.paths


class Facts(BaseModel):
    """A gathering over whole lines; texts are as written, not redacted yet.

    `session` is the first that a record says it is of: in a subagent's file that of its parent.
    `cwds` are the working directories that records name. Token counts are per API response,
    which may span several records with one message id. `slugs` and `plans` tell which plans are
    the session's, see PlanNames.
    """

    model_config = ConfigDict(extra="forbid")

    session: str = ""
    custom_title: str = ""
    ai_title: str = ""
    summary: str = ""
    first_prompt: str = ""
    first_command: str = ""
    agent_setting: str = ""
    agent_name: str = ""
    slugs: list[str] = []
    plans: list[str] = []
    branches: list[str] = []
    models: list[str] = []
    cwds: list[str] = []
    first: datetime | None = None
    last: datetime | None = None
    records: int = 0
    prompts: int = 0
    tokens: dict[str, int] = {}
    counted: dict[str, dict[str, int]] = {}
    closed: dict[str, None] = {}

    @property
    def title(self) -> str:
        """Custom title, AI title, summary, first prompt, in that order; then the first command."""
        named = self.custom_title or self.ai_title or self.summary
        return named or self.first_prompt or self.first_command

    @property
    def agent(self) -> str:
        """The name of the agent that wrote it, where it has one of its own.

        An agent that was chosen beats a name given later: renaming a session writes that too.
        """
        return self.agent_setting or (self.agent_name if self.agent_name != self.title else "")

    @staticmethod
    def plan_names(told: "Iterable[Facts]") -> PlanNames:
        """All plans that these name."""
        found = list(told)
        slugs = frozenset(slug for facts in found for slug in facts.slugs)
        return PlanNames(slugs, frozenset(path for facts in found for path in facts.plans))

    def feed(self, lines: bytes) -> None:
        """Take whole lines in; of those that do not parse only the directories count."""
        count = 0
        records: list[Record] = []
        for line in lines.splitlines():
            if not line or line.isspace():
                continue
            count += 1
            record = parse_record(line)
            records += [record] if record else _directories(line)
        self.records += count
        # every directory counts: one left out could be the one that lies in another repository
        _collect(self.cwds, (record.cwd for record in records), most=sys.maxsize)
        _collect(self.branches, (record.gitBranch for record in records))
        _collect(self.slugs, (record.slug for record in records))
        self._take_times(record.timestamp for record in records)
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        if not self.session:
            self.session = _text(record.sessionId)
        match record.type:
            case "assistant" if record.message:
                self._take_response(record.message)
            case "user":
                self._take_prompt(record)
            case "attachment" if record.attachment:
                _take_plan_named(self.plans, record.attachment)
            case str(kind) if kind in _NAMES:
                field, given = _NAMES[kind]
                setattr(self, field, _text(getattr(record, given)) or getattr(self, field))

    def _take_times(self, stamps: Iterable[object]) -> None:
        """Timestamps inside a file are not in order: keep the least and the greatest."""
        known = [moment for moment in (self.first, self.last) if moment]
        found = [moment for stamp in stamps if (moment := _moment(stamp))]
        if found:
            self.first, self.last = min(known + found), max(known + found)

    def _take_prompt(self, record: Record) -> None:
        if record.isMeta or record.isSidechain or record.isCompactSummary:
            return
        content = record.message.content if record.message else None
        text = _text(typed(content))
        if text:
            self.prompts += 1
            self.first_prompt = self.first_prompt or text
        elif not self.first_command:
            self.first_command = _text(command(content))

    def _take_response(self, message: Message) -> None:
        if message.model != "<synthetic>":
            _collect(self.models, [message.model])
        _take_plans(self.plans, message.content)
        if message.usage is None:
            return
        counted = self._counted_of(message.id)
        if counted is None:
            return
        for name, field in _USAGE:
            count = getattr(message.usage, field)
            if type(count) is int and counted.get(name, 0) < count <= _MOST_TOKENS:
                self.tokens[name] = self.tokens.get(name, 0) + count - counted.get(name, 0)
                counted[name] = count

    def _counted_of(self, named: object) -> dict[str, int] | None:
        """What was counted of a response already; None if it is over and comes again.

        One without an id is a response of its own.
        """
        response = named if isinstance(named, str) and named in self.counted else _text(named)
        if not response:
            return {}
        if response not in self.counted and response[-_MARK_CHARS:] in self.closed:
            return None
        counted = self.counted.pop(response, {})
        self.counted[response] = counted
        while len(self.counted) > _OPEN_RESPONSES:
            over = next(iter(self.counted))
            del self.counted[over]
            self.closed[over[-_MARK_CHARS:]] = None
        while len(self.closed) > _CLOSED_RESPONSES:
            del self.closed[next(iter(self.closed))]
        return counted


def _directories(line: bytes) -> list[Record]:
    """The working directories in a line that does not parse, each as if it were a record."""
    found = []
    for quoted in _CWD.findall(line):
        try:
            found.append(Record(cwd=json.loads(quoted)))
        except ValueError:
            continue
    return found


def _moment(stamp: object) -> datetime | None:
    if not isinstance(stamp, str):
        return None
    try:
        moment = datetime.fromisoformat(stamp)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_USAGE = (
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("cache_read", "cache_read_input_tokens"),
    ("cache_creation", "cache_creation_input_tokens"),
)


def _take_plans(into: list[str], content: MessageContent) -> None:
    """Paths of files in a folder of plans that the agent wrote with its tools.

    What it only read stands in the transcript already, and may be another session's plan.
    """
    for part in content if isinstance(content, list) else ():
        if part.input and part.name in _PLAN_WRITERS:
            _collect_plan(into, part.input.file_path)


def _take_plan_named(into: list[str], attachment: Attachment) -> None:
    """The path of its own plan, which the program tells the agent in plan mode and after it."""
    if attachment.type in _PLAN_TELLERS:
        _collect_plan(into, attachment.planFilePath)


def _collect_plan(into: list[str], path: object) -> None:
    if isinstance(path, str) and re.fullmatch(r".*[/\\]plans[/\\][^/\\]+\.md", path):
        _collect(into, [path])


def _text(value: object) -> str:
    """The beginning of a text, on one line.

    Where it is cut nothing is left half: half a token, or `<private>` without its end, would
    be no secret to any rule.
    """
    if not isinstance(value, str):
        return ""
    words = _whole(value[:_TEXT_CHARS]).split()
    if len(value) <= _TEXT_CHARS:
        return " ".join(words)
    text = " ".join(words[:-1])
    opened = text.rfind("<private>")
    return text[:opened] if opened > text.rfind("</private>") else text


def _whole(text: str) -> str:
    """Half an emoji, as JavaScript's cutting leaves it, cannot be stored: a mark instead."""
    return text.encode(errors="replace").decode()


def _collect(into: list[str], values: Iterable[object], most: int = 50) -> None:
    for value in dict.fromkeys(value for value in values if isinstance(value, str)):
        text = _whole(value)
        if text and text not in into and len(into) < most:
            into.append(text)
