"""Team life by chance in which leadership passes on, too.

It passes on only when everybody is there and knows all that happened: members whom nobody but the
former leader knows cannot be found otherwise. Right after that they may part again.
"""

from collections.abc import Callable

from karma_sync.service import leadership
from karma_sync.service.leadership import Person
from tests.support.players import Player
from tests.support.schedule import Schedule

_SHARE = 0.15  # of what happens


class LedSchedule(Schedule):
    """A team whose leader names successors, passes leadership on, or loses it to one of them."""

    def begin(self) -> None:
        """Found the team as every schedule does, and name successors."""
        super().begin()
        self._name(self.leader)
        self.settle()

    def _step(self) -> None:
        if self.chance.random() < _SHARE:
            acts: list[Callable[[Player], None]]
            acts = [self._name, self._pass_on, self._take_over, self._take_over]
            self.chance.choice(acts)(self.chance.choice(self.players))
        else:
            super()._step()

    def _leads(self, player: Player) -> bool:
        team = player.team()
        return team is not None and team.leader == player.me.key

    def _name(self, _: Player) -> None:
        """The leader names up to two successors."""
        team = self.leader.team()
        if team is None or not self._leads(self.leader):
            return
        others = [m for m in team.members if m.active and m.key != self.leader.me.key]
        tags = [m.tag for m in self.chance.sample(others, min(len(others), 2))]
        named = tags[: self.chance.randrange(3)]
        self._note(self.leader, f"names {named}")
        with self.leader.app() as app:
            leadership.name_successors(app.state, Person(app.me, app.key), named, None)

    def _gather(self) -> None:
        for player in self.players:
            player.member.online()
            if not player.member.is_up:
                player.member.up()
        self.settle()

    def _pass_on(self, player: Player) -> None:
        """The leader passes leadership on to this member, who hears of it."""
        if player is self.leader:
            return
        self._gather()
        team = self.leader.team()
        heir = team.member(player.me.key) if team else None
        if player.team() is None or heir is None or not heir.active:
            return
        self._note(self.leader, f"transfers to {player.me.tag}")
        with self.leader.app() as app:
            leadership.transfer(app.state, Person(app.me, app.key), player.me.tag, None)
        self.settle()
        assert self._leads(player)
        self.leader = player

    def _take_over(self, player: Player) -> None:
        """The leader is away, others may be, and this member takes over if it is a successor."""
        if player is self.leader:
            return
        self._gather()
        team = player.team()
        if team is None or player.me.key not in team.successors:
            return
        for other in self.players:
            if other is self.leader or (other is not player and self.chance.random() < 0.4):
                self.chance.choice([self._kill, self._offline])(other)
        self._note(player, "takes over")
        with player.app() as app:
            leadership.take_over(app.state, Person(app.me, app.key), None)
        self.leader = player

    def _leave(self, player: Player) -> None:
        if not self._leads(player):  # it may not know yet that it leads no longer
            super()._leave(player)

    def _remove(self, player: Player) -> None:
        if self._leads(self.leader):  # it may have lost its database
            super()._remove(player)

    def _admit(self, player: Player) -> None:
        if self._leads(self.leader):
            super()._admit(player)
