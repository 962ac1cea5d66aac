"""A session or another item that a reader may see, as lists and documents of it need it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from karma_sync.domain.session.manifest import Manifest


@dataclass(frozen=True)
class Readable:
    """An item of the library: the folder it came through, its manifest, when it arrived (UTC)."""

    folder: str
    manifest: "Manifest"
    arrived: datetime

    @property
    def place(self) -> str:
        """The session's project."""
        return self.manifest.project
