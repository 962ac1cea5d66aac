"""What a transcript tells of itself, gathered line by line so that nothing is read twice.

Field names are Claude Code's (FILES.md sections 6 and C2). What is unknown is passed over: the
set of record types changes every few weeks.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from operator import attrgetter
from pathlib import Path

from msgspec.structs import astuple
from pydantic import BaseModel, ConfigDict

from karma_sync.domain.record import Attachment, Message, MessageContent, Record, Text, parse_lines
from karma_sync.domain.typed import command, texts_of, typed

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
        records, count = parse_lines(lines)
        self.records += count
        # every directory counts: one left out could be the one that lies in another repository
        _collect(self.cwds, map(_cwd, records), most=sys.maxsize)
        _collect(self.branches, map(_branch, records))
        _collect(self.slugs, map(_slug, records))
        self._take_times(list(filter(None, map(_timestamp, records))))
        if not self.session:
            self.session = next((t for r in records if (t := _text(r.sessionId))), "")
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        match record.type:
            case "assistant" if record.message:
                self._take_response(record.message)
            case "user" if record.message:
                self._take_prompt(record, record.message)
            case "attachment" if record.attachment:
                _take_plan_named(self.plans, record.attachment)
            case str(kind) if kind in _NAMES:
                field, given = _NAMES[kind]
                setattr(self, field, _text(getattr(record, given)) or getattr(self, field))

    def _take_times(self, found: list[datetime]) -> None:
        """Timestamps inside a file are not in order: keep the least and the greatest."""
        ends = _ends(found)
        if ends:
            known = [*ends, *(moment for moment in (self.first, self.last) if moment)]
            self.first, self.last = min(known), max(known)

    def _take_prompt(self, record: Record, message: Message) -> None:
        texts = texts_of(message.content)
        if not texts or record.isMeta or record.isSidechain or record.isCompactSummary:
            return
        text = _text(typed(texts))
        if text:
            self.prompts += 1
            self.first_prompt = self.first_prompt or text
        elif not self.first_command:
            self.first_command = _text(command(texts))

    def _take_response(self, message: Message) -> None:
        if message.model not in self.models and message.model != "<synthetic>":
            _collect(self.models, [message.model])
        _take_plans(self.plans, message.content)
        if message.usage is None:
            return
        counted = self._counted_of(message.id)
        if counted is None:
            return
        tokens = self.tokens
        for name, count in zip(_USAGE, astuple(message.usage), strict=True):
            if type(count) is int and (before := counted.get(name, 0)) < count <= _MOST_TOKENS:
                tokens[name] = tokens.get(name, 0) + count - before
                counted[name] = count

    def _counted_of(self, named: Text) -> dict[str, int] | None:
        """What was counted of a response already; None if it is over and comes again.

        One without an id is a response of its own.
        """
        response = _text(named)
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


def _ends(moments: list[datetime]) -> list[datetime]:
    """The least and the greatest in UTC, if there are any whose days UTC has."""
    if not moments:
        return []
    try:
        return [min(moments).astimezone(UTC), max(moments).astimezone(UTC)]
    except OverflowError:
        return _ends([moment for moment in moments if MINYEAR < moment.year < MAXYEAR])


# as `Usage` has them
_USAGE = ("input", "output", "cache_read", "cache_creation")


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


def _collect_plan(into: list[str], path: Text) -> None:
    if path and re.fullmatch(r".*[/\\]plans[/\\][^/\\]+\.md", path):
        _collect(into, [path])


def _text(value: Text) -> str:
    """The beginning of a text, on one line.

    Where it is cut nothing is left half: half a token, or `<private>` without its end, would
    be no secret to any rule.
    """
    if not value:
        return ""
    if value.isidentifier() and len(value) <= _TEXT_CHARS:
        return value  # ids mostly: one word, and no half of an emoji
    words = _whole(value[:_TEXT_CHARS]).split()
    if len(value) <= _TEXT_CHARS:
        return " ".join(words)
    text = " ".join(words[:-1])
    opened = text.rfind("<private>")
    return text[:opened] if opened > text.rfind("</private>") else text


def _whole(text: str) -> str:
    """Half an emoji, as JavaScript's cutting leaves it, cannot be stored: a mark instead."""
    return text.encode(errors="replace").decode()


def _collect(into: list[str], values: Iterable[Text], most: int = 50) -> None:
    for value in dict.fromkeys(values):
        text = _whole(value or "")
        if text and text not in into and len(into) < most:
            into.append(text)


_cwd, _branch, _slug = map(attrgetter, ("cwd", "gitBranch", "slug"))
_timestamp = attrgetter("timestamp")
