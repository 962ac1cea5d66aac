"""Observations for tests: records, and a desk that packages them as a member would."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from karma_sync.channel.layout import item_name
from karma_sync.channel.verify import verify_item
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.observation import Observation
from karma_sync.library.observations import Observations, ReadObservation
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.packaging.observations import ObservationPackager, PackedObservations
from tests.support.builders import NOW_MS, Desk, Shelf, Swapping

SOURCE = "engram"


def saved(author: str, number: int = 1, **changes: Any) -> Observation:
    """An observation that an agent saved on a member's machine."""
    fields: dict[str, Any] = {
        "id": f"obs-{number:04d}",
        "version": 1_000 + number,
        "type": "bugfix",
        "title": f"Fixed thing {number}",
        "content": f"The cause was number {number}.",
        "topic": "things",
        "agent": "claude-code",
        "author": author,
        "created": "2026-05-30T12:00:00Z",
        "updated": f"2026-05-31T12:00:{number % 60:02d}Z",
    }
    return Observation(**(fields | changes))


class ObservingDesk(Desk):
    """A member's machine that packages observations."""

    def __init__(self, root: Path, channel: Channel, redactor: Redactor | None = None) -> None:
        super().__init__(root, channel, redactor or Swapping({}))

    def send(
        self,
        found: Iterable[Observation],
        source: str = SOURCE,
        kept: Container[str] | None = frozenset(),
    ) -> PackedObservations:
        """Bring the outbox up to date with these records."""
        packager = ObservationPackager(self.packager, lambda: NOW_MS * 10**6)
        return packager.package(self.channel, source, found, self.outbox, kept=kept)

    def item_of(self, source: str = SOURCE) -> str:
        """The id of a source's item."""
        packager = ObservationPackager(self.packager, lambda: 0)
        return self.packager.item_of(self.channel, packager.session(source))

    def described(self, source: str = SOURCE) -> Manifest:
        """The manifest of a source's item, as a stranger reads it."""
        item = self.item_of(source)
        raw = (self.outbox.path / item_name(item)).read_bytes()
        return verify_item(raw, item, self.channel, 0).manifest.value

    def arrive_at(self, shelf: Shelf, source: str = SOURCE) -> None:
        """Import the item as a receiver does."""
        shelf.importer.import_item(self.channel, self.outbox.path, self.item_of(source))


def read(shelf: Shelf) -> list[ReadObservation]:
    """Every observation that the shelf's owner reads, the latest changed first."""
    return list(Observations(shelf.library.store).all(shelf.scope))


def titles(shelf: Shelf) -> list[str]:
    """Their titles."""
    return [each.record.title for each in read(shelf)]
