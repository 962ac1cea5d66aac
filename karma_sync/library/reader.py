"""Reads sessions and their content from the library, for people and agents; writes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path

from karma_sync.agents.growing_file import skipped
from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.access import AccessScope
from karma_sync.domain.ids import short_ids, user_of
from karma_sync.domain.session.key import SessionKey
from karma_sync.domain.session.manifest import ItemFile, Manifest
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.team.team import Team
from karma_sync.errors import BadInput, KarmaError, NotFound
from karma_sync.store import readable as queries
from karma_sync.store import record_ids
from karma_sync.store.database import Database

_TRIES = 5  # for content that a new revision replaces while it is read
_PROPOSED = 5  # sessions in a hint
_SEARCHED = 50  # the most sessions searched for one by another member


@dataclass(frozen=True)
class Library:
    """The verified sessions on this machine; `root` holds the files, `store` the database."""

    root: Path
    store: Database

    def sessions(self, scope: AccessScope, most: int = 1_000_000) -> list[Readable]:
        """At most `most` sessions that the scope allows, the latest active first.

        A session that came through two teams is listed once.
        """
        with self.store.reading() as tx:
            found = queries.sessions(tx, scope)
        once = {(r.manifest.member, r.manifest.session.session_id): r for r in reversed(found)}
        newest = sorted(once.values(), key=found.index) if len(once) < len(found) else found
        return newest[:most]

    def newest_by_others(self, scope: AccessScope) -> Readable | None:
        """The latest active session that another member wrote, not the reader; None if none."""
        with self.store.reading() as tx:
            found = queries.sessions(tx, scope, most=_SEARCHED)
        return next((r for r in found if r.manifest.member != scope.user), None)

    def projects(self, scope: AccessScope) -> set[str]:
        """Every project of which the reader may see a session."""
        with self.store.reading() as tx:
            return queries.projects(tx, scope)

    def session(self, scope: AccessScope, wanted: str, by: str = "") -> Readable:
        """The one session that `wanted` names: a composite key, or the beginning of an id.

        `by` is its author's tag, or the user part of it. Of one id that several members have, the
        reader's own session comes first.

        Raises:
            NotFound: there is none, or the scope does not allow it.
            BadInput: several fit, or `wanted` cannot be a key.
        """
        return the_one(scope, wanted, self.fitting(scope, wanted, by))

    def fitting(self, scope: AccessScope, wanted: str, by: str = "") -> list[Readable]:
        """The sessions that `wanted` and `by` may name, as `session` takes them.

        Raises:
            BadInput: `wanted` cannot be a key.
        """
        key = SessionKey.parse(wanted) if wanted else SessionKey()
        key = replace(key, user=by) if by else key
        with self.store.reading() as tx:
            found = queries.sessions(tx, scope, key.session) if key.session else []
        return [r for r in found if key.fits(key_of(r))]

    def others_with_id(self, scope: AccessScope, found: Readable) -> list[str]:
        """The tags of the other members who have a session with the same id, sorted."""
        wanted = found.manifest.session.session_id
        with self.store.reading() as tx:
            same = queries.sessions(tx, scope, wanted)
        members = {r.manifest.member for r in same if r.manifest.session.session_id == wanted}
        return sorted(members - {found.manifest.member})

    def content(
        self, scope: AccessScope, readable: Readable, path: str, begin: int = 0
    ) -> Iterator[bytes]:
        """The exact bytes of one file in the newest revision of a session, piece by piece.

        Only what follows the first `begin` bytes is read. If a new revision replaces it before the
        first piece is returned, that one is read.

        Raises:
            NotFound: the session has no such file, is gone, or the scope does not allow it.
            KarmaError: the session was replaced during the reading, or the library is damaged.
        """
        if not _may_read(scope, readable):
            raise NotFound(f"session {readable.manifest.session.session_id} is gone")
        for _ in range(_TRIES):
            file = _file(readable.manifest, path)
            kept = KeptContent(self.root, readable.folder, readable.manifest)
            first, before = _first_chunk(file, begin)
            try:
                tail = kept.tail(file)
                head = [kept.chunk(sha, size) for sha, size in file.chunks[first : first + 1]]
            except FileNotFoundError:
                readable = self._again(scope, readable)
                continue
            rest = _chunks(kept, file, first + 1)
            yield from skipped(chain(head, rest, [tail]), before)
            return
        raise KarmaError(f"a file of item {readable.manifest.item} is missing in the library")

    def places(self, scope: AccessScope, readable: Readable, begin: str) -> list[tuple[str, int]]:
        """Places where records may lie whose ids begin with `begin`: (path, at), in order."""
        if not _may_read(scope, readable):
            return []
        with self.store.reading() as tx:
            found = record_ids.where(tx, (readable.folder, readable.manifest.item), begin)
        known = {file.path for file in readable.manifest.files}
        return [(path, at) for path, at in found if path in known]

    def _again(self, scope: AccessScope, readable: Readable) -> Readable:
        with self.store.reading() as tx:
            now = queries.item(tx, scope, readable.folder, readable.manifest.item)
        if now is None:
            raise NotFound(f"session {readable.manifest.session.session_id} is gone")
        return now


def the_one(scope: AccessScope, wanted: str, found: Sequence[Readable]) -> Readable:
    """The one session that is meant, of those that fit what was typed.

    Raises:
        NotFound: there is none.
        BadInput: there are several.
    """
    session = SessionKey.parse(wanted).session if wanted else ""
    found = [r for r in found if r.manifest.session.session_id == session] or found
    if len({r.manifest.session.session_id for r in found}) == 1:
        found = [r for r in found if r.manifest.member == scope.user] or found
    if not found:
        raise NotFound(f"the library has no session {wanted!r}", hint="karma-sync session list")
    ids = {(r.manifest.member, r.manifest.session.session_id): key_of(r) for r in found}
    if len(ids) > 1:
        raise BadInput(f"{wanted!r} fits several sessions", hint=_told_apart(ids.values()))
    return found[0]


def _told_apart(keys: Iterable[SessionKey]) -> str:
    """Words to type for a few of these sessions: the id, with its author where ids are equal."""
    some = sorted(keys, key=str)[:_PROPOSED]
    short = short_ids(key.session for key in some)
    if len(short) > 1:
        return " or ".join(dict.fromkeys(short[key.session] for key in some))
    return " or ".join(f"{short[key.session]} --by {key.user}" for key in some)


def _file(manifest: Manifest, path: str) -> ItemFile:
    for file in manifest.files:
        if file.path == path:
            return file
    names = ", ".join(f.path for f in manifest.files)
    raise NotFound(f"the session has no file {path!r}", hint=f"--file with one of {names}")


def _may_read(scope: AccessScope, readable: Readable) -> bool:
    manifest = readable.manifest
    return scope.can_read(manifest.team, manifest.project, manifest.member, manifest.session.wrote)


def _chunks(kept: KeptContent, file: ItemFile, first: int) -> Iterator[bytes]:
    """The chunks of a file from a number on.

    Raises:
        KarmaError: a new revision replaced the session.
    """
    try:
        yield from (kept.chunk(sha, size) for sha, size in file.chunks[first:])
    except FileNotFoundError:
        raise KarmaError(
            f"session {kept.manifest.session.session_id} was replaced while it was read",
            hint="read it again",
        ) from None


def _first_chunk(file: ItemFile, begin: int) -> tuple[int, int]:
    """The number of the chunk in which byte `begin` of a file lies, and where in it."""
    for number, (_, size) in enumerate(file.chunks):
        if begin < size:
            return number, begin
        begin -= size
    return len(file.chunks), begin


@dataclass(frozen=True)
class LibraryView:
    """The library as one reader sees it."""

    library: Library
    scope: AccessScope

    def item(self, folder: str, item: str) -> Readable | None:
        """One item as it is now; None if it is not there, or the reader may not see it."""
        with self.library.store.reading() as tx:
            return queries.item(tx, self.scope, folder, item)

    def content(self, readable: Readable, path: str) -> Iterator[bytes]:
        """As `Library.content`."""
        return self.library.content(self.scope, readable, path)


def key_of(readable: Readable) -> SessionKey:
    """The composite key of a session."""
    manifest = readable.manifest
    facts = manifest.session
    return SessionKey(manifest.member, facts.wrote, manifest.project, facts.session_id)


def author(tag: str, me: str, teams: list[Team]) -> str:
    """The name to show for an author: `you`, the user part, or the full tag if two share that.

    Machines of one person have one name, if each of them names the other.
    """
    if tag == me:
        return "you"
    users = {m.tag for team in teams for m in team.members if user_of(m.tag) == user_of(tag)}
    pairs = combinations(sorted(users | {tag}), 2)
    return user_of(tag) if all(_are_one_person(teams, *pair) for pair in pairs) else tag


def _are_one_person(teams: list[Team], one: str, other: str) -> bool:
    """Whether two tags are machines of one person, wherever both are members."""
    both = [
        (team, first.key, second.key)
        for team in teams
        for first in team.members
        for second in team.members
        if (first.tag, second.tag) == (one, other)
    ]
    return bool(both) and all(team.are_one_person(*keys) for team, *keys in both)
