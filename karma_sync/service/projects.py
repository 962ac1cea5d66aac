"""Sharing projects, and answering the ones that are shared."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.session.project import Names, find_project
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Content, Direction, Subscription
from karma_sync.domain.team.team import Member, Team
from karma_sync.errors import BadInput, Conflict, IllegalMove, NotFound
from karma_sync.service import teams
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

Verb = Callable[[Subscription], Subscription]


@dataclass(frozen=True)
class Terms:
    """How a subscription is accepted."""

    direction: Direction = Direction.BOTH
    content: Content = Content.BOTH
    limits: Limits = Limits()


@dataclass(frozen=True)
class ProjectAnswers:
    """A shared project, my answer to it, and everybody else's who is on the roster.

    `option` is what a command needs besides the project: `--team` where several teams share it.
    """

    team: Team
    mine: Subscription
    others: list[tuple[Member, Subscription]]
    option: str = ""

    @property
    def project(self) -> str:
        return self.mine.project

    @property
    def named(self) -> str:
        """How to name it in a command."""
        return f"{self.project}{self.option}"

    @property
    def names(self) -> Names:
        """All names of the project, agreed to: those that are shown when it is accepted."""
        shared = self.team.project(self.project)
        aliases = frozenset(shared.aliases if shared else ())
        return Names(self.project, aliases, aliases)

    @property
    def recipients(self) -> list[Member]:
        """Who would have what I send: all who have not declined."""
        return [m for m, s in self.others if s.status != "declined"]


def prepare_share(
    store: Database, me: PairingCode, identity: str, team: str | None
) -> ProjectAnswers:
    """What sharing this project would mean; changes nothing.

    Raises:
        Conflict: I do not lead the team, or have accepted the project there already.
    """
    with store.reading() as tx:
        found = teams.find(tx, team).lead_by(me.key)
        standing = _standing(tx, me, found, identity)
    if standing.mine.engaged:
        raise Conflict(
            f"{identity} is shared with {found.name} already",
            hint="karma-sync subscription list",
        )
    return standing


def share(
    store: Database, me: PairingCode, standing: ProjectAnswers, terms: Terms, now: datetime
) -> None:
    """Put a project on the roster and accept it for myself, both or neither."""
    now_ms = int(now.timestamp() * 1000)
    with store.transaction() as tx:
        team = teams.find(tx, standing.team.id).lead_by(me.key).share(standing.project, now_ms)
        state.teams.put(tx, team)
        _accept(tx, _standing(tx, me, team, standing.project), terms, now_ms)


def accept(
    store: Database, me: PairingCode, standing: ProjectAnswers, terms: Terms, now: datetime
) -> None:
    """Accept a shared project on these terms.

    Raises:
        IllegalMove: it is not offered, for instance accepted already.
    """
    with store.transaction() as tx:
        fresh = _find(tx, me, standing.project, standing.team.id)
        _accept(tx, fresh, terms, int(now.timestamp() * 1000))


def move(
    store: Database, me: PairingCode, project: str, team: str | None, verb: Verb
) -> ProjectAnswers:
    """Change my answer to a shared project by one of its moves; the standing before.

    Raises:
        IllegalMove: the present status does not allow it.
    """
    with store.transaction() as tx:
        standing = _find(tx, me, project, team)
        state.subscriptions.put(tx, moved(standing, verb))
    return standing


def moved(standing: ProjectAnswers, verb: Verb) -> Subscription:
    """My answer after one of its moves.

    Raises:
        IllegalMove: the present status does not allow it.
    """
    try:
        return verb(standing.mine)
    except IllegalMove as error:
        error.hint += standing.option
        raise


def find(store: Database, me: PairingCode, project: str, team: str | None) -> ProjectAnswers:
    """The one shared project that `project` names: whole, or by a unique ending.

    Raises:
        NotFound: no team of mine shares it.
        BadInput: it fits several, or several teams share it.
    """
    with store.reading() as tx:
        return _find(tx, me, project, team)


def standings(store: Database, me: PairingCode) -> list[ProjectAnswers]:
    """Every project of every team of mine, by team and name."""
    with store.reading() as tx:
        return [
            _standing(tx, me, team, project.identity)
            for team in sorted(state.teams.all(tx), key=lambda t: t.name)
            for project in sorted(team.projects, key=lambda p: p.identity)
        ]


def shared_names(store: Database) -> set[str]:
    """All names of all projects that my teams share."""
    with store.reading() as tx:
        return {n for t in state.teams.all(tx) for p in t.projects for n in p.names}


def other_names(store: Database) -> dict[str, str]:
    """The identity of each shared project by its other names."""
    with store.reading() as tx:
        return {alias: of for t in state.teams.all(tx) for alias, of in t.aliases.items()}


def own_names(store: Database) -> list[Names]:
    """The names of every project that my teams share, with what I agreed to."""
    with store.reading() as tx:
        agreed = {(a.team, a.project, a.name) for a in state.agreements.all(tx)}
        return [
            Names(
                p.identity,
                frozenset(p.aliases),
                frozenset(a for a in p.aliases if (t.id, p.identity, a) in agreed),
            )
            for t in state.teams.all(tx)
            for p in t.projects
        ]


def renamed_to(store: Database, name: str) -> list[str]:
    """The shared projects that directories now named `name` were before."""
    with store.reading() as tx:
        former = {p for r in state.roots.all(tx) if r.project == name for p in r.former}
        names = {n: p.identity for t in state.teams.all(tx) for p in t.projects for n in p.names}
    return sorted({names[p] for p in former & names.keys()})


def alias(store: Database, me: PairingCode, standing: ProjectAnswers, name: str) -> bool:
    """Take another name of a shared project for it; whether that is news to its team.

    The leader tells the team; a member agrees to a name that the leader told.

    Raises:
        BadInput: it is the very name that the project was shared under.
        Conflict: the team does not have the name and I do not lead it, or another project has it.
    """
    if name == standing.project:
        raise BadInput(f"{name} is its name already", hint="karma-sync project scan")
    with store.transaction() as tx:
        team = teams.find(tx, standing.team.id)
        news = team.aliases.get(name) != standing.project
        if news:
            state.teams.put(tx, team.lead_by(me.key).alias(standing.project, name))
        _agree(tx, team.id, standing.project, [name])
    return news


def unalias(store: Database, me: PairingCode, standing: ProjectAnswers, name: str) -> bool:
    """Take another name of a shared project back; whether the team has it no more.

    The leader tells the team; a member agrees to it no more.

    Raises:
        NotFound: it is no other name of the project.
    """
    with store.transaction() as tx:
        team = teams.find(tx, standing.team.id)
        if team.aliases.get(name) != standing.project:
            raise NotFound(
                f"{name} is no other name of {standing.project} in {team.name}",
                hint="karma-sync project scan",
            )
        state.agreements.drop(tx, team=team.id, project=standing.project, name=name)
        leads = team.leader == me.key
        if leads:
            state.teams.put(tx, team.unalias(name))
    return leads


def _accept(tx: Transaction, standing: ProjectAnswers, terms: Terms, now_ms: int) -> None:
    def verb(mine: Subscription) -> Subscription:
        return mine.accept(now_ms, terms.direction, terms.content, terms.limits)

    state.subscriptions.put(tx, moved(standing, verb))
    _agree(tx, standing.team.id, standing.project, standing.names.aliases)


def _agree(tx: Transaction, team: str, project: str, names: Iterable[str]) -> None:
    agreed = (state.Agreed(team=team, project=project, name=name) for name in names)
    state.agreements.put(tx, *agreed)


def _find(tx: Transaction, me: PairingCode, project: str, team: str | None) -> ProjectAnswers:
    candidates = [teams.find(tx, team)] if team else state.teams.all(tx)
    if not candidates:
        raise NotFound("you are in no team yet", hint="karma-sync inbox")
    aliases = {alias: of for t in candidates for alias, of in t.aliases.items()}
    identity = find_project(project, (p.identity for t in candidates for p in t.projects), aliases)
    sharing = [t for t in candidates if t.project(identity)]
    if len(sharing) > 1:
        raise BadInput(
            f"several teams share {identity}: say which",
            hint=" or ".join(sorted(_option(t, sharing).strip() for t in sharing)),
        )
    return _standing(tx, me, sharing[0], identity)


def _standing(tx: Transaction, me: PairingCode, team: Team, identity: str) -> ProjectAnswers:
    def answer_of(member: str) -> Subscription:
        known = state.subscriptions.get(tx, team.id, identity, member)
        return known or Subscription(team=team.id, project=identity, member=member)

    others = sorted((m for m in team.members if m.key != me.key), key=lambda m: m.tag)
    sharing = [t for t in state.teams.all(tx) if t.project(identity) or t.id == team.id]
    option = _option(team, sharing) if len(sharing) > 1 else ""
    return ProjectAnswers(team, answer_of(me.key), [(m, answer_of(m.key)) for m in others], option)


def _option(team: Team, among: list[Team]) -> str:
    """How a command names this team among these: by its id, where another has its name."""
    name = team.name if [t.name for t in among].count(team.name) == 1 else team.id
    return f" --team {name}"
