"""A leader whose daemon or Syncthing is killed while somebody joins with its invitation code."""

import pytest

from karma_sync.daemon.lock import running
from karma_sync.domain.team.invite import DoorStatus
from tests.scenarios.test_invite import doors, invite, joined, paste, tags
from tests.support.crashwalk import Walk
from tests.support.harness import Member
from tests.support.sound import assert_sound
from tests.support.town import Town

# some twenty starts of a daemon
pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(900)]
_SCOPE = (
    r"replace folders/ks-d-\*/(offer|answer)|replace folders/ks-m-\*/roster"
    r"|state\.db in (door|sign|adopt)\.|PUT"
)


@pytest.mark.parametrize("victim", ["daemon", "syncthing"])
def test_a_leader_killed_anywhere_lets_the_newcomer_in_once(town: Town, victim: str) -> None:
    leader = town.member(f"alice-{victim}").up()
    newcomer = town.member(f"bob-{victim}").up()
    leader.run("team", "create", "backend")
    code = invite(leader, "--uses", "2", "--team", "backend")
    leader.down()
    paste(newcomer, code)
    walk = Walk(leader, _SCOPE, victim)

    def done() -> bool:
        is_up = running(leader.paths) is not None  # all of it may be done before that
        return is_up and joined(newcomer) and doors(leader) == [DoorStatus.CLOSED]

    points = walk.run([newcomer], lambda: None, done)

    assert len(points) >= 8
    assert tags(leader) == {leader.tag, newcomer.tag}
    assert _use(leader) == ("open", 1, [newcomer.tag])
    assert_sound(leader)
    assert_sound(newcomer)


def _use(leader: Member) -> tuple[str, int, list[str]]:
    (known,) = leader.json("invite", "list")["invites"]
    return known["state"], known["used"], known["joined"]
