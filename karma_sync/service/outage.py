"""Syncthing is not there: one outage, of which each reason is told once, and its end once.

The main thread sees that it ended, every other one only that nobody answers. All of them come here.
"""

import threading

SYNCTHING = "Syncthing"  # the place of a fault that is no folder's
SILENT = "it does not answer"


class Outage:
    """From the first trouble until Syncthing was started again, or answers a part that it did not.

    May be used by several threads. What is news is to be told, and then to be put into `told`: it
    is news again if that failed, as on a full disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._ended = False
        self._silent: set[str] = set()

    def told(self, why: str) -> None:
        """A reason was told: it is not news again in this outage."""
        with self._lock:
            self._told.add(why)

    def ended(self, why: str) -> bool:
        """Its process ended, or does not start; whether `why` is news."""
        with self._lock:
            self._ended = True
            return why not in self._told

    def runs(self) -> bool:
        """It was started again; whether the outage is over."""
        with self._lock:
            self._ended = False
            return self._over()

    def silent(self, part: str) -> bool:
        """It did not answer this part of the daemon; whether that is news.

        It is once the same part has tried it twice and nothing better is known: if the process
        ended, the main thread says so in the meantime.
        """
        with self._lock:
            again = part in self._silent
            self._silent.add(part)
            return again and not self._ended and not self._told

    def answered(self, part: str) -> bool:
        """It answered this part; whether the outage is over.

        One that it had not answered is enough: others may wait for events that are long in coming.
        """
        with self._lock:
            return part in self._silent and self._over()

    def _over(self) -> bool:
        if self._ended:
            return False
        self._silent.clear()
        was_told = bool(self._told)
        self._told.clear()
        return was_told
