"""Reads what members hold, from a process of its own: outbox files and the library's content."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from karma_sync.app import App
from karma_sync.channel.layout import ITEMS, chunk_name, decompress
from karma_sync.demo.stage import DemoMember
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.manifest import Manifest, split_item
from karma_sync.domain.session.observation import ObservationFilter
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import NotFound
from karma_sync.library.reader import Library
from karma_sync.paths import Paths
from karma_sync.signing import PayloadType, open_envelope
from karma_sync.store import readable as queries

TRANSCRIPT = "transcript.jsonl"


@dataclass(frozen=True)
class Packed:
    """A session as its sender packaged it: SHA-256 and size of each file, cuts by rule."""

    session: str
    files: dict[str, tuple[str, int]]
    cuts: dict[str, int]


class Reader:
    """One member's outboxes and library, opened as another process opens them."""

    def __init__(self, member: DemoMember) -> None:
        self.app = App(Paths.inside(member.home), member.environment)

    @property
    def _scope(self) -> AccessScope:
        return self.app.scope

    @cached_property
    def _library(self) -> Library:
        return Library(self.app.paths.library, self.app.library)

    def packed(self) -> dict[str, Packed]:
        """The files in my outboxes, by session, read from the files that Syncthing sends."""
        found: dict[str, Packed] = {}
        own = self.app.me.key
        for folder in sorted(self.app.paths.folders.glob("ks-c-*")):
            for path in sorted((folder / ITEMS).glob("*.ks")):
                envelope, frame = split_item(path.read_bytes())
                payload = open_envelope(envelope, own, PayloadType.MANIFEST)
                manifest = Manifest.model_validate_json(payload)
                files = dict(_digests(folder, manifest, frame))
                session = manifest.session.session_id
                found[session] = Packed(session, files, manifest.redactions)
        return found

    def count_packed(self) -> int:
        """How many sessions lie in my outboxes."""
        return sum(1 for _ in self.app.paths.folders.glob(f"ks-c-*/{ITEMS}/*.ks"))

    def sessions_by(self, author: str) -> list[Readable]:
        """Everything in the library by this member."""
        return [r for r in self._library.sessions(self._scope) if r.manifest.member == author]

    def count_by(self, author: str) -> int:
        """How many sessions by this member are in the library; opens none of them."""
        with self.app.library.reading() as tx:
            counted = queries.counts(tx, self._scope)
        return sum(count for (_, _, member), count in counted.items() if member == author)

    def observations(self, wanted: str) -> list[str]:
        """The texts of the observations whose id begins with `wanted`."""
        found = self.app.read_observations.page(self._scope, ObservationFilter(id=wanted)).found
        return [each.record.content for each in found]

    def digests(self, readable: Readable) -> dict[str, tuple[str, int]]:
        """SHA-256 and size of every file of a session, as anybody would read it."""
        found = {}
        for file in readable.manifest.files:
            digest, size = hashlib.sha256(), 0
            for piece in self._library.content(self._scope, readable, file.path):
                digest.update(piece)
                size += len(piece)
            found[file.path] = digest.hexdigest(), size
        return found

    def transcript(self, session: str, size: int) -> bytes:
        """A session's transcript if it is readable and has `size` bytes, else nothing."""
        found = self._session(session)
        if found is None or _transcript_size(found) != size:
            return b""
        return b"".join(self._library.content(self._scope, found, TRANSCRIPT))

    def transcript_size(self, session: str) -> int:
        """How many bytes of a session's transcript are readable; 0 if the session is not."""
        found = self._session(session)
        return _transcript_size(found) if found else 0

    def _session(self, session: str) -> Readable | None:
        try:
            return self._library.session(self._scope, session)
        except NotFound:
            return None

    def close(self) -> None:
        """Close the databases."""
        self.app.close()


def _transcript_size(found: Readable) -> int:
    return next(f.size for f in found.manifest.files if f.path == TRANSCRIPT)


def _digests(
    folder: Path, manifest: Manifest, frame: bytes
) -> Iterator[tuple[str, tuple[str, int]]]:
    inline, at = decompress(frame, manifest.inline_size), 0
    for file in manifest.files:
        digest = hashlib.sha256()
        for sha, size in file.chunks:
            digest.update(decompress((folder / chunk_name(sha)).read_bytes(), size))
        digest.update(inline[at : at + file.tail.size])
        at += file.tail.size
        yield file.path, (digest.hexdigest(), file.size)
