"""Members who act by the use cases, without the questions of the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.app import App
from karma_sync.domain.session.selection import Limits, Unshared, Whose
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Subscription
from karma_sync.domain.team.team import Team
from karma_sync.service import invitations, membership, projects, teams
from karma_sync.service.leadership import Person
from karma_sync.service.membership import RemovalTerms
from karma_sync.service.projects import Terms
from karma_sync.service.sessions import withdrawal
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.store.read_only import reading_only
from karma_sync.team.admission import Newcomer
from karma_sync.team.departures import LeaveTerms
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryMember, MemoryTown


class Player:
    """A member who acts by the use cases.

    Each act opens the databases and closes them again, as a command does: what is lost or restored
    in between is found. What only looks reads state.db as it is.
    """

    def __init__(self, member: MemoryMember) -> None:
        self.member = member
        with self.app() as app:
            self.me = app.me

    @contextmanager
    def app(self) -> Iterator[App]:
        """The parts that a command uses."""
        app = App(self.member.paths, self.member.environ)
        try:
            yield app
        finally:
            app.close()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One view of state.db as it is; looking at a member changes nothing of it."""
        path = self.member.paths.state_db
        if not path.exists():
            with self.app() as app:
                app.state.connect()
        with reading_only(path) as tx:
            yield tx

    def team(self) -> Team | None:
        """The team that it is in, and that it has not left."""
        with self.reading() as tx:
            return self._team(tx)

    def _team(self, tx: Transaction) -> Team | None:
        found = [t for t in state.teams.all(tx) if t.anybody(self.me.key)]
        assert len(found) <= 1
        return found[0] if found else None

    def former(self) -> list[state.Former]:
        """The teams that it left, or from which it was removed."""
        with self.reading() as tx:
            return state.formers.all(tx)

    def answers(self) -> list[Subscription]:
        """The answers of all members, as this member knows them."""
        with self.reading() as tx:
            return state.answers(tx)

    def standing(self) -> tuple[bool, list[Subscription]]:
        """Whether it is in a team, and its own answers, both as of one moment."""
        with self.reading() as tx:
            mine = [each for each in state.answers(tx) if each.member == self.me.key]
            return self._team(tx) is not None, mine

    # ---- teams

    def found(self, name: str = "backend") -> None:
        """Found a team."""
        with self.app() as app:
            teams.create(app.state, app.me, name)

    def share(self, *names: str) -> None:
        """Put projects on the roster, without an answer."""
        with self.app() as app, app.state.transaction() as tx:
            [team] = state.teams.all(tx)
            for project in names:
                team = team.share(project, int(datetime.now(UTC).timestamp() * 1000))
            state.teams.put(tx, team)

    def admit(self, other: "Player") -> None:
        """Add a member that pairs with this one, who leads."""
        now = datetime.now(UTC)
        with other.app() as app:
            invitations.pair(app.state, app.me, self.me, now)
        with self.app() as app:
            teams.add_member(app.state, app.me, Newcomer(other.me), None, now)

    def remove(self, other: "Player", *, retracted: bool) -> None:
        """Remove a member from the team that this one leads."""
        with self.app() as app:
            found = membership.find_member(app.state, other.member.tag, None)
            person = Person(app.me, app.key)
            terms = RemovalTerms(retracted=retracted)
            membership.remove(app.state, person, found, terms, datetime.now(UTC))

    def leave(self, *, retracted: bool) -> None:
        """Leave the team."""
        with self.app() as app:
            terms = LeaveTerms(datetime.now(UTC), retracted=retracted, keep=False)
            membership.leave(app.state, app.me, None, terms)

    # ---- projects

    def map(self, place: Path, project: str) -> None:
        """Have a directory belong to a project."""
        known = state.KnownDirectory(path=str(place), project=project, mapped=True)
        with self.app() as app, app.state.transaction() as tx:
            state.roots.put(tx, known)

    def accept(self, project: str, direction: Direction) -> None:
        """Take part, without limits."""
        with self.app() as app:
            answers = projects.find(app.state, app.me, project, None)
            terms = Terms(direction=direction, limits=Limits())
            projects.accept(app.state, app.me, answers, terms, datetime.now(UTC))

    def move(self, project: str, verb: projects.Verb) -> None:
        """Answer anew."""
        with self.app() as app:
            projects.move(app.state, app.me, project, None, verb)

    # ---- sessions

    def unshare(self, session: str) -> None:
        """Take a session back that has left."""
        with self.app() as app:
            withdrawal.unshare(app.state, Unshared(whose=Whose.SESSION, name=session))

    def share_again(self, session: str) -> None:
        """Let a session leave again."""
        with self.app() as app:
            withdrawal.lift(app.state, Unshared(whose=Whose.SESSION, name=session))


def team_of(town: MemoryTown, *users: str) -> list[Player]:
    """A team whose members send and receive one project; the first leads."""
    players = [Player(town.member(user).up()) for user in users]
    players[0].found()
    for other in players[1:]:
        players[0].admit(other)
    players[0].share(PROJECT)
    town.settle()
    for player in players:
        player.accept(PROJECT, Direction.BOTH)
    town.settle()
    return players
