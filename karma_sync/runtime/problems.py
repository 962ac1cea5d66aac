"""The folders that the daemon's own threads could not read or write; Syncthing reports none.

The thread that failed reports the problem, and reports when it succeeds again. Folder health
(`mesh/health/folder_health.py`) makes a fault of it.
"""

import threading
from collections.abc import Callable

REDACTION = "redaction"  # stands in place of a folder in the fault "the redaction rules are broken"


class Problems:
    """The open problems by reporter and folder; several threads may use it.

    `changed` is called with the folder's ID after each change.
    """

    def __init__(self, changed: Callable[[str], None] = lambda folder: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._why: dict[tuple[str, str], str] = {}

    def report(self, reporter: str, folder: str, why: str) -> bool:
        """Record why `reporter` cannot do its part for a folder; "" means that it can again.

        Returns whether this differs from its last report.
        """
        with self._lock:
            if self._why.get((reporter, folder), "") == why:
                return False
            if why:
                self._why[reporter, folder] = why
            else:
                del self._why[reporter, folder]
        self._changed(folder)
        return True

    def of(self, folder: str) -> str:
        """One of the folder's problems; "" if it has none."""
        with self._lock:
            return next((why for (_, name), why in self._why.items() if name == folder), "")

    def reported_by(self, reporter: str) -> set[str]:
        """The IDs of the folders for which `reporter` cannot do its part."""
        with self._lock:
            return {folder for name, folder in self._why if name == reporter}
