"""When an outbox that was not whole has got back from the peers all that they have."""

from dataclasses import dataclass

# A peer that just connected has not said yet what it has.
QUIET_S = 5.0
# Whoever holds a piece that Syncthing knows of may be away; an outbox cannot wait for that.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class RecoveryState:
    """How an outbox stands that takes its own items back.

    `receivers` are the members that take this channel, `connected` those of them that are here;
    `quiet_s` for how many seconds Syncthing has had nothing in hand and wanted nothing, `met_s`
    for how many anyone of them has been here.
    """

    receivers: int
    connected: int
    quiet_s: float
    met_s: float


def is_settled(standing: RecoveryState) -> bool:
    """Whether waiting longer brings nothing: nobody has anything, or all that is here has come.

    What is still wanted after that is in the hands of someone who is away. It is not lost: a
    send-only folder neither pulls nor deletes what it never had.
    """
    if standing.receivers == 0:
        return True
    if standing.connected == 0:
        return False
    return standing.quiet_s > QUIET_S or standing.met_s > PATIENCE_S


def is_older(counter: int, claimed: int, started_ms: int) -> bool:
    """Whether my database is older than what a peer has of me.

    Revisions are Unix milliseconds or more. A revision above my `counter`, and given out before
    this program `started_ms`, was given out by a database that was lost.
    """
    return counter < claimed < started_ms
