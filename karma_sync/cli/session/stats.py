"""The command `session stats`: figures in a table, with bars, and the hours of a week."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from math import ceil
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import JsonOption, PrivateOption, TeamOption
from karma_sync.cli.output import print_json, print_line
from karma_sync.cli.screen import Line, Tone, print_drawn, print_table
from karma_sync.cli.session.listing import NOTHING_FITS, scope_of
from karma_sync.domain.session.activity import StatsBy
from karma_sync.domain.text import one_line
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope
    from karma_sync.service.sessions.exchange import Exchanged, ProjectHoldings
    from karma_sync.service.sessions.stats import SessionFigures, Stats

_NAME_CHARS = 60
_ROWS = 30
_BAR_CHARS = 20
_BLOCKS = " ▏▎▍▌▋▊▉█"
_SHADES = " ░▒▓█"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_THOUSAND = 1000


def stats(
    by: Annotated[StatsBy, typer.Option(help="How to group the figures.")] = StatsBy.MEMBER,
    project: Annotated[
        str | None,
        typer.Option(
            help="Only this project: the name, or a unique ending.",
            autocompletion=completion.readable_projects,
        ),
    ] = None,
    team: TeamOption = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Print at most this many rows; default: 30, with --json all."),
    ] = None,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Show figures of sessions.

    Turns are prompts. Tokens are counted once for each response: in, out, and those read from and
    written to the cache. Hours are those in which something was written, in steps of five minutes,
    each session by itself. The cost is an estimate from list prices: what you pay may be another
    sum. Of projects, members and days it also shows what was sent, received and confirmed.

    Example: karma-sync session stats --by project
    """
    from karma_sync.service.sessions.stats import in_local_time
    from karma_sync.service.sessions.stats import stats as figures_of
    from karma_sync.service.teams import all_teams

    app = App.from_environment()
    warn_if_down(app)
    scope = scope_of(app, project, team)
    teams = {each.id: each.name for each in all_teams(app.state)}
    found = figures_of(app.sessions, scope, by, teams, in_local_time)
    moved, held = _exchange(app, scope, by, found)
    if as_json:
        require_private(private, "these are figures of sessions of others too")
        _print_as_json(by, found, moved, held, limit)
        return
    limit = limit or _ROWS
    if not found.sessions:
        is_narrowed = scope != app.scope and app.sessions.sessions(app.scope)
        print_line(NOTHING_FITS if is_narrowed else "There are no sessions yet.")
        return
    _show(by, found, limit)
    _show_exchange(by, moved, held, limit)
    if by is not StatsBy.TOOL:
        _show_week(found.week)
    _show_notes(found)


def _exchange(
    app: App, scope: "AccessScope", by: StatsBy, found: "Stats"
) -> "tuple[dict[str, Exchanged], dict[str, ProjectHoldings]]":
    from karma_sync.service.sessions import exchange
    from karma_sync.service.sessions.departures import departures
    from karma_sync.service.status import status
    from karma_sync.service.status_model import Stores
    from karma_sync.service.teams import all_teams

    if by is StatsBy.PROJECT:
        stores = Stores(app.state, app.work, app.library)
        report = status(stores, app.me, utc_now(), running=True)
        projects = [
            p
            for p in report.projects
            if p.team.id in scope.teams and (scope.only is None or p.mine.project in scope.only)
        ]
        return {}, exchange.by_project(found.sessions, projects, scope.user)
    if by not in {StatsBy.MEMBER, StatsBy.DAY}:
        return {}, {}
    sent = exchange.within(departures(app.state, app.work, app.me, utc_now()), scope)
    if scope.teams != app.scope.teams:
        names = {each.name for each in all_teams(app.state) if each.id in scope.teams}
        sent = [each for each in sent if each.team in names]
    if by is StatsBy.MEMBER:
        return exchange.by_member(sent, found.sessions, scope.user), {}
    return exchange.by_day(sent, found.sessions, scope.user, _local_day), {}


def _local_day(moment: datetime) -> date:
    return moment.astimezone().date()


def _show(by: StatsBy, found: "Stats", limit: int) -> None:
    shown = list(found.groups.items())[:limit]
    values = [_weight(by, figures) for _, figures in shown]
    largest = max(values, default=0)
    rows: list[tuple[str | Line, ...]] = [
        (
            _name(by, name),
            *_cells(figures),
            Line(_bar(value / largest if largest else 0), Tone.CONFIRMED),
        )
        for (name, figures), value in zip(shown, values, strict=True)
    ]
    if len(found.groups) > 1:
        rows.append((Line("all", Tone.TITLE), *_cells(found.total), ""))
    header = ("SESSIONS", "TURNS", "IN", "OUT", "CACHE READ", "CACHE WRITE", "TOOLS", "HOURS")
    print_table((by.value.upper(), *header, "COST", ""), rows)
    left = len(found.groups) - len(shown)
    if left > 0:
        print_line(f"and {left} more: --limit {len(found.groups)}")


def _name(by: StatsBy, name: str) -> str:
    return one_line(name, _NAME_CHARS) or ("no project" if by is StatsBy.PROJECT else "none")


def _weight(by: StatsBy, figures: "SessionFigures") -> float:
    """The length of the bar: calls of a tool, else tokens."""
    return float(figures.tools or 0) if by is StatsBy.TOOL else float(sum(figures.tokens))


def _cells(figures: "SessionFigures") -> tuple[str, ...]:
    tokens = [_count(count) for count in figures.tokens] if figures.models else ["-"] * 4
    cost = figures.cost
    hours = "-" if figures.hours is None else f"{figures.hours:.1f}"
    money = "-" if cost is None or not figures.models else f"${cost:,.2f}"
    return (
        f"{figures.sessions:,}",
        "-" if figures.turns is None else f"{figures.turns:,}",
        *tokens,
        "-" if figures.tools is None else f"{figures.tools:,}",
        hours,
        f"{money} +?" if figures.unpriced and money != "-" else money,
    )


def _count(count: int) -> str:
    """Return a large number as people read it: 12.3 M."""
    from humanize import metric

    return str(count) if count < _THOUSAND else metric(count)


def _bar(share: float) -> str:
    eighths = round(share * _BAR_CHARS * 8)
    return (_BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def _show_exchange(
    by: StatsBy, moved: "Mapping[str, Exchanged]", held: "Mapping[str, ProjectHoldings]", limit: int
) -> None:
    if moved:
        print_line("")
        rows = [
            (_name(by, name), str(e.sent), str(e.received), _waiting(e.unconfirmed))
            for name, e in list(moved.items())[:limit]
        ]
        print_table((by.value.upper(), "SENT", "RECEIVED", "NOT YET CONFIRMED"), rows)
    if held:
        print_line("")
        held_rows = [
            (_name(by, name), str(h.local), str(h.packaged), str(h.received), _waiting(h.missing))
            for name, h in list(held.items())[:limit]
        ]
        print_table((by.value.upper(), "LOCAL", "PACKAGED", "RECEIVED", "MISSING"), held_rows)


def _waiting(count: int) -> Line:
    return Line(str(count), Tone.WAITS if count else None)


def _show_week(week: list[list[float]]) -> None:
    """Print the hours of a week: a row for each day, the darker the more."""
    most = max(max(day) for day in week)
    if not most:
        return
    print_line("", "Hours of the week, in your time:")
    print_line("     0     6     12    18")
    for name, day in zip(_DAYS, week, strict=True):
        shades = "".join(_shade(hours / most) for hours in day)
        print_drawn([Line(f"{name}  {shades}  {sum(day):.1f} h")])


def _shade(share: float) -> str:
    return _SHADES[min(len(_SHADES) - 1, ceil(share * (len(_SHADES) - 1)))]


def _show_notes(found: "Stats") -> None:
    from karma_sync.domain.session.prices import AS_OF

    print_line("", f"Costs are an estimate from list prices of {AS_OF}, in US dollars.")
    if found.total.unpriced:
        names = ", ".join(one_line(name, _NAME_CHARS) for name in found.total.unpriced)
        print_line(f"No price is known for {names}: their tokens are not in the costs.")


def _print_as_json(
    by: StatsBy,
    found: "Stats",
    moved: "Mapping[str, Exchanged]",
    held: "Mapping[str, ProjectHoldings]",
    limit: int | None,
) -> None:
    from karma_sync.domain.session.prices import AS_OF, CURRENCY

    groups = [{by.value: name, **_as_json(each)} for name, each in found.groups.items()]
    print_json(
        by=by.value,
        groups=groups[:limit],
        truncated=limit is not None and len(groups) > limit,
        total=_as_json(found.total),
        exchange=_listed(by, moved.items()),
        projects=_listed(by, held.items()),
        week_hours=found.week,
        prices={"as_of": AS_OF, "currency": CURRENCY},
    )


def _listed(
    by: StatsBy, items: "Iterable[tuple[str, Exchanged | ProjectHoldings]]"
) -> list[object]:
    return [{by.value: name, **asdict(each)} for name, each in items]


def _as_json(figures: "SessionFigures") -> dict[str, object]:
    read, written, cached, stored = figures.tokens
    return {
        "sessions": figures.sessions,
        "turns": figures.turns,
        "tokens": {"in": read, "out": written, "cache_read": cached, "cache_creation": stored}
        if figures.models
        else None,
        "tools": figures.tools,
        "hours": figures.hours,
        "cost": figures.cost if figures.models else None,
        "unpriced_models": figures.unpriced,
    }
