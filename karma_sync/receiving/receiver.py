"""What arrives: looks into the channels, has items imported, remembers what waits and why."""

import errno
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from karma_sync.channel.inbox import Inbox
from karma_sync.channel.layout import CHUNK_NAME, ITEM_NAME, ITEMS, RETRACTION_NAME
from karma_sync.domain.mesh.channels import Channel, Kept
from karma_sync.errors import DatabaseUnusable, Unverified
from karma_sync.receiving.importer import Importer, MissingChunks, Withdrawn
from karma_sync.receiving.stray_chunks import StrayChunks
from karma_sync.runtime.event_log import EventLog, reason
from karma_sync.runtime.problems import Problems
from karma_sync.runtime.timing import RETRY_S, Retry
from karma_sync.runtime.worker import Wake
from karma_sync.store import library, retractions
from karma_sync.store.database import Database

log = logging.getLogger(__name__)
ALL = frozenset({"*"})  # every name in a channel
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # the next item would fare no better


@dataclass
class _Watched:
    """A channel we read from; `waiting` are items by the chunks they still lack.

    `retracted` has the signature of each retraction file that was looked at; `settled` says that
    nothing that was dropped is left in the folder, `astray` that chunks of who knows what are.
    """

    channel: Channel
    inbox: Inbox
    arrivals: dict[str, library.Arrival]
    waiting: dict[str, set[str]] = field(default_factory=dict)
    retracted: dict[str, str] = field(default_factory=dict)
    settled: bool = False
    astray: bool = False
    strays: StrayChunks = field(init=False)

    def __post_init__(self) -> None:
        self.strays = StrayChunks(self.inbox)


class Arrivals:
    """Files that Syncthing finished, by channel, until they are taken in; for several threads."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._names: dict[str, set[str]] = {}

    def add(self, folder: str, names: Collection[str]) -> None:
        """These files of a channel are new, or ALL may be."""
        with self._lock:
            self._names.setdefault(folder, set()).update(names)
        self._wake.set()

    def take(self) -> tuple[str, set[str]] | None:
        """One channel and its files; None if nothing has arrived."""
        with self._lock:
            return self._names.popitem() if self._names else None


@dataclass(frozen=True)
class ReceiverHooks:
    """What a receiver calls in other parts.

    `refused` gets a channel and the item in it that does not verify; `rests` tells whether
    Syncthing collects nothing in a folder and wants nothing.
    """

    problems: Problems
    refused: Callable[[Channel, str], None] = lambda channel, item: None
    rests: Callable[[str], bool] = lambda folder: False


class Receiver:
    """Keeps the library of `me`, a public key, up to date with the inboxes, and my own outboxes."""

    def __init__(
        self,
        me: str,
        importer: Importer,
        store: Database,
        notes: EventLog,
        hooks: ReceiverHooks,
    ) -> None:
        self._me = me
        self._importer = importer
        self._store = store
        self._notes = notes
        self._problems = hooks.problems
        self._refused = hooks.refused
        self._rests = hooks.rests
        self._channels: dict[str, _Watched] = {}
        self._kept: set[Kept] = set()
        self._again: set[str] = set()
        self._retry = Retry()

    def receive_from(self, channels: Sequence[Channel], folder: Callable[[str], Path]) -> list[str]:
        """Read these channels from now on; the ids of those that are new."""
        wanted = {c.id: c for c in channels}
        for name in self._channels.keys() - wanted.keys():
            del self._channels[name]
        new = []
        for name, channel in wanted.items():
            if name in self._channels:
                self._channels[name].channel = channel
                continue
            with self._store.reading() as tx:
                arrivals = library.arrivals(tx, name)
            self._channels[name] = _Watched(channel, Inbox(folder(name)), arrivals)
            new.append(name)
        return new

    def keep(self, kept: Collection[Kept]) -> None:
        """Remove what members took back: whatever came through other channels than these."""
        for each in set(kept) - self._kept:
            count = self._importer.forget_all_but(each)
            if count:
                why = f"{count} sessions of {each.project}"
                self._notes.record("withdrawn", each.member, why)
        self._kept = set(kept)

    def scrub(self) -> bool:
        """Leave nothing on disk of what was forgotten; whether nothing is left to do."""
        return self._importer.scrub()

    def settle(self) -> None:
        """See what of all that was dropped is gone from the folders too: receipts say so."""
        for watched in list(self._channels.values()):  # others come and go meanwhile
            if not watched.settled:
                name, path = watched.channel.id, watched.inbox.path
                watched.astray = self._has_strays(watched)
                whole = self._importer.settle(name, path, watched.astray)
                watched.settled = whole and not watched.astray

    def _has_strays(self, watched: _Watched) -> bool:
        if watched.channel.owner.key == self._me:
            return False  # in my own outbox they are mine, and go when nobody needs them
        name = watched.channel.id
        with self._store.reading() as tx:
            dropped = {each.sha256 for each in retractions.lingering(tx, name)}
        accounted = dropped | self._importer.known(name).keys()
        return watched.strays.look(accounted, lambda: self._rests(name))

    def astray(self, folder: str) -> bool:
        """Whether chunks of who knows which revision lie in a channel's folder."""
        watched = self._channels.get(folder)
        return watched is not None and watched.astray

    def folders(self) -> list[str]:
        """The channels it reads."""
        return list(self._channels)

    def try_again(self) -> set[str]:
        """The channels of which something could not be kept here, if it is time to look again."""
        if not self._again or not self._retry.is_due():
            return set()
        again, self._again = self._again, set()
        return again

    @property
    def wait(self) -> float | None:
        """Seconds until something is to be tried, or looked for, again; None if nothing is."""
        astray = any(watched.astray for watched in list(self._channels.values()))
        return RETRY_S if self._again or astray else None

    def take_in(self, folder: str, names: Collection[str]) -> None:
        """Take in what arrived in a channel: these names, or ALL."""
        try:
            if set(names) >= ALL:
                self.look(folder)
            else:
                self.arrived(folder, names)
        except Exception:
            self._again.add(folder)  # what was in hand is found again
            raise

    def look(self, folder: str) -> None:
        """Take in every file of a channel that is new or different, retractions first."""
        watched = self._channels.get(folder)
        if watched is None:
            return
        for item, signature in watched.inbox.retractions().items():
            self._retract(watched, item, signature)
        found = watched.inbox.items()
        for item in watched.arrivals.keys() - found.keys():
            self._gone(watched, item)
        for item, signature in found.items():
            if not self._take(watched, item, signature):
                break
        if folder not in self._again:
            self._problems.report("receiving", folder, "")

    def arrived(self, folder: str, names: Iterable[str]) -> None:
        """Take in what Syncthing says it finished: files, and items that now are whole."""
        watched = self._channels.get(folder)
        if watched is None:
            return
        ready = set()
        for name in names:
            chunk = CHUNK_NAME.fullmatch(name)
            item = ITEM_NAME.fullmatch(name.removeprefix(f"{ITEMS}/"))
            retraction = RETRACTION_NAME.fullmatch(name)
            if retraction and (signature := watched.inbox.retraction(retraction[1])):
                self._retract(watched, retraction[1], signature)
            elif chunk:
                watched.settled = False
                ready |= _no_longer_waiting(watched, chunk[2])
            elif item:
                ready.add(item[1])
        for each in sorted(ready):
            signature = watched.inbox.signature(each)
            if signature:
                self._take(watched, each, signature)
            else:
                self._gone(watched, each)

    def _gone(self, watched: _Watched, item: str) -> None:
        """An item file is gone: it is neither refused nor waited for any more."""
        known = watched.arrivals.get(item)
        if known is None or known.state == "imported":
            return  # what was imported stays readable, until its author withdraws it
        watched.waiting.pop(item, None)
        del watched.arrivals[item]
        with self._store.transaction() as tx:
            library.drop_arrival(tx, watched.channel.id, item)

    def _retract(self, watched: _Watched, item: str, signature: str) -> None:
        if watched.retracted.get(item) == signature:
            return
        owner = watched.channel.owner.tag
        try:
            news = self._importer.retract(watched.channel, watched.inbox.path, item)
        except Unverified as error:
            self._notes.record_fault("retraction refused", f"{owner}, item {item}", reason(error))
        except FileNotFoundError:
            return  # replaced while we looked; Syncthing tells of the new one
        except (OSError, DatabaseUnusable) as error:
            self._not_kept(watched, f"the retraction of {item} is not carried out", error)
            return
        else:
            if news:
                watched.arrivals.pop(item, None)
                watched.inbox.drop_unfinished(item, watched.waiting.pop(item, ()))
                watched.settled = False
                self._notes.record("retracted", owner, f"the session in item {item}")
        watched.retracted[item] = signature

    def _take(self, watched: _Watched, item: str, signature: str) -> bool:
        """Have an item imported, if it is not yet; whether there is room for more."""
        known = watched.arrivals.get(item)
        if known and known.signature == signature and known.state != "waiting":
            return True
        watched.waiting.pop(item, None)
        watched.settled = False
        try:
            arrival = self._import(watched, item, signature)
        except FileNotFoundError as error:
            # replaced while we looked; Syncthing tells of the new one
            log.warning("item %s was not imported: %s", item, error)
            return True
        except (OSError, DatabaseUnusable) as error:
            self._not_kept(watched, f"item {item} was not imported", error)
            return isinstance(error, OSError) and error.errno not in _NO_ROOM
        if known and (known.state, known.why) == ("waiting", arrival.why):
            return True
        watched.arrivals[item] = arrival
        with self._store.transaction() as tx:
            library.put_arrival(tx, watched.channel.id, arrival)
        if arrival.refused:
            self._refused(watched.channel, item)
        return True

    def _not_kept(self, watched: _Watched, what: str, error: OSError | DatabaseUnusable) -> None:
        """The library does not take something: it is tried again, and said once."""
        self._again.add(watched.channel.id)
        # the same words for each item
        why = (isinstance(error, OSError) and error.strerror) or error
        said = f"what arrived cannot be kept: {why}"
        if self._problems.report("receiving", watched.channel.id, said):
            log.warning("%s: %s; it is tried again", what, error)

    def _import(self, watched: _Watched, item: str, signature: str) -> library.Arrival:
        """What became of an item."""
        try:
            self._importer.import_item(watched.channel, watched.inbox.path, item)
        except MissingChunks as missing:
            watched.waiting[item] = missing.hashes
            return library.Arrival(item, signature, "waiting", f"for {missing}")
        except Withdrawn:
            return library.Arrival(item, signature, "retracted")
        except Unverified as error:
            why = reason(error)
            self._notes.record_fault("item refused", watched.channel.owner.tag, f"{item}: {why}")
            return library.Arrival(item, signature, "refused", why)
        return library.Arrival(item, signature, "imported")


def _no_longer_waiting(watched: _Watched, sha: str) -> set[str]:
    """The items that had only waited for this chunk."""
    whole = set()
    for item, missing in watched.waiting.items():
        missing.discard(sha)
        if not missing:
            whole.add(item)
    return whole
