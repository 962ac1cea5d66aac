"""Parts for unit tests: keys, members, teams, channels, sessions. Made up, never mocked."""

import hashlib
import json
import os
import tempfile
import time
import weakref
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings

from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.channel.layout import chunk_name, decompress, item_name
from karma_sync.channel.outbox import Outbox
from karma_sync.channel.verify import (
    verify_chunk,
    verify_item,
    verify_observations,
    verify_retraction,
)
from karma_sync.domain.access import AccessScope, admin_of
from karma_sync.domain.mesh.channels import Channel, World, channels
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.manifest import Manifest, join_item, split_item
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import SharedProject
from karma_sync.domain.session.query import Query
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import Member, MemberStatus
from karma_sync.domain.team.pairing_code import PairingCode, device_text
from karma_sync.domain.team.subscription import USUAL, Status, Subscription
from karma_sync.domain.team.team import Team, found_team
from karma_sync.errors import RedactionFailed
from karma_sync.library.hits import Manner, Results
from karma_sync.library.reader import Library
from karma_sync.library.search import Searcher
from karma_sync.receiving.importer import Importer, Verifier
from karma_sync.receiving.indexer import Indexer
from karma_sync.redact.redactor import Redacted, Redactor
from karma_sync.sending.packaging.packager import Packager
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.store import events
from karma_sync.store.database import Database
from karma_sync.store.library import open_library
from karma_sync.store.work import open_work

ALICE, BOB, CAROL, MALLORY = "alice.mbp", "bob.tower", "carol.air", "mallory.pc"
PROJECT = "example.org/acme/repo"
NOW = datetime(2026, 5, 31, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
VERIFIER = Verifier(verify_item, verify_chunk, verify_retraction, verify_observations)


def refusals(log: Database) -> list[str]:
    """The reasons of the refusals in the events of a work.db, without their details."""
    with log.reading() as tx:
        return [each.payload.split(":")[0] for each in events.after(tx, 0) if each.bad]


def examples(most: int = 100) -> settings:
    """Settings of a property that is tried so often; tests/conftest.py has the others."""
    return settings(max_examples=most)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for one example of a property, where pytest's lives for all of them."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@contextmanager
def open_umask() -> Iterator[None]:
    """Files and directories are as open as their maker lets them be."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@cache
def key_of(tag: str) -> SigningKey:
    """The same key for the same tag, always."""
    seed = hashlib.sha256(f"key of {tag}".encode()).digest()
    return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))


@cache
def device_of(tag: str) -> str:
    """The same device ID for the same tag, always."""
    return device_text(hashlib.sha256(f"device of {tag}".encode()).digest())


def code_of(tag: str, *addresses: str) -> PairingCode:
    """The pairing code that `tag` would give to others."""
    return PairingCode(tag, device_of(tag), key_of(tag).public, addresses)


def member_of(tag: str, *addresses: str, status: MemberStatus = MemberStatus.ACTIVE) -> Member:
    """A member who was seen, unless said otherwise."""
    code = code_of(tag)
    return Member(tag=tag, device=code.device, key=code.key, addresses=addresses, status=status)


def team_of_all(*tags: str, name: str = "backend", projects: tuple[str, ...] = (PROJECT,)) -> Team:
    """A team that the first of `tags` leads; all were seen."""
    leader, *others = (member_of(tag) for tag in tags)
    founder = leader.changed(status=MemberStatus.ADDED)
    team = found_team(name, founder, nonce="0" * 32)
    shared = tuple(SharedProject(identity=p, incarnation=1) for p in projects)
    return team.changed(members=(*team.members, *others), projects=shared)


def answer(
    team: Team,
    tag: str,
    status: Status = Status.ACCEPTED,
    direction: Direction = Direction.BOTH,
    project: str = PROJECT,
) -> Subscription:
    """One member's standing towards one project."""
    return Subscription(
        team=team.id,
        project=project,
        member=key_of(tag).public,
        status=status,
        direction=direction,
        content=USUAL,
        incarnation=1,
        offer=1,
    )


def channel_of(
    team: Team, owner: str, project: str = PROJECT, profile: Profile = Profile.FULL
) -> Channel:
    """The channel of `owner` for a team's project; all records leave, so that any line will do."""
    sub = answer(team, owner, project=project)
    sub = sub.changed(limits=sub.limits.changed(profile=profile))
    [found] = channels(World(key=sub.member, teams=(team,), subscriptions=(sub,)))
    return found


def record(**fields: Any) -> bytes:
    """One line of a transcript; a prompt's, unless `type` says otherwise."""
    return json.dumps({"type": "user", **fields}).encode() + b"\n"


def said(text: str, cwd: str = "/src/repo", **more: Any) -> bytes:
    """A prompt as a line of a transcript."""
    return record(type="user", cwd=cwd, message={"content": text}, **more)


class Swapping:
    """The smallest redactor: some words become shorter or longer, and that is all it knows.

    With `fails_on` set it fails wherever it meets that.
    """

    def __init__(self, words: Mapping[bytes, bytes], version: str = "swap-1") -> None:
        self.version = version
        self.fails_on: bytes | None = None
        self._words = words

    def lines(self, raw: bytes) -> Redacted:
        return self.text(raw)

    def text(self, raw: bytes) -> Redacted:
        if self.fails_on is not None and self.fails_on in raw:
            raise RedactionFailed("made to fail")
        cuts = {word.decode(): raw.count(word) for word in self._words if word in raw}
        for word, marker in self._words.items():
            raw = raw.replace(word, marker)
        return Redacted(raw, cuts)

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        redacted = self.text(value.encode())
        return redacted.data.decode(), redacted.cuts


def facts_of(session: SourceSession, most: int = -1) -> Facts:
    """The facts in a session's transcript, or in its first `most` bytes."""
    facts = Facts()
    with session.transcript.path.open("rb") as source:
        feed(facts, source.read(most))
    return facts


class Desk:
    """One member's machine as far as sending goes: an agent's directory, a packager, an outbox."""

    def __init__(self, root: Path, channel: Channel, redactor: Redactor) -> None:
        self.channel = channel
        self.work = open_work(root / "work.db")
        weakref.finalize(self, self.work.close)
        self.outbox = Outbox(root / "outbox")
        self.outbox.prepare()
        self.claude = root / "claude"
        self.directory = self.claude / "projects" / "-src-repo"
        self.directory.mkdir(parents=True)
        self._ticks = count(time.time_ns(), 10**6)
        self._clock = count(NOW_MS)
        self.restart(redactor)

    def restart(self, redactor: Redactor) -> None:
        """Begin again with nothing in memory, as another process would."""
        key = key_of(self.channel.owner.tag)
        self.packager = Packager(redactor, key, self.work, lambda: next(self._clock))
        self.packager.load(self.channel.id)

    def write(self, content: bytes, name: str = "s1.jsonl") -> Path:
        """Replace a file; that it changed can be told from its time, however fast we are."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return self._touch(path)

    def append(self, content: bytes, name: str = "s1.jsonl") -> Path:
        """Write more at the end of a file."""
        with (self.directory / name).open("ab") as out:
            out.write(content)
        return self._touch(self.directory / name)

    def _touch(self, path: Path) -> Path:
        tick = next(self._ticks)
        os.utime(path, ns=(tick, tick))
        return path

    def session(self, session_id: str = "s1") -> SourceSession:
        """A session as it lies there now."""
        source = ClaudeSource([self.claude])
        found = source.session_at(self.directory / f"{session_id}.jsonl")
        assert found is not None
        plans = Facts.plan_names([facts_of(found, most=1 << 20)])
        return source.complete(found, plans, self.channel.profile)

    def is_current(self, session_id: str = "s1") -> bool:
        return self.packager.is_current(self.channel, self.session(session_id))

    def package(self, session_id: str = "s1") -> int:
        """Bring the outbox up to date with a session; the revision."""
        session = self.session(session_id)
        return self.packager.package(self.channel, session, facts_of(session), self.outbox).revision

    def item(self, session_id: str = "s1") -> str:
        return self.packager.item_of(self.channel, self.session(session_id))

    def raw(self, session_id: str = "s1") -> bytes:
        """An item's file, byte for byte."""
        return (self.outbox.path / item_name(self.item(session_id))).read_bytes()

    def manifest(self, session_id: str = "s1") -> Manifest:
        """The manifest of an item, as a reader gets it who knows nothing of us."""
        item = self.item(session_id)
        return verify_item(self.raw(session_id), item, self.channel, 0).manifest.value

    def content(self, name: str = "transcript.jsonl", session_id: str = "s1") -> bytes:
        """One file of an item, put together from the outbox alone."""
        verified = verify_item(self.raw(session_id), self.item(session_id), self.channel, 0)
        [file] = [f for f in verified.manifest.value.files if f.path == name]
        chunks = (
            decompress((self.outbox.path / chunk_name(sha)).read_bytes(), size)
            for sha, size in file.chunks
        )
        return b"".join(chunks) + verified.tails[name]

    def files(self) -> dict[str, bytes]:
        """Everything that peers would get, by name."""
        names = (p for p in self.outbox.path.rglob("*") if p.is_file())
        return {str(p.relative_to(self.outbox.path)): p.read_bytes() for p in names}


class Shelf:
    """One member's library with its importer and a reader."""

    def __init__(self, root: Path, verifier: Verifier = VERIFIER) -> None:
        self.root = root / "library"
        self.store = open_library(self.root / "library.db")
        weakref.finalize(self, self.store.close)
        self.indexer = Indexer(self.root, EXTRACTORS)
        self.importer = Importer(self.root, self.store, verifier, self.indexer, lambda: NOW)
        self.library = Library(self.root, self.store)

    def read(self, session_id: str = "s1", name: str = "transcript.jsonl") -> bytes:
        """The content of one file, as a reader gets it."""
        found = self.library.session(self.scope, session_id)
        return b"".join(self.library.content(self.scope, found, name))

    @property
    def scope(self) -> AccessScope:
        """A reader who leads every team of which something is here."""
        with self.store.reading() as tx:
            teams = {row["team"] for row in tx.execute("SELECT DISTINCT team FROM item")}
        return AccessScope("me", frozenset(teams), roles=frozenset(map(admin_of, teams)))

    def search(self, text: str, manner: Manner | None = None) -> Results:
        """The results for a reader who may read everything, once all of it is indexed."""
        while self.importer.complete_index():
            pass
        searcher = Searcher(self.library, EXTRACTORS, {}, NOW)
        return searcher.search(self.scope, Query.parse(text, NOW), manner or Manner())

    def finds(self, text: str) -> list[str]:
        """The ids of the sessions that are found, the best first."""
        return [hit.readable.manifest.session.session_id for hit in self.search(text).hits]

    def files(self) -> set[str]:
        """Every file it keeps, but the database."""
        found = (p for p in self.root.rglob("*") if p.is_file() and "library.db" not in p.name)
        return {str(p.relative_to(self.root)) for p in found}


def resigned(raw: bytes, signer: SigningKey, **changes: Any) -> bytes:
    """An item file with another manifest: `changes` in its fields, signed by `signer`."""
    envelope, frame = split_item(raw)
    payload = json.loads(b64decode(json.loads(envelope)["payload"])) | changes
    return join_item(signer.sign(PayloadType.MANIFEST, json.dumps(payload).encode()), frame)


def bomb(stated: int) -> bytes:
    """100 MB in a few kB; the header states another size (RFC 8878 section 3.1.1.1)."""
    frame = bytearray(zstandard.ZstdCompressor(level=1).compress(bytes(100_000_000)))
    assert frame[4] >> 6 == 2, "four bytes of content size, behind the magic and the descriptor"
    at = 5 if frame[4] & 0x20 else 6
    assert int.from_bytes(frame[at : at + 4], "little") == 100_000_000
    frame[at : at + 4] = stated.to_bytes(4, "little")
    return bytes(frame)
