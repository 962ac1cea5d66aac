"""Use case of `sent`: the sessions that left this machine, according to the ledger."""

from collections.abc import Iterable
from datetime import datetime

from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.team import Team
from karma_sync.errors import NotFound
from karma_sync.sending.ledger.sent import SentSession, filtered, sent_sessions
from karma_sync.store.database import Database
from karma_sync.store.world import read_world

_NAMED = 10  # tags in a hint


def departures(
    states: Database, work: Database, me: PairingCode, now: datetime, to: str | None = None
) -> list[SentSession]:
    """Every session that left, the latest first; with `to`, only those that this member receives.

    Raises:
        NotFound: nobody else in my teams has the tag `to`.
    """
    with states.reading() as tx:
        world = read_world(tx, me, now, discovery=False)
    _require_member(world.teams, me.tag, to)
    return filtered(sent_sessions(states, work, world), to=to)


def _require_member(teams: Iterable[Team], me: str, tag: str | None) -> None:
    tags = sorted({member.tag for team in teams for member in team.everybody} - {me})
    if tag is not None and tag not in tags:
        hint = f"--to {' or '.join(tags[:_NAMED])}" if tags else "karma-sync status"
        raise NotFound(f"no other member of your teams is {tag!r}", hint=hint)
