"""Collects the facts about a session from the records of one of its files.

`read_new` reads what is new in a file; `feed` adds the records of whole lines to `Facts`.
"""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from itertools import chain
from operator import attrgetter

from msgspec.structs import astuple

from karma_sync.agents.claude.records import (
    Attachment,
    MessageContent,
    Record,
    RecordMessage,
    Text,
    directories_of,
    parse_lines,
    parse_record,
    texts_of,
    typed_command,
    typed_prompt,
)
from karma_sync.agents.growing_file import blocks, continues, open_source, position
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.fork import HEAD_RECORDS, MOST_HEADS
from karma_sync.domain.session.source_files import ReadFile, SourceFile


def read_new(
    file: SourceFile, known: ReadFile | None, save: Callable[[ReadFile], None]
) -> ReadFile:
    """Read a file from where `known` ends up to the size that it had when it was found.

    If the file does not continue what was read before, it is read from its beginning. In a large
    file `save` gets the progress every `limits.STEP_BYTES`, so that a restart goes on from there.

    Raises:
        OSError: the file vanished, or cannot be read.
    """
    with open_source(file) as source:
        if known and continues(source, known.position):
            facts, offset = known.facts.model_copy(deep=True), known.position.offset
        else:
            facts, offset = Facts(), 0
        saved = offset
        for block in blocks(source, offset, file.stat.size):
            feed(facts, block)
            offset += len(block)
            if offset - saved >= limits.STEP_BYTES:
                so_far = position(source, replace(file.stat, size=offset), offset)
                save(ReadFile(path=str(file.path), position=so_far, facts=facts))
                saved = offset
        reached = position(source, file.stat, offset)
    return ReadFile(path=str(file.path), position=reached, facts=facts)


def read_facts(file: SourceFile) -> Facts:
    """The facts of a whole file, read from its beginning.

    Raises:
        OSError: the file vanished, or cannot be read.
    """
    return read_new(file, None, lambda _: None).facts


def read_title(file: SourceFile) -> str:
    """The title in the file that Claude Code writes beside a transcript; "" if it has none.

    Raises:
        OSError: the file vanished, or cannot be read.
    """
    with open_source(file) as source:
        record = parse_record(source.read(_TITLE_BYTES))
    return _text(record.customTitle) if record else ""


_TITLE_BYTES = 1 << 16
_TEXT_CHARS = 2000
_UUID_CHARS = 100

# Records of this many responses may still be interleaved; an earlier response is complete.
_OPEN_RESPONSES = 16

# Some sessions repeat their whole history in the same file, with other uuids (measured: responses
# come again 137 lines later). We notice a repetition up to this many responses later, which is
# about 10 MB.
_CLOSED_RESPONSES = 2000

# Tokens of one response. A larger number is not a count, and the sum must fit into a manifest.
_MOST_TOKENS = 10**9

_MARK_CHARS = 12  # the last characters of a response's id, which are random

# Tuples rather than sets: a record may have a value that is not hashable in place of a name.
_PLAN_TOOLS = ("Write", "Edit", "MultiEdit")

_PLAN_ATTACHMENTS = ("plan_mode", "plan_mode_reentry", "plan_mode_exit", "plan_file_reference")

# Records that name the session or its agent: the field of Facts, and the field of the record.
_NAMES = {
    "agent-setting": ("agent_setting", "agentSetting"),
    "agent-name": ("agent_name", "agentName"),
    "custom-title": ("custom_title", "customTitle"),
    "ai-title": ("ai_title", "aiTitle"),
    "summary": ("summary", "summary"),
}


def feed(facts: Facts, lines: bytes) -> None:
    """Add the records of whole lines; of lines that do not parse only the directories count."""
    records, count = parse_lines(lines)
    facts.records += count
    # all directories, without a limit: the one left out might lie in another repository
    _collect(facts.cwds, chain.from_iterable(map(directories_of, records)), most=sys.maxsize)
    _collect(facts.branches, map(_branch, records))
    _collect(facts.slugs, map(_slug, records))
    _take_times(facts, list(filter(None, map(_timestamp, records))))
    if not facts.session:
        facts.session = next((t for r in records if (t := _text(r.sessionId))), "")
    for record in records:
        _take_head(facts, record)
        _take(facts, record)


def _take_head(facts: Facts, record: Record) -> None:
    """Keep the uuids with which the conversation begins, also after each compaction."""
    if record.uuid is None:
        return
    if record.parentUuid is None or not facts.heads:
        facts.ahead = HEAD_RECORDS
    if facts.ahead > 0:
        facts.ahead -= 1
        facts.heads.append(_whole(record.uuid[:_UUID_CHARS]))
        del facts.heads[:-MOST_HEADS]


def _take(facts: Facts, record: Record) -> None:
    match record.type:
        case "assistant" if record.message:
            facts.messages += 1
            _take_response(facts, record.message)
        case "user" if record.message:
            facts.messages += 1
            _take_prompt(facts, record, record.message)
        case "attachment" if record.attachment:
            _take_plan_named(facts.plans, record.attachment)
        case str(kind) if kind in _NAMES:
            field, given = _NAMES[kind]
            setattr(facts, field, _text(getattr(record, given)) or getattr(facts, field))
            if field == "custom_title":
                _collect(facts.titles, [facts.custom_title])


def _take_times(facts: Facts, found: list[datetime]) -> None:
    """Keep the earliest and the latest timestamp; timestamps in a file are not in order."""
    ends = _ends(found)
    if ends:
        known = [*ends, *(moment for moment in (facts.first, facts.last) if moment)]
        facts.first, facts.last = min(known), max(known)


def _take_prompt(facts: Facts, record: Record, message: RecordMessage) -> None:
    texts = texts_of(message.content)
    if not texts or record.isMeta or record.isSidechain or record.isCompactSummary:
        return
    text = _text(typed_prompt(texts))
    if text:
        facts.prompts += 1
        facts.first_prompt = facts.first_prompt or text
    elif not facts.first_command:
        facts.first_command = _text(typed_command(texts))


def _take_response(facts: Facts, message: RecordMessage) -> None:
    if message.model not in facts.models and message.model != "<synthetic>":
        _collect(facts.models, [message.model])
    _take_plans(facts.plans, message.content)
    if message.usage is None:
        return
    counted = _counted_of(facts, message.id)
    if counted is None:
        return
    tokens = facts.tokens
    for name, count in zip(_USAGE, astuple(message.usage), strict=True):
        if type(count) is int and (before := counted.get(name, 0)) < count <= _MOST_TOKENS:
            tokens[name] = tokens.get(name, 0) + count - before
            counted[name] = count


def _counted_of(facts: Facts, message_id: Text) -> dict[str, int] | None:
    """The tokens of a response that were counted so far; None if it is complete and repeated.

    A record without an id is a response of its own.
    """
    response = _text(message_id)
    if not response:
        return {}
    if response not in facts.counted and response[-_MARK_CHARS:] in facts.closed:
        return None
    counted = facts.counted.pop(response, {})
    facts.counted[response] = counted
    while len(facts.counted) > _OPEN_RESPONSES:
        oldest = next(iter(facts.counted))
        del facts.counted[oldest]
        facts.closed[oldest[-_MARK_CHARS:]] = None
    while len(facts.closed) > _CLOSED_RESPONSES:
        del facts.closed[next(iter(facts.closed))]
    return counted


def _ends(moments: list[datetime]) -> list[datetime]:
    """The earliest and the latest of these moments in UTC, unless UTC cannot express any of them.

    A moment at an end of the calendar may have no equivalent in UTC; it is left out.
    """
    if not moments:
        return []
    try:
        return [min(moments).astimezone(UTC), max(moments).astimezone(UTC)]
    except OverflowError:
        return _ends([moment for moment in moments if MINYEAR < moment.year < MAXYEAR])


# the names in Facts.tokens, in the order of the fields of `Usage`
_USAGE = ("input", "output", "cache_read", "cache_creation")


def _take_plans(into: list[str], content: MessageContent) -> None:
    """Collect paths of plans (files in a folder `plans`) that the agent wrote with its tools.

    A plan that it only read does not count: its text is in the transcript anyway, and it may be
    another session's plan.
    """
    for part in content if isinstance(content, list) else ():
        if part.input and part.name in _PLAN_TOOLS:
            _collect_plan(into, part.input.file_path)


def _take_plan_named(into: list[str], attachment: Attachment) -> None:
    """Collect the path of the session's own plan, which Claude Code gives the agent."""
    if attachment.type in _PLAN_ATTACHMENTS:
        _collect_plan(into, attachment.planFilePath)


def _collect_plan(into: list[str], path: Text) -> None:
    if path and re.fullmatch(r".*[/\\]plans[/\\][^/\\]+\.md", path):
        _collect(into, [path])


def _text(value: Text) -> str:
    """The beginning of a text, on one line.

    The cut leaves no half of a word and no `<private>` without its end: redaction rules would not
    recognise half of a secret.
    """
    if not value:
        return ""
    if value.isidentifier() and len(value) <= _TEXT_CHARS:
        return value  # mostly ids: a fast path for one word without half an emoji
    words = _whole(value[:_TEXT_CHARS]).split()
    if len(value) <= _TEXT_CHARS:
        return " ".join(words)
    text = " ".join(words[:-1])
    opened = text.rfind("<private>")
    return text[:opened] if opened > text.rfind("</private>") else text


def _whole(text: str) -> str:
    """Replace halves of emojis by `?`: JavaScript leaves them when it cuts, and UTF-8 has none."""
    return text.encode(errors="replace").decode()


def _collect(into: list[str], values: Iterable[Text], most: int = 50) -> None:
    for value in dict.fromkeys(values):
        text = _whole(value or "")
        if text and text not in into and len(into) < most:
            into.append(text)


_branch, _slug = map(attrgetter, ("gitBranch", "slug"))

_timestamp = attrgetter("timestamp")
