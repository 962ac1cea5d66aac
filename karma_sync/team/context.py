"""What every part of a cycle needs of this member."""

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
    """Who I am, where my things lie, and what time it is (UTC).

    `monotonic` gives seconds that pass, whatever is done to the clock.
    """

    store: Database
    paths: Paths
    me: PairingCode
    key: SigningKey
    notes: EventLog
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    _folders: dict[str, MetadataFolder] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.now().timestamp() * 1000)

    def metadata(self, folder: str) -> MetadataFolder:
        """One metadata folder, remembered with what was seen in it."""
        if folder not in self._folders:
            self._folders[folder] = MetadataFolder(self.paths.folder(folder))
        return self._folders[folder]
