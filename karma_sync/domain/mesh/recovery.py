"""Decides when an outbox that lost items has taken back everything that its peers still hold."""

from dataclasses import dataclass

# A peer that has just connected has not sent its index yet.
QUIET_S = 5.0
# The peer that holds a missing piece may be offline for days; an outbox cannot wait that long.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class RecoveryState:
    """The progress of an outbox that takes its own items back.

    `receivers` counts the members who receive the channel, `connected` those who are connected.
    `quiet_s` is for how many seconds Syncthing has been idle and needed nothing for the folder;
    `met_s` for how many seconds at least one receiver has been connected.
    """

    receivers: int
    connected: int
    quiet_s: float
    met_s: float


def is_settled(state: RecoveryState) -> bool:
    """Whether waiting longer brings nothing more back.

    That is so if nobody receives the channel, or if everything has arrived that connected
    receivers hold. A piece that is still missing then is held by a receiver who is offline. It is
    not lost: a send-only folder neither pulls nor deletes files that it never had.
    """
    if state.receivers == 0:
        return True
    if state.connected == 0:
        return False
    return state.quiet_s > QUIET_S or state.met_s > PATIENCE_S


def is_older(counter: int, claimed: int, started_ms: int) -> bool:
    """Whether my database is older than what a peer received from me.

    Revisions are Unix milliseconds or larger. If a peer claims a revision above my `counter` but
    before this program's start (`started_ms`), a database that is now lost assigned it.
    """
    return counter < claimed < started_ms
