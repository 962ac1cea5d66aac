"""What our own threads could not write, by folder: Syncthing knows nothing of it.

The thread that failed says so, and says when it works again; `health.py` makes a fault of it.
"""

import threading
from collections.abc import Callable


class Problems:
    """May be used by several threads; `changed` is called with the folder after each change."""

    def __init__(self, changed: Callable[[str], None] = lambda folder: None) -> None:
        self._changed = changed
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
        self._changed(folder)
        return True

    def of(self, folder: str) -> str:
        """What is wrong with a folder; "" if nothing is."""
        with self._lock:
            return next((why for (_, name), why in self._why.items() if name == folder), "")

    def said_by(self, who: str) -> set[str]:
        """The folders for which `who` cannot do its part."""
        with self._lock:
            return {folder for name, folder in self._why if name == who}


REDACTION = "redaction"  # the place of a fault that is no folder's
