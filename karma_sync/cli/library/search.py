"""The command `search`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.observed import observation_fields, print_observations, require_private_of
from karma_sync.cli.options import JsonOption, PrivateOption, WordsCommand
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.progress import waiting
from karma_sync.cli.screen import Line, print_drawn, print_marked
from karma_sync.domain.text import printable
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.team.team import Team
    from karma_sync.library.hits import Hit, Manner, Results
    from karma_sync.library.observations import ReadObservation

_TITLE_CHARS = 60
_PLACE_CHARS = 100
_MESSAGE_CHARS = 8
_CURSOR_DIGITS = 10


class Sort(StrEnum):
    """The orders of hits."""

    BEST = "best"
    NEW = "new"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(cls=WordsCommand)(search)


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="Words and filters.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Print at most this many.")] = 20,
    every: Annotated[
        bool, typer.Option("--all", help="Every record that fits, not the best of each session.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="best, or new: the latest first.")] = Sort.BEST,
    regex: Annotated[
        str, typer.Option(help="Search the whole text for this pattern instead of words.")
    ] = "",
    cursor: Annotated[str, typer.Option(help="Go on where the last answer ended.")] = "",
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Search sessions.

    It finds records that have all words: prompts, answers, thinking, tool calls and the beginning
    of their results, titles, file paths. "a phrase", -without, begin*. Filters: by:alice
    project:web team:acme agent:claude-code model:opus branch:main file:client.py tool:Bash
    since:14d before:2026-05-31 is:live is:mine is:kept is:fork is:observation type:bugfix.

    Example: karma-sync search retry backoff by:alice since:14d
    """
    if not words and not regex:
        raise BadInput("search needs words, or a pattern", hint="karma-sync search retry by:alice")
    app = App.from_environment()
    warn_if_down(app)
    manner = _manner(limit, cursor, every, sort)
    with waiting("searching"):
        results = _results(app, words or [], regex, manner)
    beside = [] if regex or cursor else _observations(app, words or [], limit)
    if as_json:
        require_private_for((hit.readable for hit in results.hits), app.settings.tag, private)
        require_private_of(beside, app.settings.tag, private=private)
        print_json(
            hits=[_as_json(hit) for hit in results.hits],
            observations=[observation_fields(each) for each in beside],
            total=results.total,
            truncated=bool(results.next_skip),
            cursor=str(results.next_skip) if results.next_skip else None,
            notes=list(results.notes),
        )
        return
    _show(app, results, beside)


def _observations(app: App, words: list[str], most: int) -> "list[ReadObservation]":
    from karma_sync.domain.session.query import Query, joined
    from karma_sync.library.observations import search_beside

    query = Query.parse(joined(words), utc_now())
    return search_beside(app.read_observations, app.scope, query, utc_now(), most)


def _manner(limit: int, cursor: str, every: bool, sort: Sort) -> "Manner":
    from karma_sync.library.hits import Manner

    if cursor and not (cursor.isdecimal() and len(cursor) < _CURSOR_DIGITS):
        raise BadInput(f"{cursor!r} is no cursor", hint="take `cursor` of the last --json answer")
    return Manner(limit, int(cursor or 0), every, sort is Sort.NEW)


def _results(app: App, words: list[str], regex: str, manner: "Manner") -> "Results":
    from karma_sync.domain.session.query import Query, joined

    query = Query.parse(joined(words), utc_now())
    if regex:
        return app.search.search_text(app.scope, regex, query, manner)
    return app.search.search(app.scope, query, manner)


def _show(app: App, results: "Results", beside: "list[ReadObservation]") -> None:
    from karma_sync.service.teams import all_teams

    teams = all_teams(app.state)
    for note in results.notes:
        print_line(f"Note: {printable(note)}")
    if not results.hits and not beside:
        print_line("Nothing fits.")
        return
    for hit in results.hits:
        _show_hit(app, hit, teams)
    if results.next_skip:
        left = results.total - results.next_skip
        more = f"{left} more fit: " if left > 0 else ""
        print_line(f"{more}--limit N shows more, --cursor {results.next_skip} goes on from here.")
    print_observations(app, beside)
    if results.hits:
        print_next(f"karma-sync session show {_place(results.hits[0])}")
    else:
        print_next(f"karma-sync observation show {beside[0].id}")


def _show_hit(app: App, hit: "Hit", teams: "list[Team]") -> None:
    from karma_sync.domain.text import one_line
    from karma_sync.library.reader import author

    manifest = hit.readable.manifest
    when = datetime.fromtimestamp(hit.time, UTC) if hit.time else manifest.session.last_activity
    who = author(manifest.member, app.settings.tag, teams)
    title = one_line(manifest.session.title, _TITLE_CHARS) or "(no title)"
    place = one_line(hit.readable.place, _PLACE_CHARS)
    begin = ", ".join(filter(None, (f"by {who}", ago(when), place)))
    print_drawn([Line(f"{_place(hit)}  {begin}: {title}")])
    more = f"  +{hit.more} more" if hit.more else ""
    if hit.path or hit.marks:
        # text of peers must not control the terminal; a mark keeps its place
        print_marked(f"      {hit.field}: ", printable(hit.snippet) + more, hit.marks)


def _place(hit: "Hit") -> str:
    """The session's id, with the record's, as `session show` takes it."""
    at = f"@{hit.message[:_MESSAGE_CHARS]}" if hit.message else ""
    return f"{hit.short_id}{at}"


def _as_json(hit: "Hit") -> dict[str, object]:
    from karma_sync.library.reader import key_of

    manifest = hit.readable.manifest
    return {
        "id": hit.short_id,
        "session": manifest.session.session_id,
        "key": str(key_of(hit.readable)),
        "author": manifest.member,
        "project": manifest.project,
        "team_id": manifest.team,
        "agent": manifest.session.wrote,
        "title": manifest.session.title,
        "last_activity": manifest.session.last_activity,
        "message": hit.message or None,
        "file": hit.path or None,
        "offset": hit.at,
        "size": hit.size,
        "time": datetime.fromtimestamp(hit.time, UTC) if hit.time else None,
        "field": hit.field,
        "snippet": hit.snippet,
        "marks": [list(mark) for mark in hit.marks],
        "more": hit.more,
    }
