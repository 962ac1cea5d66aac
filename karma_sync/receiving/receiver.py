"""Receives items: finds new files in the channels, has them imported, and records the outcome.

An item whose chunks have not all arrived waits; an item that does not verify is refused, with a
reason for people, until its next good revision.
"""

import errno
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from karma_sync.channel.inbox import Inbox
from karma_sync.channel.layout import CHUNK_NAME, ITEM_NAME, ITEMS, RETRACTION_NAME
from karma_sync.domain.events import Topic
from karma_sync.domain.mesh.channels import Channel, World
from karma_sync.domain.session.manifest import SetAside
from karma_sync.domain.session.profile import ItemKind
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import DatabaseUnusable, Unverified
from karma_sync.receiving.forgetting import Forgetting
from karma_sync.receiving.importer import Importer, MissingChunks, Withdrawn
from karma_sync.receiving.item_news import ItemNews
from karma_sync.receiving.stray_chunks import StrayChunks
from karma_sync.runtime.event_log import EventLog, reason
from karma_sync.runtime.problems import Problems
from karma_sync.runtime.timing import RETRY_S, Retry
from karma_sync.runtime.worker import Wake
from karma_sync.store import library, retractions
from karma_sync.store.database import Database

log = logging.getLogger(__name__)
ALL = frozenset({"*"})  # stands for every file in a channel
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # the next item would fail as well


@dataclass
class _Watched:
    """A channel that we read, with the known state of its items.

    `waiting` maps an item to the chunks that it still lacks, `set_aside` one to those that it
    names; `retracted` maps an item to the
    signature of its retraction file when that was last read. `deletions_done` is true if nothing
    that was dropped is left in the folder; `has_strays` if stray chunks lie there.
    """

    channel: Channel
    inbox: Inbox
    arrivals: dict[str, library.Arrival]
    kinds: frozenset[ItemKind] = frozenset(ItemKind)
    waiting: dict[str, set[str]] = field(default_factory=dict)
    set_aside: dict[str, frozenset[str]] = field(default_factory=dict)
    retracted: dict[str, str] = field(default_factory=dict)
    deletions_done: bool = False
    has_strays: bool = False
    strays: StrayChunks = field(init=False)

    def __post_init__(self) -> None:
        self.strays = StrayChunks(self.inbox)


class Arrivals:
    """Collects the files that Syncthing finished, by channel; safe to use from several threads."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._names: dict[str, set[str]] = {}

    def add(self, folder: str, names: Collection[str]) -> None:
        """Have these new files of a channel received, or ALL of its files."""
        with self._lock:
            self._names.setdefault(folder, set()).update(names)
        self._wake.set()

    def take(self) -> tuple[str, set[str]] | None:
        """Take out one channel and its files; None if nothing has arrived."""
        with self._lock:
            return self._names.popitem() if self._names else None


@dataclass(frozen=True)
class ReceiverHooks:
    """The functions of other parts that a receiver calls.

    `refused` gets a channel and the id of an item in it that does not verify. `rests` is true if
    Syncthing pulls nothing in a folder and needs nothing.
    """

    problems: Problems
    refused: Callable[[Channel, str], None] = lambda channel, item: None
    rests: Callable[[str], bool] = lambda folder: False


class Receiver:
    """Keeps the library up to date with all inboxes and with my own outboxes.

    `me` is this member.
    """

    def __init__(
        self,
        me: PairingCode,
        importer: Importer,
        store: Database,
        event_log: EventLog,
        hooks: ReceiverHooks,
    ) -> None:
        self._me = me
        self._importer = importer
        self._store = store
        self._event_log = event_log
        self._news = ItemNews(me.key, event_log)
        self._problems = hooks.problems
        self._refused = hooks.refused
        self._rests = hooks.rests
        self._channels: dict[str, _Watched] = {}
        self._forgetting = Forgetting(importer, event_log, me.tag)
        self._to_retry: set[str] = set()
        self._retry = Retry()

    def receive_from(
        self,
        channels: Sequence[Channel],
        folder: Callable[[str], Path],
        kinds: Callable[[Channel], frozenset[ItemKind]] = lambda channel: frozenset(ItemKind),
    ) -> list[str]:
        """Read these channels from now on; returns the ids of those that must be read whole.

        Of each channel, items of these `kinds` are imported, others are set aside.
        """
        wanted = {c.id: c for c in channels}
        for name in self._channels.keys() - wanted.keys():
            del self._channels[name]
        new = []
        for name, channel in wanted.items():
            if name in self._channels:
                watched = self._channels[name]
                watched.channel = channel
                if watched.kinds != kinds(channel):
                    watched.kinds = kinds(channel)
                    watched.set_aside.clear()
                    new.append(name)
                continue
            with self._store.reading() as tx:
                arrivals = library.arrivals(tx, name)
            self._channels[name] = _Watched(channel, Inbox(folder(name)), arrivals, kinds(channel))
            new.append(name)
        return new

    def forget(self, world: World) -> None:
        """Delete what is not to be here any more."""
        self._forgetting.run(world)
        self._forget_unwanted()

    def _forget_unwanted(self) -> None:
        """Delete what came through channels of which nothing is wanted any more.

        The files stay in the channels' folders, for the other members; once it is wanted again,
        all of it is imported again.
        """
        for name, watched in list(self._channels.items()):  # another thread may change them
            if watched.kinds or not any(a.state == "imported" for a in watched.arrivals.values()):
                continue
            self._importer.forget_channel(name)
            self._channels[name] = _Watched(watched.channel, watched.inbox, {}, watched.kinds)
            self.receive(name, ALL)

    def complete_index(self) -> bool:
        """Index some of what can be read but not yet be found; whether anything is left."""
        return self._importer.complete_index()

    def close(self) -> None:
        """End what works beside the thread."""
        self._importer.close()

    def scrub(self) -> bool:
        """Remove deleted content from the database's files; whether nothing is left to do."""
        return self._importer.scrub()

    def check_deletions(self) -> None:
        """Record which dropped files are gone from the channels' folders too, for the receipts."""
        for watched in list(self._channels.values()):  # another thread may change the channels
            if not watched.deletions_done:
                name, path = watched.channel.id, watched.inbox.path
                watched.has_strays = self._check_strays(watched)
                whole = self._importer.check_deletions(name, path, watched.has_strays)
                watched.deletions_done = whole and not watched.has_strays

    def _check_strays(self, watched: _Watched) -> bool:
        if watched.channel.owner.key == self._me.key:
            return False  # in my own outbox the sender deletes them when nobody needs them
        name = watched.channel.id
        with self._store.reading() as tx:
            dropped = {each.sha256 for each in retractions.lingering(tx, name)}
        accounted = dropped | self._importer.verified_chunks(name).keys()
        accounted |= {sha for hashes in watched.set_aside.values() for sha in hashes}
        return watched.strays.check(accounted, lambda: self._rests(name))

    def has_strays(self, folder: str) -> bool:
        """Whether stray chunks lie in a channel's folder (see stray_chunks.py)."""
        watched = self._channels.get(folder)
        return watched is not None and watched.has_strays

    def folders(self) -> list[str]:
        """The ids of the channels that are read."""
        return list(self._channels)

    def try_again(self) -> set[str]:
        """The channels of which something could not be kept, if it is time to try again."""
        if not self._to_retry or not self._retry.is_due():
            return set()
        due, self._to_retry = self._to_retry, set()
        return due

    @property
    def wait(self) -> float | None:
        """Seconds until something is to be tried or checked again; None if nothing is."""
        lying = any(watched.has_strays for watched in list(self._channels.values()))
        return RETRY_S if self._to_retry or lying else None

    def receive(self, folder: str, names: Collection[str]) -> None:
        """Receive the files with these names in a channel, or ALL of its files."""
        try:
            if set(names) >= ALL:
                self.receive_all(folder)
            else:
                self.receive_files(folder, names)
        except Exception:
            self._to_retry.add(folder)  # a check of the whole channel finds the failed file again
            raise
        self._news.record()

    def receive_all(self, folder: str) -> None:
        """Receive every file of a channel that is new or changed, retractions first."""
        watched = self._channels.get(folder)
        if watched is None:
            return
        for item, signature in watched.inbox.retractions().items():
            self._receive_retraction(watched, item, signature)
        found = watched.inbox.items()
        for item in watched.arrivals.keys() - found.keys():
            self._forget_missing(watched, item)
        for item, signature in found.items():
            if not self._receive_item(watched, item, signature):
                break
        if folder not in self._to_retry:
            self._problems.report("receiving", folder, "")

    def receive_files(self, folder: str, names: Iterable[str]) -> None:
        """Receive the files that Syncthing finished, and the items that now have all chunks."""
        watched = self._channels.get(folder)
        if watched is None:
            return
        ready = set()
        for name in names:
            chunk = CHUNK_NAME.fullmatch(name)
            item = ITEM_NAME.fullmatch(name.removeprefix(f"{ITEMS}/"))
            retraction = RETRACTION_NAME.fullmatch(name)
            if retraction and (signature := watched.inbox.retraction(retraction[1])):
                self._receive_retraction(watched, retraction[1], signature)
            elif chunk:
                watched.deletions_done = False
                ready |= _no_longer_waiting(watched, chunk[2])
            elif item:
                ready.add(item[1])
        for each in sorted(ready):
            signature = watched.inbox.signature(each)
            if signature:
                self._receive_item(watched, each, signature)
            else:
                self._forget_missing(watched, each)

    def _forget_missing(self, watched: _Watched, item: str) -> None:
        """Forget an item whose file is gone, unless it was imported."""
        known = watched.arrivals.get(item)
        if known is None or known.state == "imported":
            return  # an imported item stays readable until its author withdraws it
        watched.waiting.pop(item, None)
        del watched.arrivals[item]
        with self._store.transaction() as tx:
            library.drop_arrival(tx, watched.channel.id, item)

    def _receive_retraction(self, watched: _Watched, item: str, signature: str) -> None:
        if watched.retracted.get(item) == signature:
            return
        owner = watched.channel.owner.tag
        try:
            news = self._importer.retract(watched.channel, watched.inbox.path, item)
        except Unverified as error:
            about = _about(watched.channel)
            who = f"{owner}, item {item}"
            self._event_log.record_fault("retraction refused", who, reason(error), about)
        except FileNotFoundError:
            return  # replaced in the meantime; Syncthing reports the new file
        except (OSError, DatabaseUnusable) as error:
            self._note_failure(watched, f"the retraction of {item} is not carried out", error)
            return
        else:
            if news:
                watched.arrivals.pop(item, None)
                watched.inbox.drop_unfinished(item, watched.waiting.pop(item, ()))
                watched.deletions_done = False
                about = _about(watched.channel)
                self._event_log.record("retracted", owner, f"the session in item {item}", about)
        watched.retracted[item] = signature

    def _receive_item(self, watched: _Watched, item: str, signature: str) -> bool:
        """Import an item if it is new or waits; returns whether the disk has room for more."""
        known = watched.arrivals.get(item)
        # after a start nobody knows which chunks an item names that was set aside
        read_again = known and known.is_set_aside and item not in watched.set_aside
        is_done = known and known.signature == signature and known.state != "waiting"
        if is_done and not read_again:
            return True
        watched.waiting.pop(item, None)
        watched.set_aside.pop(item, None)
        watched.deletions_done = False
        try:
            arrival = self._import(watched, item, signature)
        except FileNotFoundError as error:
            # replaced in the meantime; Syncthing reports the new file
            log.warning(
                "item %s was not imported yet: %s; karma-sync waits for its new file", item, error
            )
            return True
        except (OSError, DatabaseUnusable) as error:
            self._note_failure(watched, f"item {item} was not imported", error)
            return isinstance(error, OSError) and error.errno not in _NO_ROOM
        if known and (known.state, known.why) == ("waiting", arrival.why):
            return True
        self._news.add(watched.channel, known, arrival)
        watched.arrivals[item] = arrival
        with self._store.transaction() as tx:
            library.put_arrival(tx, watched.channel.id, arrival)
        if arrival.refused:
            self._refused(watched.channel, item)
        return True

    def _note_failure(
        self, watched: _Watched, what: str, error: OSError | DatabaseUnusable
    ) -> None:
        """Have a channel read again, and report the problem once for all of its items."""
        self._to_retry.add(watched.channel.id)
        # without the file's name, so that the text is the same for each item
        why = (isinstance(error, OSError) and error.strerror) or error
        problem = f"items that arrived cannot be stored: {why}"
        if self._problems.report("receiving", watched.channel.id, problem):
            log.warning("%s: %s; karma-sync tries again", what, error)

    def _import(self, watched: _Watched, item: str, signature: str) -> library.Arrival:
        """Import an item; returns the outcome."""
        try:
            path, wanted = watched.inbox.path, watched.kinds
            self._importer.import_item(watched.channel, path, item, wanted)
        except MissingChunks as missing:
            watched.waiting[item] = missing.hashes
            return library.Arrival(item, signature, "waiting", f"for {missing}")
        except SetAside as kept:
            watched.set_aside[item] = kept.hashes
            return library.Arrival(
                item, signature, library.SET_ASIDE, f"{kept.revision}: {kept.kind}"
            )
        except Withdrawn:
            return library.Arrival(item, signature, "retracted")
        except Unverified as error:
            why = reason(error)
            about = _about(watched.channel)
            self._event_log.record_fault("item refused", about.actor, f"{item}: {why}", about)
            return library.Arrival(item, signature, "refused", why)
        return library.Arrival(item, signature, "imported")


def _about(channel: Channel) -> Topic:
    return Topic(channel.team.name, channel.project, channel.owner.tag)


def _no_longer_waiting(watched: _Watched, sha: str) -> set[str]:
    """Take a chunk that arrived off the waiting items; returns those that now have all chunks."""
    whole = set()
    for item, missing in watched.waiting.items():
        missing.discard(sha)
        if not missing:
            whole.add(item)
    return whole
