"""What our own threads could not write, by folder: Syncthing knows nothing of it.

The thread that failed says so, and says when it works again; `health.py` makes a fault of it.
"""

import threading
import time
from collections.abc import Callable

RETRY_S = 5.0  # how soon what could not be written is tried again


class Troubles:
    """May be used by several threads; `changed` is called with the folder after each change."""

    def __init__(self) -> None:
        self.changed: Callable[[str], None] = lambda folder: None
        self._lock = threading.Lock()
        self._why: dict[tuple[str, str], str] = {}

    def say(self, who: str, folder: str, why: str) -> bool:
        """`who` cannot do its part for this folder, and why; it can again, if `why` is empty.

        Returns whether this is news.
        """
        with self._lock:
            if self._why.get((who, folder), "") == why:
                return False
            if why:
                self._why[who, folder] = why
            else:
                del self._why[who, folder]
        self.changed(folder)
        return True

    def of(self, folder: str) -> str:
        """What is wrong with a folder; "" if nothing is."""
        with self._lock:
            return next((why for (_, name), why in self._why.items() if name == folder), "")

    def said_by(self, who: str) -> set[str]:
        """The folders for which `who` cannot do its part."""
        with self._lock:
            return {folder for name, folder in self._why if name == who}


class Retry:
    """When to try again what failed: at once if that was a while ago, then every few seconds."""

    def __init__(self) -> None:
        self._at = 0.0

    def is_due(self) -> bool:
        """Whether it is time; if so, the next time is in a few seconds."""
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + RETRY_S
        return True
