"""Adds to a world the facts that only the running daemon knows."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from karma_sync.domain.mesh.channels import World
from karma_sync.mesh.connections import Connections
from karma_sync.mesh.greetings import Greetings
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.mesh.inbox_offers import InboxOffers
from karma_sync.mesh.quotas import Quotas
from karma_sync.team.parting import Parting


@dataclass(frozen=True)
class LiveFacts:
    """The parts that know these facts."""

    connections: Connections
    greetings: Greetings
    offers: InboxOffers
    recovery: Recovery
    quotas: Quotas
    parting: Parting

    def observed(self, world: World, offered: Collection[str]) -> World:
        """The world with the facts; `offered` are the folders that Syncthing does not have yet."""
        return replace(
            world,
            answered=self.connections.incoming() | self.greetings.awaited(world),
            unoffered=self.offers.awaited(world, offered),
            recovering=self.recovery.register(world),
            too_large=self.quotas.folders(),
            parting=self.parting.of(world.teams, world.key),
        )
