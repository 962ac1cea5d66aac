"""Use case of `session stats`: sessions, turns, tokens, tools, hours, and an estimate of costs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.activity import HOUR_S, STRETCH_S, StatsBy
from karma_sync.domain.session.prices import price_of
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.store import usage as queries
from karma_sync.store.database import Transaction
from karma_sync.store.usage import CountedFigures, CountedSession, Sources, Sums

_TOKENS = 4
_WEEK, _DAY = 7, 24
_OF_RECORDS = (StatsBy.DAY, StatsBy.MODEL, StatsBy.TOOL)  # one session may be in several groups
Local = Callable[[int], datetime]
"""The local time of a moment in Unix seconds."""


@dataclass
class SessionFigures:
    """The figures of some sessions.

    `models` has the tokens by model: in, out, from the cache and to it.

    A figure that has no meaning in a group is None: a tool took no tokens of its own.
    """

    sessions: int = 0
    turns: int | None = 0
    stretches: int | None = 0
    tools: int | None = 0
    models: dict[str, list[int]] = field(default_factory=dict)

    def count(self, sessions: int = 0, tools: int = 0) -> None:
        """Count more sessions, and more calls of tools."""
        self.sessions += sessions
        self.tools = (self.tools or 0) + tools

    def add(self, found: Sums) -> None:
        """Add sums of one model."""
        self.turns = (self.turns or 0) + found.turns
        self.stretches = (self.stretches or 0) + found.stretches
        if found.model or any(found[-_TOKENS:]):
            known = self.models.setdefault(found.model, [0] * _TOKENS)
            counts = (found.input, found.output, found.cache_read, found.cache_creation)
            for at, count in enumerate(counts):
                known[at] += count

    @property
    def hours(self) -> float | None:
        """The hours in which the sessions were active, each by itself."""
        return None if self.stretches is None else self.stretches * STRETCH_S / HOUR_S

    @property
    def tokens(self) -> list[int]:
        """In, out, read from the cache, written to it."""
        return [sum(column) for column in zip(*self.models.values(), strict=True)] or [0] * _TOKENS

    @property
    def cost(self) -> float | None:
        """US dollars for the models that have a price; None if none of them has."""
        priced = [p.of(*t) for model, t in self.models.items() if (p := price_of(model))]
        return sum(priced) if priced or not self.models else None

    @property
    def unpriced(self) -> list[str]:
        """The models that took tokens and have no price."""
        found = (m for m, tokens in self.models.items() if any(tokens) and price_of(m) is None)
        return sorted(model or "unknown" for model in found)


@dataclass(frozen=True)
class Stats:
    """The figures by group, the largest first (days: the latest first), and of all sessions.

    `week` are the hours of activity by weekday (Monday is 0) and hour of the day, in local time;
    `sessions` are those that were counted.
    """

    groups: dict[str, SessionFigures]
    total: SessionFigures
    week: list[list[float]]
    sessions: list[CountedSession]


@dataclass(frozen=True)
class _Part:
    """The sessions and figures of one database: the library, or the archive of own sessions."""

    sessions: list[CountedSession]
    counted: CountedFigures


@dataclass(frozen=True)
class _Grouping:
    """The grouping of figures; `teams` are their names by ID."""

    by: StatsBy
    teams: Mapping[str, str]
    local: Local

    def key(self, session: CountedSession) -> str:
        """The group of a session."""
        match self.by:
            case StatsBy.MEMBER:
                return session.member
            case StatsBy.TEAM:
                return self.teams.get(session.team, session.team)
            case StatsBy.PROJECT:
                return session.project
            case _:
                return session.agent

    def day(self, hour: int) -> str:
        """The day of an hour (Unix seconds / 3600), in local time."""
        return self.local(hour * HOUR_S).date().isoformat()


def stats(
    sessions: ReadableSessions,
    scope: AccessScope,
    by: StatsBy,
    teams: Mapping[str, str],
    local: Local,
) -> Stats:
    """The figures of all sessions that the scope allows; `teams` are their names by ID."""
    total, groups = SessionFigures(), defaultdict[str, SessionFigures](SessionFigures)
    week = [[0.0] * _DAY for _ in range(_WEEK)]
    grouping = _Grouping(by, teams, local)
    parts = list(_parts(sessions, scope, grouping))
    for part in parts:
        total.count(len(part.sessions), sum(use.times for use in part.counted.tools))
        for sums in part.counted.sums:
            total.add(sums)
        for hour, stretches in part.counted.stretches:
            when = local(hour * HOUR_S)
            week[when.weekday()][when.hour] += stretches * STRETCH_S / HOUR_S
        _group(groups, part, grouping)
    ordered = sorted(groups.items(), key=lambda each: _order(by, each), reverse=True)
    known = {name: _meaningful(by, figures) for name, figures in ordered}
    return Stats(known, total, week, [s for part in parts for s in part.sessions])


def _meaningful(by: StatsBy, figures: SessionFigures) -> SessionFigures:
    """The figures without those that a group of this kind does not have."""
    match by:
        case StatsBy.DAY:  # calls are counted by session
            return replace(figures, tools=None)
        case StatsBy.MODEL:
            return replace(figures, turns=None, stretches=None, tools=None)
        case StatsBy.TOOL:
            return replace(figures, turns=None, stretches=None)
        case _:
            return figures


def _order(by: StatsBy, group: tuple[str, SessionFigures]) -> tuple[object, ...]:
    name, figures = group
    if by is StatsBy.DAY:
        return (name,)
    if by is StatsBy.TOOL:
        return (figures.tools or 0, name)
    return (sum(figures.tokens), figures.sessions, name)


def _group(groups: dict[str, SessionFigures], part: _Part, grouping: _Grouping) -> None:
    by = grouping.by
    if by is StatsBy.DAY:
        _group_by_day(groups, part.counted)
        return
    if by not in {StatsBy.MODEL, StatsBy.TOOL}:
        for session in part.sessions:
            groups[grouping.key(session)].count(sessions=1)
    for sums in part.counted.sums if by is not StatsBy.TOOL else ():
        if by is not StatsBy.MODEL:
            groups[sums.group].add(sums)
        elif sums.model or any(sums[-_TOKENS:]):
            groups[sums.model or "unknown"].add(sums)
            groups[sums.model or "unknown"].count(sessions=sums.sessions)
    for use in part.counted.tools if by is not StatsBy.MODEL else ():
        is_tool = by is StatsBy.TOOL
        groups[use.tool if is_tool else use.group].count(is_tool * use.sessions, use.times)


def _group_by_day(groups: dict[str, SessionFigures], counted: CountedFigures) -> None:
    for sums in counted.sums:
        groups[sums.group].add(sums)
        if not sums.model:  # each has such a row for what it wrote
            groups[sums.group].count(sessions=sums.sessions)


def _parts(sessions: ReadableSessions, scope: AccessScope, grouping: _Grouping) -> Iterator[_Part]:
    """The figures of the library, and of the sessions that only the archive has."""
    with sessions.library.store.reading() as tx:
        found = queries.sessions(tx, scope)
        yield _part(tx, _once(found, grouping.by), grouping)
    archive = sessions.archive
    if not scope.sees_own or not archive.database.exists():
        return
    shared = {(s.agent.partition("/")[0], s.session) for s in found if s.member == scope.user}
    only = sessions.by_all_names(scope).only
    own = AccessScope("", frozenset({""}), agents=scope.agents, only=only)
    with archive.reading() as tx:
        mine = [
            each._replace(
                member=scope.user,
                project=sessions.other_names.get(each.project, each.project),
            )
            for each in queries.sessions(tx, own, arrived="active")
            if (each.item.partition("/")[0], each.session) not in shared
        ]
        yield _part(tx, mine, grouping)


def _part(tx: Transaction, known: list[CountedSession], grouping: _Grouping) -> _Part:
    by = grouping.by
    key = grouping.key if by not in _OF_RECORDS else lambda session: ""
    day_of = grouping.day if by is StatsBy.DAY else None
    return _Part(known, queries.counted(tx, Sources(known, key, day_of)))


def _once(found: Iterable[CountedSession], by: StatsBy) -> list[CountedSession]:
    """Leave out the copies of sessions that came through two teams; by team, each team's counts.

    Of the copies the one that was active last counts.
    """
    once: dict[tuple[str, ...], CountedSession] = {}
    for each in found:
        key = (each.member, each.session, *((each.team,) if by is StatsBy.TEAM else ()))
        known = once.setdefault(key, each)
        if (each.active, each.folder) > (known.active, known.folder):
            once[key] = each
    return list(once.values())


def in_local_time(seconds: int) -> datetime:
    """A moment in the time of this machine."""
    return datetime.fromtimestamp(seconds, UTC).astimezone()
