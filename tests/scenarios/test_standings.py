"""Every pair of standings that two members can be in: what each may read is what the two say.

Each pair has a project of its own in one team, so that all of them are played at once, by the
daemon's own parts on the Syncthing in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import Status, Subscription
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.players import Player
from tests.support.town import found_team
from tests.support.transcripts import Session


@dataclass(frozen=True)
class Standing:
    """A member's answer to a project: whether it sends and receives."""

    status: Status
    direction: Direction = Direction.BOTH

    @property
    def sends(self) -> bool:
        return self.status is Status.ACCEPTED and self.direction is not Direction.RECEIVE

    @property
    def receives(self) -> bool:
        return self.status is Status.ACCEPTED and self.direction is not Direction.SEND


STANDINGS = [
    Standing(Status.OFFERED),
    Standing(Status.DECLINED),
    *(Standing(s, d) for s, d in product((Status.ACCEPTED, Status.PAUSED), Direction)),
]
OPEN = Standing(Status.ACCEPTED)
ALL_PAIRS = dict(enumerate(product(STANDINGS, STANDINGS)))
ONE_OPEN = {number: pair for number, pair in ALL_PAIRS.items() if pair[1] == OPEN}


@dataclass(frozen=True)
class Play:
    """Two members of a team with a project for each pair of standings, and a session in each."""

    a: "Participant"
    b: "Participant"
    town: MemoryTown
    pairs: dict[str, tuple[Standing, Standing]]

    def exchanged(self, one: "Participant", other: "Participant") -> set[str]:
        """The projects of which one has what the other wrote."""
        return {p for p in self.pairs if one.member.holds(other.sessions[p])}

    def expected(self, reader: int) -> set[str]:
        return {
            project
            for project, pair in self.pairs.items()
            if pair[reader].receives and pair[1 - reader].sends
        }


class Participant(Player):
    """A player with a session in each project, and a standing to it."""

    def __init__(self, member: MemoryMember) -> None:
        super().__init__(member)
        self.sessions: dict[str, Session] = {}

    def work_on(self, project: str) -> None:
        """Have the agent write a session in a directory of this project."""
        place = self.member.folder / "places" / project.rpartition("/")[2]
        place.mkdir(parents=True)
        self.map(place, project)
        said = f"{self.member.user} in {project}"
        self.sessions[project] = self.member.write_session(said, cwd=place)

    def stand(self, project: str, wanted: Standing) -> None:
        """Answer a project so that I stand to it in this way."""
        if wanted.status is Status.OFFERED:
            return
        if wanted.status is Status.DECLINED:
            self.move(project, Subscription.decline)
            return
        self.accept(project, wanted.direction)
        if wanted.status is Status.PAUSED:
            self.move(project, Subscription.pause)

    def open_up(self, project: str, before: Standing) -> None:
        """Go from a standing to one in which I send and receive."""
        if before.status is Status.PAUSED:
            self.move(project, Subscription.resume)
        if before.status is Status.DECLINED:
            self.move(project, Subscription.reopen)
        if before.status in {Status.OFFERED, Status.DECLINED}:
            self.accept(project, Direction.BOTH)
        else:
            self.move(project, lambda mine: mine.change(Direction.BOTH, mine.content))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(ONE_OPEN, id="one-open"),
        pytest.param(ALL_PAIRS, id="all", marks=pytest.mark.slow),
    ],
)
def play(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Play]:
    town = MemoryTown(tmp_path_factory.mktemp("town"))
    a, b = town.members("alice", "bob")
    found_team(a, b)
    players = [Participant(m) for m in (a, b) if isinstance(m, MemoryMember)]
    pairs = {f"example.org/acme/p{number}": pair for number, pair in request.param.items()}
    try:
        players[0].share(*pairs)
        town.settle()
        for project, pair in pairs.items():
            for player, standing in zip(players, pair, strict=True):
                player.work_on(project)
                player.stand(project, standing)
        town.settle()
        yield Play(players[0], players[1], town, pairs)
    finally:
        town.close()


def test_what_each_reads_is_what_the_two_standings_say(play: Play) -> None:
    assert play.exchanged(play.a, play.b) == play.expected(0) != set()
    assert play.exchanged(play.b, play.a) == play.expected(1) != set()


def test_no_pair_of_standings_is_a_dead_end(play: Play) -> None:
    for project, pair in play.pairs.items():
        for player, standing in zip((play.a, play.b), pair, strict=True):
            player.open_up(project, standing)
    play.town.settle()

    assert play.exchanged(play.a, play.b) == set(play.pairs)
    assert play.exchanged(play.b, play.a) == set(play.pairs)
