"""This member's identity, files and clock, for every part that handles team documents."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.paths import Paths
from karma_sync.runtime.event_log import EventLog
from karma_sync.signing import SigningKey
from karma_sync.store.database import Database
from karma_sync.team.documents.folder import MetadataFolder


@dataclass(frozen=True)
class TeamContext:
    """My identity and key, state.db, the paths, the event log, and the clock (UTC).

    `monotonic` returns seconds of a clock that nobody can set. `port` is where our Syncthing
    listens.
    """

    store: Database
    paths: Paths
    me: PairingCode
    key: SigningKey
    event_log: EventLog
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    port: int = 0
    _folders: dict[str, MetadataFolder] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        """The current time in Unix milliseconds."""
        return int(self.now().timestamp() * 1000)

    def metadata(self, folder: str) -> MetadataFolder:
        """The metadata folder with this ID; the same object each time, as it knows what it read."""
        if folder not in self._folders:
            self._folders[folder] = MetadataFolder(self.paths.folder(folder))
        return self._folders[folder]
