"""Reads my own items back from an outbox: the packager resumes from them, recovery checks them.

Other members can change an outbox through the mesh, so only what my key signed counts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.growing_file import whole_lines
from karma_sync.channel.layout import decompress
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import ItemFile, Manifest, Retraction, split_item
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, open_envelope
from karma_sync.store import ledger
from karma_sync.store.ledger import Departed


class OutboxFiles(Protocol):
    """The files of one channel, as the packager writes and reads them."""

    def put_chunk(self, sha256: str, content: bytes, mtime_ns: int) -> None: ...
    def put_item(
        self, item: str, raw: bytes, mtime_ns: int, on_placed: Callable[[], None]
    ) -> None: ...
    def retract(self, item: str, envelope: bytes) -> None: ...
    def read_item(self, item: str) -> bytes | None: ...
    def has_item(self, item: str) -> bool: ...
    def read_chunk(self, sha256: str) -> bytes: ...
    def read_retraction(self, item: str) -> bytes | None: ...
    def undo(self) -> None: ...


@dataclass(frozen=True)
class PreviousItem:
    """An item as the outbox holds it: its manifest, and the end of each file by path."""

    manifest: Manifest
    tails: Mapping[str, bytes]

    def content(self, entry: ItemFile, outbox: OutboxFiles) -> Iterator[bytes]:
        """The packaged content of one file, chunk by chunk."""
        for sha, size in entry.chunks:
            yield decompress(outbox.read_chunk(sha), size)
        yield self.tails[entry.path]


def read_back(outbox: OutboxFiles, item: str, key: str) -> PreviousItem | None:
    """My item as the outbox holds it, signed by `key`; None if it is not there as I wrote it."""
    raw = outbox.read_item(item)
    if raw is None:
        return None
    try:
        envelope, frame = split_item(raw)
        payload = open_envelope(envelope, key, PayloadType.MANIFEST)
        manifest = Manifest.model_validate_json(payload)
        inline = decompress(frame, manifest.inline_size)
    except (Unverified, ValueError):
        return None
    tails, at = {}, 0
    for file in manifest.files:
        tails[file.path] = inline[at : at + file.tail.size]
        at += file.tail.size
    return PreviousItem(manifest, tails)


def retraction_of(outbox: OutboxFiles, item: str, key: str) -> Retraction | None:
    """My retraction as the outbox holds it; None if it is not there as I wrote it."""
    raw = outbox.read_retraction(item)
    if raw is None:
        return None
    try:
        payload = open_envelope(raw, key, PayloadType.RETRACTION)
        return Retraction.model_validate_json(payload)
    except (Unverified, ValueError):
        return None


def without_source(
    before: PreviousItem, outbox: OutboxFiles, changed_ns: int
) -> tuple[SourceSession, Facts]:
    """A session made from its item in the outbox, for use without its source; it has no files."""
    described = before.manifest.session
    facts = Facts()
    for entry in before.manifest.files:
        if entry.path == TRANSCRIPT:
            for lines in whole_lines(before.content(entry, outbox)):
                feed(facts, lines)
    # redaction may have cut the record with a custom title: the manifest's title still holds
    if not facts.title:
        facts.custom_title = described.title
    agent, session_id = described.agent, described.session_id
    # without its source nobody has the session open; whether that was ever recorded stays as it was
    running = None if described.running is None else False
    return SourceSession(agent, session_id, Path(), (), running, changed_ns), facts


def row_of(channel: Channel, item: str, outbox: OutboxFiles) -> Departed | None:
    """A ledger row made from an item or retraction in my outbox; None if neither is there."""
    before = read_back(outbox, item, channel.owner.key)
    if before:
        return ledger.row_of(channel.id, before.manifest, before.manifest.revision)
    gone = retraction_of(outbox, item, channel.owner.key)
    return ledger.row_of_withdrawn(channel.id, gone) if gone else None
