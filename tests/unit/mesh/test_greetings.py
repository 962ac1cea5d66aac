"""The leaders that are greeted, and the time for which they are left to dial."""

from dataclasses import dataclass, field

import pytest

from karma_sync.domain.mesh.channels import Device, World
from karma_sync.errors import SyncthingUnreachable
from karma_sync.mesh.greetings import Greetings

LEADER = Device("LEADER", "alice.box", ("dynamic", "tcp://10.0.0.1:22000", "tcp://10.0.0.2:22000"))


def world(*leaders: Device) -> World:
    return World(key="", teams=(), subscriptions=(), knocked=frozenset(leaders), name="bob ks1.X.1")


@dataclass
class Scene:
    """A network in which some addresses answer, and a clock."""

    answers: dict[str, bool] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cycles: int = 0
    now: float = 100.0

    def __post_init__(self) -> None:
        self.greetings = Greetings(
            self._greet, lambda: self.connected, self._cycle, lambda: self.now
        )

    def _greet(self, address: str, device: str, name: str) -> bool:
        self.asked.append((address, device, name))
        if address not in self.answers:
            raise SyncthingUnreachable("nobody is there")
        return self.answers[address]

    def _cycle(self) -> None:
        self.cycles += 1

    def is_due(self) -> bool:
        return self.greetings.is_due


def test_a_leader_is_not_dialled_while_it_is_greeted_and_then_dials() -> None:
    scene = Scene(answers={"tcp://10.0.0.2:22000": True})

    assert scene.greetings.awaited(world(LEADER)) == {"LEADER"}
    assert scene.is_due()
    scene.greetings.run()
    asked = [(address, name) for address, _, name in scene.asked]
    assert asked == [(address, "bob ks1.X.1") for address in LEADER.addresses[1:]]
    assert scene.cycles == 1
    assert not scene.is_due()
    assert scene.greetings.awaited(world(LEADER)) == {"LEADER"}


def test_one_that_does_not_dial_in_time_is_dialled() -> None:
    scene = Scene(answers={"tcp://10.0.0.1:22000": True})
    scene.greetings.awaited(world(LEADER))
    scene.greetings.run()
    wait = scene.greetings.wait
    assert wait is not None
    scene.now += wait

    assert scene.greetings.awaited(world(LEADER)) == frozenset()
    assert scene.greetings.wait is None


@pytest.mark.parametrize("answers", [{}, {"tcp://10.0.0.1:22000": False}])
def test_one_that_is_away_or_knows_me_is_dialled_at_once(answers: dict[str, bool]) -> None:
    scene = Scene(answers=answers)
    scene.greetings.awaited(world(LEADER))
    scene.greetings.run()

    assert scene.cycles == 1
    assert scene.greetings.awaited(world(LEADER)) == frozenset()
    assert not scene.is_due()


def test_a_leader_is_greeted_once_for_each_time_i_knock() -> None:
    scene = Scene(answers={"tcp://10.0.0.1:22000": True})
    for _ in range(2):
        for _ in range(3):
            scene.greetings.awaited(world(LEADER))
            scene.greetings.run()
        scene.greetings.awaited(world())  # joined, refused, or given up

    assert len(scene.asked) == 2


def test_one_that_waits_behind_another_is_dialled_before_it_is_greeted() -> None:
    """Each address that does not answer takes some seconds."""
    scene = Scene(answers={"tcp://10.0.0.1:22000": True})
    assert scene.greetings.awaited(world(LEADER)) == {"LEADER"}
    wait = scene.greetings.wait
    assert wait is not None
    scene.now += wait

    assert scene.greetings.awaited(world(LEADER)) == frozenset()
    scene.greetings.run()
    assert scene.greetings.awaited(world(LEADER)) == frozenset()


@pytest.mark.parametrize("addresses", [("dynamic",), ("quic://10.0.0.1:22000",)])
def test_one_that_only_discovery_finds_is_dialled(addresses: tuple[str, ...]) -> None:
    scene = Scene()

    assert scene.greetings.awaited(world(Device("LEADER", "", addresses))) == frozenset()
    assert not scene.is_due()


def test_one_that_is_connected_is_not_greeted() -> None:
    """It knows me from another team."""
    scene = Scene(connected={"LEADER"})

    assert scene.greetings.awaited(world(LEADER)) == frozenset()
    assert not scene.is_due()
