"""Use cases of `session withhold`, `session share` and `exclude`: what may leave, by choice."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from karma_sync.domain.mesh.channels import Channel, World, outboxes
from karma_sync.domain.session.key import SessionKey
from karma_sync.domain.session.selection import BY_OWNER, Exclusion, Share, Withhold
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, NotFound
from karma_sync.store import packaged, state, work
from karma_sync.store.database import Database, Transaction


def find_own(sessions: Iterable[SourceSession], wanted: str, me: str) -> SourceSession:
    """The session on this machine that `wanted` names: a composite key, or the beginning of an ID.

    `me` is my tag. Of a key's agent only the program counts, and its project does not, because
    both are known only once the session is read.

    Raises:
        NotFound: no session is it.
        BadInput: several are.
    """
    key = SessionKey.parse(wanted) if wanted else SessionKey()
    key = replace(key, agent=key.agent.split("/")[0], project="")
    own = ((s, SessionKey(me, s.agent, "", s.session_id)) for s in sessions)
    found = [s for s, whole in own if key.session and key.fits(whole)]
    exact = [s for s in found if s.session_id == key.session]
    if not found:
        raise NotFound(
            f"no session of yours on this machine begins with {wanted!r}",
            hint="karma-sync session list: yours are `by you`",
        )
    if len(exact or found) > 1:
        names = " or ".join(s.session_id for s in found[:5])
        raise BadInput(f"{wanted!r} fits several sessions", hint=names)
    return (exact or found)[0]


def withhold(store: Database, session: str) -> None:
    """Keep a session on this machine from now on; an earlier share is withdrawn."""
    with store.transaction() as tx:
        state.withholds.put(tx, Withhold(session=session))
        state.shares.drop(tx, session=session)


def withhold_again(store: Database, work_store: Database) -> list[str]:
    """Withhold again the sessions that work.db records as withheld and state.db does not know.

    Then both state.db and intent.json are old backups. Returns the IDs of these sessions, sorted.
    """
    with work_store.reading() as tx:
        recorded = {row.session for row in work.withheld.all(tx) if row.why == BY_OWNER}
    with store.reading() as tx:
        known = {w.session for w in state.withholds.all(tx)}
        known |= {s.session for s in state.shares.all(tx)}  # only a share withdraws a withhold
    lost = sorted(recorded - known)
    if lost:
        with store.transaction() as tx:
            state.withholds.put(tx, *(Withhold(session=session) for session in lost))
    return lost


def share(store: Database, chosen: Share) -> None:
    """Send a session to a project, although it also worked in other places."""
    with store.transaction() as tx:
        state.withholds.drop(tx, session=chosen.session)
        state.shares.put(tx, chosen)


def exclude(store: Database, patterns: Iterable[str]) -> None:
    """Keep all sessions that worked in these directories on this machine."""
    with store.transaction() as tx:
        state.exclusions.put(tx, *(Exclusion(pattern=pattern) for pattern in patterns))


def include(store: Database, patterns: Iterable[str]) -> None:
    """Withdraw exclusions.

    Raises:
        NotFound: none of these patterns is excluded.
    """
    with store.transaction() as tx:
        for pattern in _excluded_among(tx, patterns):
            state.exclusions.drop(tx, pattern=pattern)


def require_excluded(store: Database, patterns: Iterable[str]) -> None:
    """Check that `include` can be done, which raises the same; nothing is stored."""
    with store.reading() as tx:
        _excluded_among(tx, patterns)


def _excluded_among(tx: Transaction, patterns: Iterable[str]) -> set[str]:
    wanted = set(patterns)
    known = wanted & {e.pattern for e in state.exclusions.all(tx)}
    if not known:
        raise NotFound(f"{min(wanted)} is not excluded", hint="karma-sync exclude --list")
    return known


def excluded(store: Database) -> list[str]:
    """All excluded patterns, sorted."""
    with store.reading() as tx:
        return [e.pattern for e in state.exclusions.all(tx)]


@dataclass(frozen=True)
class HeldSession:
    """A session of mine that does not leave, or not in its present state, and the reason."""

    session: str
    project: str
    team: str
    kind: work.Stays
    why: str


def has_left(store: Database, work_store: Database, me: PairingCode, session: str) -> bool:
    """Whether a session was packaged into a channel that is open."""
    channels = my_channels(store, me)
    with work_store.reading() as tx:
        return any(
            packed.session == session
            for channel in channels
            for packed in packaged.packed_items.all(tx, folder=channel.id)
        )


def held(store: Database, work_store: Database, me: PairingCode) -> list[HeldSession]:
    """Every session of mine that does not leave, by project and ID."""
    channels = my_channels(store, me)
    with work_store.reading() as tx:
        found = [
            HeldSession(row.session, channel.project, channel.team.name, row.kind, row.why)
            for channel in channels
            for row in work.withheld.all(tx, folder=channel.id)
        ]
    return sorted(found, key=lambda h: (h.project, h.session, h.team))


def my_channels(store: Database, me: PairingCode) -> list[Channel]:
    """My outboxes, also the paused ones."""
    with store.reading() as tx:
        return outboxes(
            World(
                key=me.key,
                teams=tuple(state.teams.all(tx)),
                subscriptions=tuple(state.answers(tx, member=me.key)),
                agreed=frozenset((a.team, a.project, a.name) for a in state.agreements.all(tx)),
            )
        )
