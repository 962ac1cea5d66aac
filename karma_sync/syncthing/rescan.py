"""Requests scans of files that were written: Syncthing watches none of our folders."""

import logging
from collections.abc import Callable, Sequence

from karma_sync.errors import SyncthingError

log = logging.getLogger(__name__)

Scan = Callable[[str, Sequence[str]], None]
"""Makes Syncthing scan files of a folder by name; raises SyncthingError if it does not."""


class Rescan:
    """Requests scans, and logs a failure once until a scan succeeds again."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._failed = False

    def request(self, folder: str, names: Sequence[str]) -> bool:
        """Make Syncthing scan these files; False if it did not, and the caller must try again."""
        try:
            self._scan(folder, names)
        except SyncthingError as error:
            if not self._failed:
                log.warning("Syncthing could not scan %s, and is asked again: %s", folder, error)
            self._failed = True
            return False
        self._failed = False
        return True
