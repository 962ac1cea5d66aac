"""Chunks in a channel's folder that no imported item names: of which revision nobody here knows.

They come before their items. If something is called back while they do, or while this machine is
off in the middle of it, they lie there until their owner's deletions arrive: until then nothing
that was called back may be said to be gone. What Syncthing had begun to collect of one that was
deleted meanwhile it keeps for a day (`.syncthing.NAME.tmp`); that goes once it collects nothing.
"""

import time
from collections.abc import Callable, Collection

from karma_sync.channel.inbox import Inbox

_REST = 20  # times as long as a look took nobody looks again: it lists the whole folder


class StrayChunks:
    """Those of one channel."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._due = 0.0

    def look(self, accounted: Collection[str], rests: Callable[[], bool]) -> bool:
        """Whether there are any but these hashes, or might be: it is not looked all the time.

        `rests` tells whether Syncthing collects nothing here, and wants nothing.
        """
        begun = time.monotonic()
        if begun < self._due:
            return True
        found = self._inbox.chunks()
        unfinished = [p for paths in found.values() for p in paths if p.suffix == ".tmp"]
        strays = any(sha not in accounted for sha in found)
        self._due = time.monotonic() + _REST * (time.monotonic() - begun)
        if unfinished and rests():
            for path in unfinished:
                path.unlink(missing_ok=True)
            return True  # the next look sees what is left
        return strays or bool(unfinished)
