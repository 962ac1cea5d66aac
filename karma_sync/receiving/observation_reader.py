"""Reads the records of an observations item as it arrives: what changed, where that is known."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.observation import OBSERVATIONS
from karma_sync.domain.session.profile import ItemKind
from karma_sync.errors import Unverified
from karma_sync.receiving.changed_chunks import LinesOf, changed_lines
from karma_sync.receiving.observations import (
    Checked,
    CheckedObservations,
    ObservationIndex,
    ids_in,
)
from karma_sync.store import library
from karma_sync.store.database import Database

Verify = Callable[[Iterable[bytes], Channel], CheckedObservations]


class ObservationReader:
    """Reads and verifies records from the chunks that the library keeps below `root`.

    Of an item that is readable already, only the chunks are read that not both revisions have: what
    the others hold was verified before, for the same channel and owner.
    """

    def __init__(
        self, root: Path, store: Database, index: ObservationIndex, verify: Verify
    ) -> None:
        self._root = root
        self._store = store
        self._index = index
        self._verify = verify

    def read(
        self, channel: Channel, manifest: Manifest, tails: Mapping[str, bytes], last: int
    ) -> Checked | None:
        """The records that a new revision changes, or all; None of a session.

        `last` is the readable revision, 0 if there is none; `tails` are the ends of the files.

        Raises:
            Unverified: the file breaks a limit of step 8.
        """
        if manifest.kind is not ItemKind.OBSERVATIONS:
            return None
        [file] = manifest.files
        kept = KeptContent(self._root, channel.id, manifest)
        now = LinesOf(file.chunks, kept.chunk, tails[OBSERVATIONS])
        changed = self._changed(channel, manifest.item, now) if last else None
        gone = ids_in(changed[0]) if changed is not None else None
        if changed is not None and gone is not None:
            checked = Checked(self._verify(changed[1], channel), gone)
            with self._store.reading() as tx:
                if self._index.fits(tx, (channel.id, manifest.item), checked):
                    return checked
        pieces = chain((kept.chunk(*chunk) for chunk in file.chunks), [now.tail])
        return Checked(self._verify(pieces, channel), None)

    def _changed(
        self, channel: Channel, item: str, now: LinesOf
    ) -> tuple[list[bytes], list[bytes]] | None:
        """The lines that only the readable revision has, and those only in the new one; or None.

        None means that the difference is unknown.
        """
        with self._store.reading() as tx:
            body = library.kept_body(tx, channel.id, item)
            is_whole = self._index.is_whole(tx, (channel.id, item), channel.owner.tag)
        if body is None or not is_whole:
            return None
        manifest = Manifest.model_validate_json(body)
        kept = KeptContent(self._root, channel.id, manifest)
        try:
            [file] = manifest.files
            return changed_lines(LinesOf(file.chunks, kept.chunk, kept.tail(file)), now)
        except (OSError, Unverified):
            return None  # the files of the readable revision are damaged
