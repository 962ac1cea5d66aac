"""Tells who left a team, or whom I left, a short while ago: something is still shared with them."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from karma_sync.domain.team.member import How
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder
from karma_sync.store import state

_PARTING_S = 15 * 60.0


class Parting:
    """Remembers which members just left: for a while they still get the team's documents.

    So a member that leaves sees that the others know it, and can end its side.
    """

    def __init__(self, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._since: dict[tuple[str, str], float] = {}

    def of(self, teams: Iterable[Team], me: str) -> frozenset[tuple[str, str]]:
        """The (team, key) of the members who left in the last 15 minutes that this daemon ran."""
        recent = (self._now() - timedelta(days=1)).timestamp() * 1000
        found = {
            (team.id, gone.key)
            for team in teams
            for gone in team.removed
            if team.anybody(me)
            and gone.removal
            and gone.removal.how is How.LEFT
            and gone.removal.at > recent
        }
        now = self._monotonic()
        self._since = {key: self._since.get(key, now) for key in found}
        return frozenset(key for key, since in self._since.items() if now - since < _PARTING_S)


def leftover_metadata(teams: Iterable[Team], formers: Iterable[str]) -> set[str]:
    """The ids of metadata folders of teams that I left."""
    return {metadata_folder(t) for t in formers} - {metadata_folder(t.id) for t in teams}


def parted(
    teams: Iterable[Team], formers: Iterable[state.Former], since: datetime
) -> frozenset[str]:
    """The devices of those with whom I shared a team until lately: I left it, or they did.

    Their machines may still try to connect, to say or to hear just that.
    """
    since_ms = since.timestamp() * 1000
    left = {d for former in formers if former.at > since for d in former.devices}
    gone = (m for team in teams for m in team.removed if m.removal and m.removal.at > since_ms)
    return frozenset(left | {member.device for member in gone})
