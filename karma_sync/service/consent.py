"""What would leave if a project were accepted: looked up before anybody is asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from karma_sync.domain.project import Names
from karma_sync.domain.source import SourceSession
from karma_sync.errors import BadInput
from karma_sync.service.deciding import Matcher, last_active

DEFAULT_HISTORY = timedelta(days=30)


@dataclass(frozen=True)
class Leaving:
    """Sessions that would be sent: where they lie, how many, how large, how old (UTC).

    `mixed` sessions also worked elsewhere and stay here; `earlier` ones are before the limit.
    """

    directories: tuple[str, ...]
    sessions: int
    size: int
    oldest: datetime | None
    mixed: int
    earlier: int


def what_would_leave(
    matcher: Matcher, sessions: Iterable[SourceSession], names: Names, since: datetime | None
) -> Leaving:
    """Look through all sessions on this machine for those of a project."""
    project = names.project
    directories: set[str] = set()
    leaving: list[tuple[datetime, int]] = []
    mixed = earlier = 0
    for session in sessions:
        try:
            facts = matcher.facts(session)
            belonging = matcher.belonging(session, facts, names)
        except OSError:
            continue  # it vanished meanwhile: then it does not leave either
        mixed += project in belonging.mixed
        if belonging.project != project:
            continue
        active = last_active(session, facts)
        if since and active < since:
            earlier += 1
            continue
        directories |= {cwd for cwd in facts.cwds if names.of(matcher.places.of(cwd)) == project}
        leaving.append((active, session.size))
    return Leaving(
        directories=tuple(sorted(directories)),
        sessions=len(leaving),
        size=sum(size for _, size in leaving),
        oldest=min((active for active, _ in leaving), default=None),
        mixed=mixed,
        earlier=earlier,
    )


def parse_since(text: str | None, now: datetime) -> datetime | None:
    """The moment a person means (UTC); None for the whole history.

    `all`, `now`, a number of days as in `14d`, or a date as in 2026-05-31; 30 days if not said.

    Raises:
        BadInput: it is none of these.
    """
    if text is None:
        return now - DEFAULT_HISTORY
    if text == "all":
        return None
    if text == "now":
        return now
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return now - timedelta(days=int(text[:-1]))
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r} is no moment",
            hint="--since all, --since now, --since 14d, --since 2026-05-31",
        ) from None
