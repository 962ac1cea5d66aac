"""Promises about a member's disk that hold after whatever happened to it."""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.app import App
from karma_sync.channel.layout import chunk_name, kept_item
from karma_sync.channel.verify import verify_chunk, verify_item
from karma_sync.domain.mesh.channels import Channel, inboxes, outboxes
from karma_sync.domain.session.manifest import split_item
from karma_sync.signing import PayloadType, open_envelope
from karma_sync.store import library
from karma_sync.store.world import read_world
from tests.support.harness import Member, until
from tests.support.transcripts import Session

Version = tuple[str, ...]


def assert_sound(member: Member) -> None:
    """Nothing half-done is left: no temporary name, whole databases, and all of it verifies."""
    assert leftovers(member) == []
    for path in (member.paths.state_db, member.paths.work_db, member.paths.library_db):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
    app = App(member.paths, member.environ)
    try:
        with app.state.reading() as tx:
            world = read_world(tx, app.me, datetime.now(UTC), discovery=False)
        for channel in (*outboxes(world), *inboxes(world)):
            _assert_channel(member, channel)
            with app.library.reading() as tx:
                for item, revision in library.revisions(tx, channel.id).items():
                    hashes = library.chunks_of(tx, channel.id, item)
                    kept = [kept_item(member.paths.library, channel.id, item, revision)]
                    kept += [member.paths.library / chunk_name(sha) for sha in hashes]
                    assert all(path.exists() for path in kept), (member.tag, item, revision)
    finally:
        app.close()


def leftovers(member: Member) -> list[str]:
    """Everything in a member's home that has a temporary name, or waits in the private folder."""
    temporary = (".tmp-", ".syncthing.", "~syncthing~")
    paths = member.home.rglob("*")
    found = [p for p in paths if p.name.startswith(temporary) or p.parent.name == "incoming"]
    return [str(path.relative_to(member.home)) for path in found]


def until_same(reader: Member, sender: Member, *sessions: Session) -> None:
    """Wait until both can read these sessions just as they are on the sender's disk."""
    sender.until_readable(*sessions)
    reader.until_readable(*sessions)
    for member in (reader, sender):
        until(lambda m=member: not leftovers(m), f"{leftovers(member)} to be gone", 30)  # type: ignore[misc] # mypy cannot infer a lambda with a default


def _assert_channel(member: Member, channel: Channel) -> None:
    folder = member.paths.folder(channel.id)
    for path in (folder / "items").glob("*.ks"):  # a channel of which nothing came has none
        raw = path.read_bytes()
        manifest = verify_item(raw, path.stem, channel, 0).manifest.value
        open_envelope(split_item(raw)[0], channel.owner.key, PayloadType.MANIFEST)
        for sha, size in manifest.chunks().items():
            verify_chunk((folder / chunk_name(sha)).read_bytes(), sha, size)


@dataclass
class Seen:
    """Every content that was ever seen under one version, at any member."""

    contents: dict[Version, str] = field(default_factory=dict)

    def look(self, *members: Member) -> None:
        """Take in what lies in folders and databases; no two contents may share a version."""
        for member in members:
            for version, payload in self._found(member):
                digest = hashlib.sha256(payload).hexdigest()
                known = self.contents.setdefault(version, digest)
                assert known == digest, f"two contents under {version}, found at {member.tag}"

    def _found(self, member: Member) -> Iterator[tuple[Version, bytes]]:
        for path in member.paths.folders.glob("ks-m-*/*/*.json"):
            yield _document(path.parent.name, path.read_bytes())
        for path in member.paths.folders.glob("ks-c-*/items/*.ks"):
            payload = payload_of(split_item(path.read_bytes())[0])
            yield ("item", path.stem, str(json.loads(payload)["revision"])), payload
        for name, table in (("state.db", "document"), ("work.db", "receipt")):
            kind = "kind" if table == "document" else "'receipt'"
            for row in _rows(member.paths.data / name, f"SELECT {kind}, envelope FROM {table}"):  # noqa: S608 ours
                yield _document(*row)


def _document(kind: str, envelope: bytes) -> tuple[Version, bytes]:
    payload = payload_of(envelope)
    said = json.loads(payload)
    return (kind, said["team"], said["writer"], str(said["version"])), payload


def payload_of(envelope: bytes) -> bytes:
    """The payload of a document, unverified."""
    return base64.b64decode(json.loads(envelope)["payload"])


def _rows(path: Path, query: str) -> list[tuple[str, bytes]]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=10)) as database:
        try:
            return database.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # killed before its tables were made
