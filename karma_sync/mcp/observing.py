"""Finds observations for an agent, beside sessions: memories that agents of the team saved."""

from datetime import UTC, datetime

from karma_sync.domain.session.observation import ObservationFilter
from karma_sync.domain.session.quoting import quoted, quoted_line
from karma_sync.library.observations import ReadObservation
from karma_sync.mcp.answers import READ_BYTES, Item, Page, PageCursor, ToolAnswer
from karma_sync.mcp.view import AgentView

MARK = "obs:"  # begins the ids of observations
_TITLE_CHARS = 100
_CONTENT_CHARS = 200
_LABEL_CHARS = 80
_SHORT = 12
_PART_CHARS = 1_500  # of a long observation
_FORM = "%Y-%m-%dT%H:%M:%SZ"  # of moments in records


def of_others(view: AgentView, since: datetime, most: int) -> list[ReadObservation]:
    """The observations that other members saved or changed since then, the latest first."""
    wanted = ObservationFilter(since=_form(since))
    found = view.observations.page(view.scope, wanted, most).found
    return [each for each in found if view.me not in (each.author, each.editor)]


def observation_item(found: ReadObservation, bound: str) -> Item:
    """An observation in a list."""
    record = found.record
    content = quoted_line(record.content, _CONTENT_CHARS)
    return Item(f"{_head(found, bound)}\n  {content}", f"{MARK}{quoted_line(found.id, 200)}")


def whole(found: ReadObservation, cursor: PageCursor, asked: str) -> ToolAnswer:
    """The full text of an observation, in parts if it is long."""
    begin = cursor.number(asked)
    text = quoted(found.record.content)  # whole: a look-alike of a mark may stand across two parts
    page = Page(_head(found, ""), READ_BYTES)
    at = begin
    while at < len(text):
        end = _end_of_part(text, at)
        if not page.add(Item(text[at:end], "")):
            break
        at = end
    return page.answer(cursor.at(at) if at < len(text) else None)


def _end_of_part(text: str, at: int) -> int:
    """The end of a part that begins at a place: behind a blank or a line end, if there is one."""
    end = at + _PART_CHARS
    if end >= len(text):
        return len(text)
    half = at + _PART_CHARS // 2
    return max(text.rfind("\n", half, end), text.rfind(" ", half, end)) + 1 or end


def _head(found: ReadObservation, bound: str) -> str:
    record = found.record
    by = found.author + (f", edited by {found.editor}" if found.editor else "")
    agent = quoted_line(record.agent, _LABEL_CHARS) or "no agent"
    when = record.updated or record.created or "at an unknown time"
    place = f" in {quoted_line(found.project, _LABEL_CHARS)}" if found.project != bound else ""
    kind = f"[{quoted_line(record.type, _LABEL_CHARS)}] " if record.type else ""
    title = quoted_line(record.title, _TITLE_CHARS) or "(no title)"
    known = f"observation {MARK}{found.id[:_SHORT]} by {quoted_line(by, _LABEL_CHARS)}"
    return f"{known}, {agent}, {when}, verified{place}\n  {kind}{title}"


def _form(when: datetime) -> str:
    return when.astimezone(UTC).strftime(_FORM)
