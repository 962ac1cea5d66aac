"""Commands propose nothing that a dissolved team refuses."""

from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def test_a_dissolved_team_is_proposed_neither_projects_nor_successors(here: MemoryTown) -> None:
    leader, _ = team_of(here, "alice", "bob")
    newcomer = Player(here.member("carol").up())
    leader.admit(newcomer)
    here.settle()
    assert "Next: karma-sync accept" in newcomer.member.run("status").out
    assert "team successors" in leader.member.run("team", "show").out
    leader.member.run("team", "dissolve", "--yes")
    here.settle()

    assert "Next:" not in newcomer.member.run("status").out
    assert "team successors" not in leader.member.run("team", "show").out


def test_the_leader_of_nobody_is_not_asked_to_add_to_a_dissolved_team(here: MemoryTown) -> None:
    alone = Player(here.member("alice").up())
    alone.found()
    assert "team add" in alone.member.run("status").out
    alone.member.run("team", "dissolve", "--yes")

    assert "team add" not in alone.member.run("status").out
