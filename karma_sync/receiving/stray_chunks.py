"""Finds stray chunks: chunks in a channel's folder that no imported item names.

Chunks arrive before their items, so nobody here knows to which revision a stray chunk belongs. If
something is called back at that time, or while this machine is off, its chunks may lie here until
their owner's deletions arrive. Until then our receipt must not say that it is gone (ADR 21).

If a chunk is deleted while Syncthing pulls it, Syncthing keeps the temporary file
(`.syncthing.NAME.tmp`) for a day. This module deletes it once Syncthing pulls nothing.
"""

import time
from collections.abc import Callable, Collection

from karma_sync.channel.inbox import Inbox

# A check lists the whole folder: after it, the next one waits this many times as long as it took.
_PAUSE_FACTOR = 20


class StrayChunks:
    """The stray chunks of one channel."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._due = 0.0

    def check(self, accounted: Collection[str], rests: Callable[[], bool]) -> bool:
        """Whether the folder has, or may have, chunks other than those in `accounted`.

        Between two checks of the folder the answer is yes. `rests` is true if Syncthing pulls
        nothing in this folder and needs nothing.
        """
        begun = time.monotonic()
        if begun < self._due:
            return True
        found = self._inbox.chunks()
        unfinished = [p for paths in found.values() for p in paths if p.suffix == ".tmp"]
        strays = any(sha not in accounted for sha in found)
        self._due = time.monotonic() + _PAUSE_FACTOR * (time.monotonic() - begun)
        if unfinished and rests():
            for path in unfinished:
                path.unlink(missing_ok=True)
            return True  # the next check lists the rest
        return strays or bool(unfinished)
