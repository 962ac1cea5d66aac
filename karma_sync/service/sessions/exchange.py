"""Counts of sessions sent, received and unconfirmed: by day, by member and by project."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from karma_sync.domain.access import AccessScope
from karma_sync.sending.ledger.sent import Fate, SentSession
from karma_sync.service.status_model import ProjectStatus
from karma_sync.store.usage import CountedSession

Day = Callable[[datetime], date]


@dataclass(frozen=True)
class Exchanged:
    """Numbers of sessions; `unconfirmed` are those sent that somebody has not confirmed yet."""

    sent: int = 0
    received: int = 0
    unconfirmed: int = 0


@dataclass(frozen=True)
class ProjectHoldings:
    """Numbers of sessions of one project.

    `local` are my own here, of which `packaged` were sent or are about to be; `received` came from
    others, and `missing` are announced and not here yet, as far as is known.
    """

    local: int = 0
    packaged: int = 0
    received: int = 0
    missing: int = 0


def within(sent: Iterable[SentSession], scope: AccessScope) -> list[SentSession]:
    """The sent sessions that receivers still have, of the projects that the scope includes."""
    return [
        each
        for each in sent
        if each.state is not Fate.WITHDRAWN and (scope.only is None or each.project in scope.only)
    ]


def by_member(
    sent: Iterable[SentSession], sessions: Iterable[CountedSession], me: str
) -> dict[str, Exchanged]:
    """The sessions sent to each member and received from it, by tag."""
    deliveries = [delivery for each in sent for delivery in each.to]
    out = Counter(d.tag for d in deliveries)
    waiting = Counter(d.tag for d in deliveries if not d.confirmed)
    came = Counter(session.member for session in sessions if session.member != me)
    return {tag: Exchanged(out[tag], came[tag], waiting[tag]) for tag in sorted(out | came)}


def by_day(
    sent: Iterable[SentSession], sessions: Iterable[CountedSession], me: str, day: Day
) -> dict[str, Exchanged]:
    """The sessions first sent on each day, and those whose newest revision arrived on it."""
    days = [(day(each.first).isoformat(), all(d.confirmed for d in each.to)) for each in sent]
    out = Counter(name for name, _ in days)
    waiting = Counter(name for name, is_confirmed in days if not is_confirmed)
    moments = (datetime.fromisoformat(s.arrived) for s in sessions if s.member != me)
    came = Counter(day(moment).isoformat() for moment in moments)
    known = sorted(out | came, reverse=True)
    return {name: Exchanged(out[name], came[name], waiting[name]) for name in known}


def by_project(
    sessions: Iterable[CountedSession], projects: Iterable[ProjectStatus], me: str
) -> dict[str, ProjectHoldings]:
    """The sessions of each project here, by its name; "" for own sessions of no project."""
    known = list(sessions)
    local = Counter(s.project for s in known if s.member == me)
    packaged = Counter(s.project for s in known if s.member == me and s.team)
    received = Counter(s.project for s in known if s.member != me)
    missing: Counter[str] = Counter()
    for status in projects:
        arriving = sum(transfer.items_left for transfer in status.arriving.values())
        missing[status.mine.project] += status.waiting + arriving
    names = dict.fromkeys([*local, *received, *missing])
    return {n: ProjectHoldings(local[n], packaged[n], received[n], missing[n]) for n in names}
