"""The tools for agents: what each is asked, and what it answers. Nothing here writes anything."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from karma_sync.domain.session.query import Filter, Key, Query, moment
from karma_sync.domain.session.quoting import quoted_line
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import BadInput, NotFound
from karma_sync.library.hits import Hit, Manner, Results
from karma_sync.library.observations import ReadObservation, search_beside
from karma_sync.mcp.answers import CONTEXT_BYTES, MOST_ITEMS, Item, Page, PageCursor, ToolAnswer
from karma_sync.mcp.observing import MARK, observation_item, of_others, whole
from karma_sync.mcp.session_reading import SessionPart
from karma_sync.mcp.texts import hit_item, session_item, work_item
from karma_sync.mcp.view import AgentView
from karma_sync.service.sessions.who import Work, who

_MOST_CHARS = 1_000  # of one argument
_NOTE_CHARS = 200
# Mostly more fit on no page; each session that is found is read from the chunks. Where observations
# stand between them, half as many do.
_USUAL, _USUAL_BETWEEN = 18, 9
_MOST_OBSERVATIONS = 100  # of the latest
_RECENT = "7d"
Asked = Mapping[str, str]


@dataclass(frozen=True)
class Tool:
    """A tool: its name, what it does, its arguments with what each means, those that it needs."""

    name: str
    about: str
    arguments: Mapping[str, str]
    needs: tuple[str, ...]
    answer: Callable[[AgentView, Asked], ToolAnswer]

    def asked(self, given: Mapping[str, object]) -> Asked:
        """The arguments as texts; a missing one is "".

        Raises:
            BadInput: one is unknown, missing, no text, or too long.
        """
        known = ", ".join(self.arguments)
        for name, value in given.items():
            if name not in self.arguments:
                raise BadInput(f"{self.name} has no argument {name[:80]!r}", hint=f"it has {known}")
            if value is not None and not (isinstance(value, str) and len(value) <= _MOST_CHARS):
                raise BadInput(
                    f"{name} must be a text of at most {_MOST_CHARS} characters",
                    hint=f"call {self.name} with a shorter {name}",
                )
        asked = {name: str(given.get(name) or "").strip() for name in self.arguments}
        if missing := [name for name in self.needs if not asked[name]]:
            raise BadInput(f"{self.name} needs {missing[0]}", hint=self.arguments[missing[0]])
        return asked


def _search(view: AgentView, asked: Asked) -> ToolAnswer:
    """Sessions and observations in turns, the best of each first."""
    query = Query.parse(asked["query"], view.now)
    cursor = PageCursor.of("search", asked["query"])
    skip, skip_observations = cursor.numbers(asked["cursor"])
    most = skip_observations + MOST_ITEMS + 1
    memories = search_beside(view.observations, view.scope, query, view.now, most)
    memories = memories[skip_observations:]

    def found(most: int, after: int) -> Results:
        return view.search.search(view.scope, query, Manner(most=most, skip=after))

    def shown(each: Hit | ReadObservation) -> Item | None:
        if isinstance(each, ReadObservation):
            return observation_item(each, view.project)
        return None if view.is_asking(each.readable) else hit_item(each, view.project)

    usual = _USUAL_BETWEEN if len(memories) >= _USUAL_BETWEEN else _USUAL
    results = found(usual, skip)
    page = _found(view, results, len(memories) + skip_observations)
    mixed = in_turns(memories, results.hits)
    dealt = page.fill(mixed, shown)
    if dealt == len(mixed) and results.next_skip:  # there is room for more
        results = found(MOST_ITEMS + 1 - usual, results.next_skip)
        mixed += results.hits
        dealt += page.fill(results.hits, shown)
    told = sum(isinstance(each, ReadObservation) for each in mixed[:dealt])
    more = dealt < len(mixed) or bool(results.next_skip)
    place = f"{skip + dealt - told}.{skip_observations + told}"
    return page.answer(cursor.at(place) if more else None)


def _found(view: AgentView, results: Results, observations: int) -> Page:
    counts = [f"{results.total} sessions or records"] * bool(results.total)
    counts += [f"{observations} observations"] * bool(observations)
    page = Page(f"Found in {view.place}: {', '.join(counts)}." if counts else "Nothing fits.")
    for note in results.notes:
        page.add(Item(f"Note: {quoted_line(note, _NOTE_CHARS)}", ""))
    return page


def _list(view: AgentView, asked: Asked) -> ToolAnswer:
    query = Query.parse(asked["query"], view.now)
    known = view.sessions.sessions(view.scope)
    found = view.search.select(view.scope, query, known) if asked["query"] else known
    found = [each for each in found if not view.is_asking(each)]
    page = Page(f"{len(found)} sessions in {view.place}, the last active first.")
    for note in query.notes:
        page.add(Item(f"Note: {quoted_line(note, _NOTE_CHARS)}", ""))
    cursor = PageCursor.of("list", asked["query"])
    return _sessions(view, page, found, cursor, cursor.number(asked["cursor"]))


def _who(view: AgentView, asked: Asked) -> ToolAnswer:
    cursor = PageCursor.of("who", asked["path"], asked["since"])
    skip = cursor.number(asked["cursor"])
    since = _moment(asked["since"], view) if asked["since"] else None
    wanted = view.file(asked["path"], since)
    works = who(view.search, view.scope, wanted, most=skip + MOST_ITEMS + 1)
    found = works[skip:]
    named = quoted_line(wanted.path, _NOTE_CHARS) or "any file"
    head = f"Who worked on {named} in {view.place}, the latest first."
    page = Page(head if works else f"No session read or changed {named} with its tools.")

    def shown(work: Work) -> Item | None:
        return None if view.is_asking(work.readable) else work_item(work, view.project)

    done = page.fill(found, shown)
    return page.answer(cursor.at(skip + done) if done < len(found) else None)


def _moment(text: str, view: AgentView) -> datetime:
    try:
        return moment(text, view.now)
    except ValueError:
        raise BadInput(
            f"{text!r} is no moment", hint="14d, 2h, today, yesterday or 2026-05-31"
        ) from None


def _recent(view: AgentView, asked: Asked) -> ToolAnswer:
    since = asked["since"] or _RECENT
    _moment(since, view)
    found = _lately(view, since)
    counts = Counter(
        each.author if isinstance(each, ReadObservation) else each.manifest.member for each in found
    )
    members = ", ".join(f"{member} {counts[member]}" for member in sorted(counts))
    page = Page(f"What others did in {view.place} since {since}: {members or 'nothing'}.")
    cursor = PageCursor.of("recent", since)
    skip = cursor.number(asked["cursor"])
    done = skip + page.fill(found[skip:], lambda each: _lately_item(view, each))
    return page.answer(cursor.at(done) if done < len(found) else None)


def _lately(view: AgentView, since: str) -> list[Readable | ReadObservation]:
    """The work of other members since then: their sessions, then their observations."""
    query = Query(filters=(Filter(Key.SINCE, since), Filter(Key.BY, "me", unwanted=True)))
    sessions = view.search.select(view.scope, query, view.sessions.sessions(view.scope))
    return [*sessions, *of_others(view, moment(since, view.now), _MOST_OBSERVATIONS)]


def _lately_item(view: AgentView, found: Readable | ReadObservation) -> Item:
    if isinstance(found, ReadObservation):
        return observation_item(found, view.project)
    return session_item(found, view.project, view.is_live(found))


def context_of(view: AgentView) -> ToolAnswer | None:
    """The answer for an agent whose session begins; None if no other member did anything."""
    found = _lately(view, _RECENT)
    if not found:
        return None
    page = Page(f"What others did lately in {view.place}:", CONTEXT_BYTES)
    page.fill(found, lambda each: _lately_item(view, each))
    return page.answer(note="The tools of the MCP server of karma-sync find and read more.")


def in_turns(
    first: Sequence[ReadObservation], second: Sequence[Hit]
) -> list[ReadObservation | Hit]:
    """One of each in turns, and then the rest of the longer one."""
    pairs = zip_longest(first, second)
    return [each for pair in pairs for each in pair if each is not None]


def _sessions(
    view: AgentView, page: Page, found: Sequence[Readable], cursor: PageCursor, skip: int
) -> ToolAnswer:
    """The sessions after the first `skip`."""
    done = skip + page.fill(
        found[skip:], lambda each: session_item(each, view.project, view.is_live(each))
    )
    return page.answer(cursor.at(done) if done < len(found) else None)


def _read(view: AgentView, asked: Asked) -> ToolAnswer:
    session, _, message = asked["id"].partition("@")
    cursor = PageCursor.of("read", asked["id"])
    if asked["id"].startswith(MARK):
        return whole(_observation(view, asked["id"].removeprefix(MARK)), cursor, asked["cursor"])
    try:
        readable = view.sessions.session(view.scope, session)
        part = SessionPart(view, readable, cursor)
        at = asked["cursor"]
        return part.around(message, at) if message else part.overview(at)
    except NotFound as error:
        step = "read_session with the session's id alone" if message else "list_sessions"
        raise NotFound(str(error), hint=step) from None


def _observation(view: AgentView, wanted: str) -> ReadObservation:
    try:
        return view.observations.one(view.scope, wanted)
    except NotFound as error:
        raise NotFound(str(error), hint="search_sessions finds observations too") from None


_WHEN = "14d, 2h, today or 2026-05-31"
_CURSOR = "`next` of the last answer"
_FILTERS = "by:alice agent:claude-code file:src/a.py tool:Bash since:14d is:live -word"

TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "search_sessions",
            "Search what the team's agents said, did and changed, and what they noted.",
            {"query": f'Words, "phrases", begin*, and filters: {_FILTERS}', "cursor": _CURSOR},
            ("query",),
            _search,
        ),
        Tool(
            "list_sessions",
            "List the team's sessions, the last active first.",
            {"query": "Filters, as in search_sessions", "cursor": _CURSOR},
            (),
            _list,
        ),
        Tool(
            "read_session",
            "Read a session: first its prompts, then around a message; or a whole observation.",
            {"id": "SESSION, SESSION@MESSAGE or obs:ID, as an answer names it", "cursor": _CURSOR},
            ("id",),
            _read,
        ),
        Tool(
            "who_touched",
            "Whose agents read or changed a file or a directory, when, and in which session.",
            {"path": "A path in the repository", "since": _WHEN, "cursor": _CURSOR},
            ("path",),
            _who,
        ),
        Tool(
            "recent_team_activity",
            "What the other members of the team worked on lately.",
            {"since": f"{_WHEN}; default {_RECENT}", "cursor": _CURSOR},
            (),
            _recent,
        ),
    )
}
