"""An outbox that is not whole is never shown to Syncthing: it would delete at every peer.

What should be in it, our library knows: it imported every revision from the outbox, and keeps
links of its own. So what is missing is linked back; what the library lost too is packaged again
from its source.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from karma_sync.domain.plan import Channel
from karma_sync.flow.layout import chunk_name, item_name, kept_item
from karma_sync.flow.outbox import Outbox
from karma_sync.paths import PRIVATE_FILE, private_dir
from karma_sync.store import library, work
from karma_sync.store.database import Database

_MARKER = ".stfolder"


class Wholeness:
    """Compares outboxes with what they should hold; `root` is the library's directory."""

    def __init__(self, root: Path, items: Database, packed: Database) -> None:
        self._root = root
        self._items = items
        self._packed = packed

    def restore(self, channel: Channel, path: Path) -> tuple[int, list[str]]:
        """Bring an outbox back to what it held: files restored, items that must be packaged anew.

        Then its marker is made, which Syncthing wants to see before it believes the folder.
        """
        outbox = Outbox(path)
        outbox.prepare()
        with self._items.reading() as tx:
            revisions = library.revisions(tx, channel.id)
            chunks = {item: library.chunks_of(tx, channel.id, item) for item in revisions}
        restored, lost = 0, []
        for item, revision in revisions.items():
            names = {chunk_name(sha): self._root / chunk_name(sha) for sha in chunks[item]}
            names[item_name(item)] = kept_item(self._root, channel.id, item, revision)
            missing = {n: kept for n, kept in names.items() if not (path / n).exists()}
            if all(kept.exists() for kept in missing.values()):
                for name, kept in missing.items():
                    _link(kept, path / name)
                restored += len(missing)
            else:
                lost.append(item)
        self._forget_packed(channel.id, path, lost)
        private_dir(path / _MARKER)
        return restored, lost

    def _forget_packed(self, folder: str, path: Path, lost: Iterable[str]) -> None:
        """Have the packager begin anew with what is lost, and with what is not there at all."""
        with self._packed.transaction() as tx:
            for packed in work.packed_items.all(tx, folder=folder):
                if packed.item in lost or not (path / item_name(packed.item)).exists():
                    work.packed_items.drop(tx, folder=folder, item=packed.item)


def _link(kept: Path, place: Path) -> None:
    private_dir(place.parent)
    try:
        place.hardlink_to(kept)
    except OSError:
        shutil.copy2(kept, place)
        place.chmod(PRIVATE_FILE)
