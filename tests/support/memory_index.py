"""The index of a folder at one device: its own files, and those that the others announce."""

import itertools
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cmp_to_key

LOCAL = ""  # stands for this device where another's ID could stand
SYNTHETIC_SIZE = 128  # what Syncthing counts for a directory or a link

Version = tuple[tuple[str, int], ...]  # a counter for each device, sorted by short device ID
_IDS = itertools.count(1)


class Kind(StrEnum):
    """The kinds of items; the value is Syncthing's word for it in events."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"


class State(StrEnum):
    """The states of an entry of the index."""

    VALID = "valid"
    IGNORED = "ignored"
    CHANGED = "changed"  # here, in a receive-only folder: for nobody else
    INVALID = "invalid"  # for one of these reasons, at another device


@dataclass(frozen=True)
class File:
    """An item at one version; `content` is its hash, or where a link points to."""

    name: str
    kind: Kind
    version: Version = ()
    modified_by: str = ""
    mtime_ns: int = 0
    size: int = 0
    content: str = ""
    deleted: bool = False
    state: State = State.VALID
    sequence: int = 0

    @property
    def is_valid(self) -> bool:
        return self.state is State.VALID

    @property
    def bytes(self) -> int:
        """The size as Syncthing counts it, in bytes."""
        if self.deleted:
            return 0
        return self.size if self.kind is Kind.FILE else SYNTHETIC_SIZE

    def is_like(self, other: "File") -> bool:
        """Whether both look the same from outside, without reading what is in them."""
        if (self.kind, self.deleted) != (other.kind, other.deleted):
            return False
        if self.kind is Kind.FILE:
            return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)
        return self.kind is Kind.DIRECTORY or self.content == other.content

    def conflicts_with(self, older: "File") -> bool:
        """Whether this was made without knowing of `older`."""
        return not at_least(self.version, older.version)

    def without_content(self, state: State) -> "File":
        return replace(self, state=state, size=0, content="")


def at_least(version: Version, other: Version) -> bool:
    """Whether a version is the other one or comes after it."""
    counters = dict(version)
    return all(counters.get(device, 0) >= count for device, count in other)


def merged(version: Version, other: Version) -> Version:
    """The first version that comes after both, or is one of them."""
    counters = dict(version)
    for device, count in other:
        counters[device] = max(count, counters.get(device, 0))
    return tuple(sorted(counters.items()))


def bumped(version: Version, device: str, now: int) -> Version:
    """The version after a change by this device at this moment."""
    counters = dict(version)
    counters[device] = max(counters.get(device, 0) + 1, now)
    return tuple(sorted(counters.items()))


def only(version: Version, device: str) -> Version:
    """A version that knows of this device's changes alone."""
    return tuple(counter for counter in version if counter[0] == device)


@dataclass(frozen=True)
class Counts:
    """The number of items of each kind, and their bytes."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    deleted: int = 0
    bytes: int = 0

    @property
    def items(self) -> int:
        """Without deletions."""
        return self.files + self.directories + self.symlinks

    @property
    def total(self) -> int:
        return self.items + self.deleted


def counted(files: Collection[File]) -> Counts:
    """The counts of these entries."""
    there = [file.kind for file in files if not file.deleted]
    return Counts(
        there.count(Kind.FILE),
        there.count(Kind.DIRECTORY),
        there.count(Kind.SYMLINK),
        len(files) - len(there),
        sum(file.bytes for file in files),
    )


@dataclass
class _Told:
    """The announcements of another device: of which of its indexes, up to which sequence.

    `counts`: what it lacks is counted. 1.x does so from its first file on, or at once if there
    were files here when it began to talk of the folder.
    """

    index: int
    counts: bool
    sequence: int = 0
    files: dict[str, File] = field(default_factory=dict)


class Index:
    """One folder's index at one device; a new one has a new id, by which others see that."""

    def __init__(self) -> None:
        self.id = next(_IDS)
        self.sequence = 0
        self.local: dict[str, File] = {}
        self._told: dict[str, _Told] = {}
        self._best: dict[str, File] = {}

    def become_new(self) -> None:
        """Have the others take all of it again."""
        self.id = next(_IDS)

    @property
    def devices(self) -> frozenset[str]:
        """The others of which something is known."""
        return frozenset(self._told)

    def sequence_of(self, device: str) -> int:
        """The sequence up to which this device's index is known."""
        if device == LOCAL:
            return self.sequence
        return self._told[device].sequence if device in self._told else 0

    def put(self, files: Iterable[File]) -> None:
        """Take entries as our own; each gets the next sequence number."""
        for file in files:
            self.sequence += 1
            self.local[file.name] = replace(file, sequence=self.sequence)
            self._weigh(file.name)

    def remove(self, name: str) -> None:
        """Forget an entry of our own: nobody ever needs to hear of it."""
        del self.local[name]
        self._weigh(name)

    def hear(self, device: str, other: "Index") -> int:
        """Take what is new in another device's index; how many entries that were."""
        told = self._told.get(device)
        if told is None or told.index != other.id:
            self.forget(device)
            told = self._told[device] = _Told(other.id, counts=bool(self._best))
        news = sorted(
            (file for file in other.local.values() if file.sequence > told.sequence),
            key=lambda file: file.sequence,
        )
        for file in news:
            told.files[file.name] = _for_others(file)
            self._weigh(file.name)
        told.counts = told.counts or bool(news)
        told.sequence = other.sequence
        return len(news)

    def forget(self, device: str) -> None:
        """Drop all that a device told."""
        told = self._told.pop(device, None)
        for name in told.files if told else ():
            self._weigh(name)

    def of(self, device: str, name: str) -> File | None:
        """A device's entry of this name."""
        if device == LOCAL:
            return self.local.get(name)
        return self._told[device].files.get(name) if device in self._told else None

    def best(self, name: str) -> File | None:
        """The newest entry of this name, of whomever: what all should have."""
        return self._best.get(name)

    def all_best(self) -> list[File]:
        return list(self._best.values())

    def needed(self, device: str = LOCAL) -> list[File]:
        """The counted items that a device has yet to get or to delete, by name."""
        if device != LOCAL and not (device in self._told and self._told[device].counts):
            return []
        return [
            best
            for _, best in sorted(self._best.items())
            if _needs(best, self.of(device, best.name))
        ]

    def holders(self, name: str) -> list[str]:
        """The other devices that say they have the newest version."""
        best = self._best.get(name)
        found = ((device, self.of(device, name)) for device in sorted(self._told))
        return [
            device
            for device, file in found
            if best and file and file.is_valid and file.version == best.version
        ]

    def _weigh(self, name: str) -> None:
        """See anew which entry of this name is the best."""
        entries = (self.of(device, name) for device in (LOCAL, *sorted(self._told)))
        found = sorted((entry for entry in entries if entry), key=cmp_to_key(_order))
        if found:
            self._best[name] = next((entry for entry in found if entry.is_valid), found[0])
        else:
            self._best.pop(name, None)


def _for_others(file: File) -> File:
    """An entry as other devices get it: what is changed here alone counts as older than all."""
    if file.is_valid:
        return file
    version = () if file.state is State.CHANGED else file.version
    return replace(file, state=State.INVALID, version=version)


def _needs(best: File, mine: File | None) -> bool:
    if not best.is_valid or not best.version:
        return False
    if mine is None:
        return not best.deleted
    return not at_least(mine.version, best.version)


def _order(one: File, other: File) -> int:
    """Negative if `one` goes before: newer, else valid, else not deleted, else changed later."""
    after = at_least(one.version, other.version)
    before = at_least(other.version, one.version)
    if after != before:
        return -1 if after else 1
    if one.is_valid != other.is_valid:
        return -1 if one.is_valid else 1
    if after:
        return 0
    if one.deleted != other.deleted:
        return 1 if one.deleted else -1
    return -1 if (one.mtime_ns, one.version) > (other.mtime_ns, other.version) else 1
