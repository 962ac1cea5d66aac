"""Use case of `project scan`: which sessions of the agent belong to which project, and why not."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain.session.project import Belonging, Names, Place, Where, belonging_of
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.domain.team.team import Team
from karma_sync.git.repository import other_identities, repository_at
from karma_sync.sending.eligibility import Decider, ProjectMatcher

_NO_LETTER = re.compile(r"[^A-Za-z0-9]")


@dataclass(frozen=True)
class FoundSessions:
    """The sessions in one project directory of the agent that belong to the same project.

    `directory` is the agent's name for the directory. `works_in` are the working directories that
    the sessions' records name, sorted. `project` is "" if they belong to no project, and `why` is
    the reason. `why` is also the reason why nothing leaves if the repository has another name than
    the shared project `same_as`. `teams` are the teams that share the project. `proposed` are
    shared projects that other remotes of the repository name; only a person can decide whether one
    of them is meant. `excluded` is the exclusion that keeps the sessions here, "" if none does.
    """

    directory: str
    works_in: tuple[str, ...]
    project: str
    sessions: int
    why: str
    teams: tuple[str, ...]
    proposed: tuple[str, ...]
    same_as: str = ""
    excluded: str = ""

    @property
    def place(self) -> str:
        """The directory in which the agent was started, if a record names it.

        The agent makes the name of its project directory from that path. Otherwise this is the
        shortest working directory.
        """
        named = (cwd for cwd in self.works_in if _NO_LETTER.sub("-", cwd) == self.directory)
        return next(named, min(self.works_in, key=len, default=self.directory))


@dataclass(frozen=True)
class _Case:
    project: str
    why: str
    proposed: tuple[str, ...]
    same_as: str = ""
    excluded: str = ""


@dataclass(frozen=True)
class _Shared:
    """The teams by shared project, the projects by other name, and the names of my projects."""

    teams: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    names: Sequence[Names]


def scan(
    decider: Decider, source: ClaudeSource, teams: Iterable[Team], names: Iterable[Names]
) -> list[FoundSessions]:
    """Find the project of every session on this machine; by directory, then most sessions first.

    `names` are those of my projects. A directory without sessions has one entry with none. A
    session that disappears meanwhile is left out.
    """
    shared, all_found = _shared(teams, names), []
    sessions: dict[Path, list[SourceSession]] = {}
    for session in source.sessions():
        sessions.setdefault(session.directory, []).append(session)
    for directory in source.directories():
        found = _in_directory(decider, sessions.get(directory, []), directory.name, shared)
        all_found += found or [_without_sessions(directory.name)]
    return all_found


def _without_sessions(directory: str) -> FoundSessions:
    why = "it has no session"
    return FoundSessions(directory, (), project="", sessions=0, why=why, teams=(), proposed=())


def _shared(teams: Iterable[Team], names: Iterable[Names]) -> _Shared:
    found: dict[str, set[str]] = {}
    aliases: dict[str, str] = {}
    for team in teams:
        aliases |= team.aliases
        for project in team.projects:
            found.setdefault(project.identity, set()).add(team.name)
    sharing = {name: tuple(sorted(which)) for name, which in found.items()}
    return _Shared(sharing, aliases, list(names))


def _in_directory(
    decider: Decider, sessions: Iterable[SourceSession], directory: str, shared: _Shared
) -> list[FoundSessions]:
    matcher = decider.matcher
    counts: dict[_Case, int] = {}
    cwds: dict[_Case, set[str]] = {}
    for session in sessions:
        places: Mapping[str, Place] = {}
        try:
            facts = matcher.facts(session)
            places = matcher.places_of(session, facts)
            excluded = decider.excluded(session, facts)
            case = replace(_case(places, shared), excluded=excluded[1].pattern if excluded else "")
        except FileNotFoundError:
            continue
        except OSError as error:
            case = _Case("", f"it cannot be read: {error.strerror}", ())
        counts[case] = counts.get(case, 0) + 1
        cwds.setdefault(case, set()).update(places)
    found = [
        FoundSessions(
            directory=directory,
            works_in=tuple(sorted(cwds[case])),
            project=case.project,
            sessions=count,
            why=case.why,
            teams=shared.teams.get(case.project, ()),
            proposed=case.proposed,
            same_as=case.same_as,
            excluded=case.excluded,
        )
        for case, count in counts.items()
    ]
    return sorted(found, key=lambda f: (-f.sessions, f.project, f.why))


def _case(places: Mapping[str, Place], shared: _Shared) -> _Case:
    plain = belonging_of(places)
    mine = [b for each in shared.names if (b := belonging_of(places, each)) != plain]
    belonging = next((b for b in mine if b.project), mine[0] if mine else plain)
    project = belonging.project
    known = {*shared.teams, *shared.aliases}
    others = {other for place in places.values() for other in place.others if other in known}
    proposed = tuple(sorted(others - {project}))
    if not project:
        return _Case("", _why_none(places, belonging), proposed)
    if project in shared.teams:
        return _Case(project, "", proposed)
    same = shared.aliases.get(project, "")
    if same:
        why = f"your team takes it for {same}; nothing leaves until you agree"
        return _Case(project, why, proposed, same)
    former = {name for place in places.values() for name in place.former}
    for name in sorted(former & known):
        same = shared.aliases.get(name, name)
        return _Case(project, f"it was {same} before; nothing leaves", proposed, same)
    return _Case(project, "", proposed)


def _why_none(places: Mapping[str, Place], belonging: Belonging) -> str:
    if not places:
        return "no record names a directory"
    if len(belonging.mixed) > 1:
        return f"worked in {' and '.join(belonging.mixed)}"
    whys = {cwd: places[cwd].why for cwd in belonging.elsewhere}
    gone = [why if cwd in why else f"{cwd}: {why}" for cwd, why in whys.items()]
    if belonging.mixed:
        return f"worked in {belonging.mixed[0]}, and elsewhere ({gone[0]})"
    if gone:
        return gone[0]
    neutral = min(cwd for cwd, place in places.items() if place.where is Where.NEUTRAL)
    return f"{neutral} is in no git repository"


@dataclass(frozen=True)
class Fork:
    """A clone of which `origin` does not name the project, but another remote does.

    `root` is its directory, `remote` the name of that other remote, `origin` the identity of
    origin.
    """

    root: Path
    remote: str
    origin: str


def forks_of(
    matcher: ProjectMatcher, sessions: Iterable[SourceSession], names: Names
) -> list[Fork]:
    """Clones with sessions that may be forks of a project, sorted; a person must confirm each."""
    wanted = {names.project, *names.aliases}
    found = set()
    for session in sessions:
        try:
            places = matcher.places_of(session, matcher.facts(session))
        except OSError:
            continue  # it disappeared meanwhile
        for cwd, place in places.items():
            if place.identity not in wanted and wanted & set(place.others):
                repository = repository_at(Path(cwd))
                others = other_identities(repository.remotes()) if repository else {}
                remotes = [remote for name, remote in others.items() if name in wanted]
                if repository and remotes:
                    found.add(Fork(repository.top, remotes[0], place.identity))
    return sorted(found, key=lambda fork: fork.root)
