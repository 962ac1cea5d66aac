"""Prepares for a start of Syncthing, which begins to exchange files at once."""

import time
from dataclasses import replace

from karma_sync.app import App
from karma_sync.domain.mesh.plan import desired
from karma_sync.mesh.health.recovery import Recovery
from karma_sync.runtime.timing import utc_now
from karma_sync.store.world import read_world
from karma_sync.syncthing.home import folders, restrict
from karma_sync.team.parting import Parting


def before_start(app: App, recovery: Recovery) -> None:
    """Mend every outbox, and restrict Syncthing's configuration to the channels that are open now.

    Without the first, Syncthing would delete missing files at every peer. Without the second, what
    was paused, declined or removed while it was off would go on until the first cycle.
    """
    with app.state.reading() as tx:
        network = app.settings.network
        world = read_world(tx, app.me, utc_now(), network.discovery, network.port)
    recovery.before_start(world, folders(app.paths.syncthing))
    parting = Parting(utc_now, time.monotonic).of(world.teams, world.key)
    wanted = desired(replace(world, parting=parting)).folders
    running = {folder.id: folder.devices for folder in wanted if not folder.paused}
    restrict(app.paths.syncthing, app.paths.folders, running)
