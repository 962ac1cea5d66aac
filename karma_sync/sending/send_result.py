"""The outcome of sending one session into all channels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SendResult:
    """Whether a session was packaged, and how many bytes of it are left for the next step.

    `wire` is the size of the item files that were written, together for all channels: each append
    sends them anew. Chunks are not in it, because each of them leaves once, at whatever pace.
    `wait_s` is the time in seconds after which a session that must first be quiet may leave.
    `vanished` is true if a file of the session was gone when it was to be read.
    """

    packaged: bool
    wait_s: float | None = None
    left: int = 0
    vanished: bool = False
    wire: int = 0
