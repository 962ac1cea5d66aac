"""Tells Syncthing of files that were written: it watches none of our folders."""

import logging
from collections.abc import Callable, Sequence

from karma_sync.errors import SyncthingError

log = logging.getLogger(__name__)

Scan = Callable[[str, Sequence[str]], None]
"""Has Syncthing look at files in a folder by name; raises SyncthingError if it does not."""


class Rescan:
    """An outage of Syncthing is logged once; the caller keeps what was not looked at."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._is_deaf = False

    def request(self, folder: str, names: Sequence[str]) -> bool:
        """Have Syncthing look at these files; False if they are to be told again."""
        try:
            self._scan(folder, names)
        except SyncthingError as error:
            if not self._is_deaf:
                log.warning("Syncthing could not look at %s, and is asked again: %s", folder, error)
            self._is_deaf = True
            return False
        self._is_deaf = False
        return True
