"""Makes the parts of the daemon that send observations."""

from collections.abc import Iterable

from karma_sync.agents.engram.following import EngramFollower
from karma_sync.agents.engram.source import EngramSource
from karma_sync.agents.observations import (
    ObservationFollower,
    ObservationSource,
    PlainFollower,
)
from karma_sync.app import App
from karma_sync.domain.session.selection import Choices
from karma_sync.errors import KarmaError
from karma_sync.runtime.timing import now_ms
from karma_sync.sending.observations import ObservationHooks, ObservationSender
from karma_sync.sending.packaging.observations import ObservationPackager
from karma_sync.sending.packaging.packager import Packager
from karma_sync.service.sessions.observations import received_ids
from karma_sync.store import state

SOURCES = "observations of"  # with a source's name, stands in place of a folder in a fault


def follow(source: ObservationSource) -> ObservationFollower:
    """Make the follower that reads a source again and again."""
    return EngramFollower(source) if isinstance(source, EngramSource) else PlainFollower(source)


def observation_sender(app: App, packager: Packager) -> ObservationSender:
    """Make the sender that keeps the observations items of the outboxes up to date."""

    def is_on() -> bool:
        try:
            return app.observation_settings().share
        except KarmaError:
            return False  # the file cannot be read: nobody knows whether they may leave

    def choices() -> Choices:
        with app.state.reading() as tx:
            return state.choices(tx)

    def report(source: str, why: str) -> None:
        app.event_log.record_state(f"{SOURCES} {source}", why)

    def received(ids: Iterable[str]) -> frozenset[str]:
        return received_ids(app.library, app.settings.tag, ids)

    hooks = ObservationHooks(is_on, choices, received, report, follow)
    parts = app.observations
    observations = ObservationPackager(packager, lambda: now_ms() * 10**6)
    return ObservationSender(parts.sources, packager, observations, parts.selector, hooks)
