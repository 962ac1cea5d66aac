"""Use cases of projects: share one, answer a shared one, and agree to its other names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.mesh.channels import listeners
from karma_sync.domain.session.project import Names, find_project
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import USUAL, Content, Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput, Conflict, IllegalMove, NotFound
from karma_sync.service import teams
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

Verb = Callable[[Subscription], Subscription]


@dataclass(frozen=True)
class Terms:
    """The terms of an accept: direction, content, and limits on what is sent."""

    direction: Direction = Direction.BOTH
    content: tuple[Content, ...] = USUAL
    limits: Limits = Limits()


@dataclass(frozen=True)
class ProjectAnswers:
    """A shared project, my answer to it, and the answers of all other members on the roster.

    `option` is the command-line option that a command needs besides the project: ` --team NAME` if
    several teams share the project, else "".
    """

    team: Team
    mine: Subscription
    others: list[tuple[Member, Subscription]]
    option: str = ""

    @property
    def project(self) -> str:
        """The project's identity."""
        return self.mine.project

    @property
    def named(self) -> str:
        """The project as a command line names it, with the option if needed."""
        return f"{self.project}{self.option}"

    @property
    def names(self) -> Names:
        """All names of the project, as agreed to; they are shown when it is accepted."""
        shared = self.team.project(self.project)
        aliases = frozenset(shared.aliases if shared else ())
        return Names(self.project, aliases, aliases)

    @property
    def is_guest(self) -> bool:
        """Whether I am a guest of the team: I can only receive."""
        me = self.team.anybody(self.mine.member)
        return me is not None and bool(me.limited_to)

    def is_same(self, other: "ProjectAnswers") -> bool:
        """Whether these are answers to the same project of the same team."""
        return (self.team.id, self.project) == (other.team.id, other.project)

    @property
    def recipients(self) -> list[Member]:
        """The members that would receive what I send: all that have not declined."""
        return [m for m, s in self.others if s.status != "declined"]


def prepare_share(
    store: Database, me: PairingCode, identity: str, team: str | None
) -> ProjectAnswers:
    """The project as it would be shared; nothing is changed.

    Raises:
        Conflict: I do not lead the team, or accepted the project there already.
    """
    with store.reading() as tx:
        found = teams.find(tx, team).lead_by(me.key)
        answers = _answers(tx, me, found, identity)
    if answers.mine.engaged:
        raise Conflict(
            f"{identity} is shared with {found.name} already",
            hint="karma-sync subscription list",
        )
    return answers


def share(
    store: Database, me: PairingCode, answers: ProjectAnswers, terms: Terms, now: datetime
) -> None:
    """Put a project on the roster and accept it for myself, in one transaction."""
    now_ms = int(now.timestamp() * 1000)
    with store.transaction() as tx:
        team = teams.find(tx, answers.team.id).lead_by(me.key).share(answers.project, now_ms)
        state.teams.put(tx, team)
        _accept(tx, _answers(tx, me, team, answers.project), terms, now_ms)


def accept(
    store: Database, me: PairingCode, answers: ProjectAnswers, terms: Terms, now: datetime
) -> None:
    """Accept a shared project on these terms.

    Raises:
        IllegalMove: it is not offered; for instance, it was accepted already.
        Conflict: I am a guest, and would send.
    """
    with store.transaction() as tx:
        fresh = _find(tx, me, answers.project, answers.team.id)
        _accept(tx, fresh, terms, int(now.timestamp() * 1000))


def move(
    store: Database, me: PairingCode, project: str, team: str | None, verb: Verb
) -> ProjectAnswers:
    """Change my answer to a shared project by `verb`; returns the answers from before.

    Raises:
        IllegalMove: the present status does not allow this change.
    """
    with store.transaction() as tx:
        answers = _find(tx, me, project, team)
        state.subscriptions.put(tx, moved(answers, verb))
    return answers


def moved(answers: ProjectAnswers, verb: Verb) -> Subscription:
    """My answer after the change `verb`; nothing is stored.

    Raises:
        IllegalMove: the present status does not allow this change.
        Conflict: the project is no longer shared, or I am a guest, and would send.
    """
    try:
        changed = verb(answers.mine)
    except IllegalMove as error:
        error.hint += answers.option
        raise
    if changed.status is not Status.DECLINED:
        _require_shared(answers)
    if answers.is_guest and changed.sends:
        raise teams.guest_sends_nothing(answers.team, f"--direction {Direction.RECEIVE}")
    return changed


def _require_shared(answers: ProjectAnswers) -> None:
    """Raises Conflict if nothing can be exchanged any more: a decline still withdraws."""
    team = answers.team
    withdraw = f"karma-sync decline {answers.named}, to withdraw what you sent"
    if team.is_dissolved:
        raise Conflict(f"{team.name} is dissolved", hint=withdraw)
    if answers.project in {p.identity for p in team.unshared}:
        raise Conflict(f"{team.name} no longer shares {answers.project}", hint=withdraw)


def find(store: Database, me: PairingCode, project: str, team: str | None) -> ProjectAnswers:
    """The shared project that `project` names: its full name, or the end of one name only.

    Raises:
        NotFound: no team of mine shares such a project.
        BadInput: several projects fit, or several teams share the project.
    """
    with store.reading() as tx:
        return _find(tx, me, project, team)


def all_answers(store: Database, me: PairingCode) -> list[ProjectAnswers]:
    """Every project of all my teams, sorted by team and project."""
    with store.reading() as tx:
        return [
            _answers(tx, me, team, project.identity)
            for team in sorted(state.teams.all(tx), key=lambda t: t.name)
            for project in sorted(team.projects, key=lambda p: p.identity)
        ]


def shared_names(store: Database) -> set[str]:
    """All names of all projects that my teams share."""
    with store.reading() as tx:
        return {n for t in state.teams.all(tx) for p in t.projects for n in p.names}


def other_names(store: Database) -> dict[str, str]:
    """By other name of a shared project, its identity."""
    with store.reading() as tx:
        return {alias: of for t in state.teams.all(tx) for alias, of in t.aliases.items()}


def own_names(store: Database) -> list[Names]:
    """The names of every project that my teams share, and those to which I agreed."""
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
    """The shared projects of which directories had a name before git named them `name`."""
    with store.reading() as tx:
        former = {p for r in state.roots.all(tx) if r.project == name for p in r.former}
        names = {n: p.identity for t in state.teams.all(tx) for p in t.projects for n in p.names}
    return sorted({names[p] for p in former & names.keys()})


def alias(store: Database, me: PairingCode, answers: ProjectAnswers, name: str) -> bool:
    """Agree to another name of a shared project; returns whether it is new to the team.

    The leader also puts the name on the roster. A member can only agree to a name on the roster.

    Raises: as `require_alias` does.
    """
    with store.transaction() as tx:
        known = teams.find(tx, answers.team.id)
        team = _with_alias(known, me, answers, name)
        if team != known:
            state.teams.put(tx, team)
        _agree(tx, team.id, answers.project, [name])
    return team != known


def require_alias(store: Database, me: PairingCode, answers: ProjectAnswers, name: str) -> None:
    """Check that `alias` can be done; nothing is stored.

    Raises:
        BadInput: the project was shared under this name.
        Conflict: the roster does not have the name and I do not lead the team, or another project
            has the name.
    """
    with store.reading() as tx:
        _with_alias(teams.find(tx, answers.team.id), me, answers, name)


def _with_alias(team: Team, me: PairingCode, answers: ProjectAnswers, name: str) -> Team:
    if name == answers.project:
        raise BadInput(f"{name} is its name already", hint="karma-sync project scan")
    if team.aliases.get(name) == answers.project:
        return team
    return team.lead_by(me.key).alias(answers.project, name)


def unalias(store: Database, me: PairingCode, answers: ProjectAnswers, name: str) -> bool:
    """Withdraw my agreement to another name of a project; returns whether I lead the team.

    The leader also removes the name from the roster.

    Raises:
        NotFound: this is not another name of the project.
    """
    with store.transaction() as tx:
        team = teams.find(tx, answers.team.id)
        if team.aliases.get(name) != answers.project:
            raise NotFound(
                f"{name} is not another name of {answers.project} in {team.name}",
                hint="karma-sync project scan",
            )
        state.agreements.drop(tx, team=team.id, project=answers.project, name=name)
        leads = team.leader == me.key
        if leads:
            state.teams.put(tx, team.unalias(name))
    return leads


def _accept(tx: Transaction, answers: ProjectAnswers, terms: Terms, now_ms: int) -> None:
    def verb(mine: Subscription) -> Subscription:
        return mine.accept(now_ms, terms.direction, terms.content, terms.limits)

    state.subscriptions.put(tx, moved(answers, verb))
    _agree(tx, answers.team.id, answers.project, answers.names.aliases)


def _agree(tx: Transaction, team: str, project: str, names: Iterable[str]) -> None:
    agreed = (state.Agreed(team=team, project=project, name=name) for name in names)
    state.agreements.put(tx, *agreed)


def _find(tx: Transaction, me: PairingCode, project: str, team: str | None) -> ProjectAnswers:
    candidates = [teams.find(tx, team)] if team else state.teams.all(tx)
    if not candidates:
        raise NotFound("you are in no team yet", hint="karma-sync inbox")
    aliases = {alias: of for t in candidates for alias, of in t.aliases.items()}
    known = (p.identity for t in candidates for p in (*t.projects, *t.unshared))
    identity = find_project(project, known, aliases)
    sharing = [t for t in candidates if t.project(identity)]
    # sessions sent for a project that is no longer shared can still be withdrawn
    sharing = sharing or [t for t in candidates if identity in {p.identity for p in t.unshared}]
    if len(sharing) > 1:
        personal = teams.personal_ids(tx)
        sharing = [t for t in sharing if t.id not in personal] or sharing
    if len(sharing) > 1:
        raise BadInput(
            f"several teams share {identity}: name one",
            hint=" or ".join(sorted(_option(t, sharing).strip() for t in sharing)),
        )
    return _answers(tx, me, sharing[0], identity)


def _answers(tx: Transaction, me: PairingCode, team: Team, identity: str) -> ProjectAnswers:
    def answer_of(member: str) -> Subscription:
        known = state.subscriptions.get(tx, team.id, identity, member)
        blank = Subscription(team=team.id, project=identity, member=member)
        shared = team.project(identity)
        return (known or blank).towards(shared.incarnation if shared else 0)

    others = sorted((m for m in listeners(team, identity) if m.key != me.key), key=lambda m: m.tag)
    sharing = [t for t in state.teams.all(tx) if t.project(identity) or t.id == team.id]
    option = _option(team, sharing) if len(sharing) > 1 else ""
    return ProjectAnswers(team, answer_of(me.key), [(m, answer_of(m.key)) for m in others], option)


def _option(team: Team, among: list[Team]) -> str:
    """The option that names this team: by its ID if another of these teams has its name."""
    name = team.name if [t.name for t in among].count(team.name) == 1 else team.id
    return f" --team {name}"


def readable_project(wanted: str, known: Iterable[str], others: Mapping[str, str]) -> str:
    """The project that a reader named, among those `known` of which there are sessions to read.

    `others` maps other names to the projects.

    Raises:
        NotFound: there is none.
        BadInput: several fit.
    """
    try:
        return find_project(wanted, known, others)
    except NotFound:
        raise NotFound(
            f"you can read no session of a project {wanted!r}", hint="karma-sync project list"
        ) from None
