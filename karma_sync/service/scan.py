"""Every project directory of the agent's: whose sessions lie in it, and why some are nobody's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.project import Belonging, Names, Place, Where, belongs
from karma_sync.domain.source import SourceSession
from karma_sync.domain.team import Team
from karma_sync.service.deciding import Matcher
from karma_sync.sources.claude import ClaudeSource
from karma_sync.sources.repository import other_identities, repository_at


@dataclass(frozen=True)
class Found:
    """Sessions of one project directory that belong together.

    `directory` is the agent's own name for it; `works_in` are the working directories that their
    records name, sorted. `project` is "" where they belong to none, and then `why` says why not.
    `teams` share the project. `proposed` are shared projects that other remotes name: whether one
    is meant is for a person to say.
    """

    directory: str
    works_in: tuple[str, ...]
    project: str
    sessions: int
    why: str
    teams: tuple[str, ...]
    proposed: tuple[str, ...]


@dataclass(frozen=True)
class _Case:
    project: str
    why: str
    proposed: tuple[str, ...]


def scan(
    matcher: Matcher, source: ClaudeSource, teams: Iterable[Team], names: Iterable[Names]
) -> list[Found]:
    """Look through all sessions on this machine; by directory, then the most sessions first.

    `names` are those of my projects. A session that vanishes meanwhile is left out.
    """
    sharing = _sharing(teams)
    known = list(names)
    return [
        found
        for directory in source.directories()
        for found in _in_directory(
            matcher, source.sessions_in(directory), directory.name, (sharing, known)
        )
    ]


def _sharing(teams: Iterable[Team]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for team in teams:
        for project in team.projects:
            for name in project.names:
                found.setdefault(name, set()).add(team.name)
    return {name: tuple(sorted(which)) for name, which in found.items()}


def _in_directory(
    matcher: Matcher,
    sessions: Iterable[SourceSession],
    directory: str,
    known: tuple[Mapping[str, tuple[str, ...]], list[Names]],
) -> list[Found]:
    sharing, names = known
    counts: dict[_Case, int] = {}
    cwds: dict[_Case, set[str]] = {}
    for session in sessions:
        try:
            places = matcher.where(session, matcher.facts(session))
        except OSError:
            continue
        case = _case(places, names, sharing)
        counts[case] = counts.get(case, 0) + 1
        cwds.setdefault(case, set()).update(places)
    found = [
        Found(
            directory=directory,
            works_in=tuple(sorted(cwds[case])),
            project=case.project,
            sessions=count,
            why=case.why,
            teams=sharing.get(case.project, ()),
            proposed=case.proposed,
        )
        for case, count in counts.items()
    ]
    return sorted(found, key=lambda f: (-f.sessions, f.project, f.why))


def _case(
    places: Mapping[str, Place], names: Iterable[Names], sharing: Mapping[str, object]
) -> _Case:
    plain = belongs(places)
    mine = (belongs(places, each) for each in names)
    belonging = next((b for b in mine if b.project and b != plain), plain)
    others = {other for place in places.values() for other in place.others if other in sharing}
    why = "" if belonging.project else _why_none(places, belonging)
    return _Case(belonging.project, why, tuple(sorted(others - {belonging.project})))


def _why_none(places: Mapping[str, Place], belonging: Belonging) -> str:
    if not places:
        return "no record names a directory"
    if len(belonging.mixed) > 1:
        return f"worked in {' and '.join(belonging.mixed)}"
    gone = [f"{cwd}: {places[cwd].why}" for cwd in belonging.elsewhere]
    if belonging.mixed:
        return f"worked in {belonging.mixed[0]}, and elsewhere ({gone[0]})"
    if gone:
        return gone[0]
    neutral = min(cwd for cwd, place in places.items() if place.where is Where.NEUTRAL)
    return f"{neutral} is in no git repository"


@dataclass(frozen=True)
class Fork:
    """A clone whose `origin` is no name of a project, while another remote of it is."""

    root: Path
    remote: str
    origin: str


def forks_of(matcher: Matcher, sessions: Iterable[SourceSession], names: Names) -> list[Fork]:
    """The clones with sessions that may be forks of a project, sorted; asked, never taken."""
    wanted = {names.project, *names.aliases}
    found = set()
    for session in sessions:
        try:
            places = matcher.where(session, matcher.facts(session))
        except OSError:
            continue  # it vanished meanwhile
        for cwd, place in places.items():
            if place.identity not in wanted and wanted & set(place.others):
                repository = repository_at(Path(cwd))
                others = other_identities(repository.remotes()) if repository else {}
                remotes = [remote for name, remote in others.items() if name in wanted]
                if repository and remotes:
                    found.add(Fork(repository.top, remotes[0], place.identity))
    return sorted(found, key=lambda fork: fork.root)


def shown(cwds: tuple[str, ...]) -> str:
    """The directory to show for several: their common parent, if they have one below the root."""
    if not cwds:
        return "?"
    shortest = min(cwds, key=len)
    return shortest if all(Path(c).is_relative_to(shortest) for c in cwds) else f"{shortest}, …"
