"""The inboxes that wait for an offer, and the length of the wait."""

from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain.mesh.channels import World, channels, inboxes
from karma_sync.mesh.inbox_offers import InboxOffers
from tests.support.builders import ALICE, BOB, answer, key_of, team_of_all

TEAM = team_of_all(ALICE, BOB)


class Scene:
    """Alice accepted what Bob sends; her directories lie below `root`; a clock."""

    def __init__(self, root: Path) -> None:
        self.now = 100.0
        self.root = root
        said = answer(TEAM, ALICE), answer(TEAM, BOB)
        self.world = World(key=key_of(ALICE).public, teams=(TEAM,), subscriptions=said)
        (self.inbox,) = (c.id for c in inboxes(self.world))
        self.offers = InboxOffers(lambda name: root / name, lambda: self.now)

    def made(self, *offered: str) -> set[str]:
        """The inboxes that Syncthing is to have now."""
        seen = replace(self.world, unoffered=self.offers.awaited(self.world, offered))
        return {channel.id for channel in inboxes(seen)}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_an_inbox_waits_until_it_is_offered(scene: Scene) -> None:
    assert scene.made() == set()
    assert scene.made("ks-c-another") == set()
    assert scene.made(scene.inbox) == {scene.inbox}


def test_one_that_nobody_offers_is_made_after_a_while(scene: Scene) -> None:
    """The inbox's owner may be away; then nothing can collide either."""
    scene.made()
    wait = scene.offers.wait
    assert wait is not None
    scene.now += wait

    assert scene.made() == {scene.inbox}
    assert scene.offers.wait is None


def test_one_that_is_here_stays_when_its_offer_is_gone(scene: Scene) -> None:
    """Syncthing lists no folder that it has."""
    scene.made(scene.inbox)
    (scene.root / scene.inbox).mkdir()

    assert scene.made() == {scene.inbox}


def test_an_outbox_waits_for_nobody(scene: Scene) -> None:
    seen = replace(scene.world, unoffered=scene.offers.awaited(scene.world, ()))

    mine = [channel for channel in channels(seen) if channel.owner.tag == ALICE]
    assert len(mine) == 1
