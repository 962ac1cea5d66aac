"""One folder at one member: its directory, its index, and what is due to be done with it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.memory_disk import Disk
from tests.support.memory_events import Json
from tests.support.memory_index import (
    LOCAL,
    Counts,
    File,
    Index,
    State,
    bumped,
    counted,
    merged,
)
from tests.support.memory_pull import Pull
from tests.support.memory_scan import Scan


class FolderTrouble(Exception):
    """The folder as a whole cannot be worked on."""


@dataclass(frozen=True)
class Around:
    """The parts of a member that its folder uses.

    `short` is the member's short device ID, `now` the next moment for versions, `tell` takes an
    event, `fetch` gets a file's bytes from another member.
    """

    short: str
    now: Callable[[], int]
    tell: Callable[[str, Json], None]
    fetch: Callable[[str, File], bytes]


class MemoryFolder:
    """Scans, pulls and is asked; what is due is done by `work`."""

    def __init__(self, around: Around, entry: Json) -> None:
        self.around = around
        self.index = Index()
        self.scan_errors: dict[str, str] = {}
        self.pull_errors: dict[str, str] = {}
        self.state = "idle"
        self.error = ""
        self.is_touched = False
        self._ignores = Disk(Path(entry["path"]), entry["markerName"]).ignores()
        self._orders: list[Callable[[], None]] = []
        self.start(entry)

    def start(self, entry: Json) -> None:
        """Begin anew with these settings, as after every change of them."""
        self.entry = entry
        self.id: str = entry["id"]
        self.disk = Disk(Path(entry["path"]), entry["markerName"])
        self.devices = frozenset(device["deviceID"] for device in entry["devices"])
        for device in self.index.devices - self.devices:
            self.index.forget(device)
        self.scan_errors, self.pull_errors, self.error = {}, {}, ""
        self._orders.clear()
        self.state = "idle"
        self.scan_due = self.pull_due = self.is_running
        if self.is_running and not self.index.sequence:
            self.disk.begin(self.id)

    @property
    def is_running(self) -> bool:
        return not self.entry["paused"]

    @property
    def receives_only(self) -> bool:
        return bool(self.entry["type"] == "receiveonly")

    @property
    def sends_only(self) -> bool:
        return bool(self.entry["type"] == "sendonly")

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The items that failed, and why."""
        return sorted([*self.scan_errors.items(), *self.pull_errors.items()])

    def move(self, state: str) -> None:
        """Be in another state, and tell so."""
        if state != self.state:
            self.around.tell(
                "StateChanged", {"folder": self.id, "from": self.state, "to": state, "duration": 0}
            )
            self.state, self.is_touched = state, True

    def order(self, kind: str) -> None:
        """Override or revert later; without effect on a folder of another type."""
        if self.is_running and kind == "override" and self.sends_only:
            self._orders.append(self._override)
        if self.is_running and kind == "revert" and self.receives_only:
            self._orders.append(self._revert)

    def hear(self, device: str, other: Index) -> bool:
        """Take the news of another member's index; whether there were any."""
        news = self.index.hear(device, other)
        if news:
            self.pull_due = self.is_touched = True
            data = {"device": device, "folder": self.id, "items": news, "sequence": other.sequence}
            self.around.tell("RemoteIndexUpdated", data)
        return bool(news)

    def recheck(self, name: str) -> None:
        """Look at a file soon: it is not what the index says."""
        self._orders.append(lambda: self._scan([name]))

    def work(self) -> bool:
        """Do what is due; whether anything was."""
        if not (self.scan_due or self.pull_due or self._orders):
            return False
        try:
            if self.scan_due:
                self._first_scan()
            while self._orders:
                self._orders.pop(0)()
            if self.pull_due:
                self._pull()
        except FolderTrouble:
            self.pull_due = False
        return True

    # ---- scanning

    def scan(self, subs: Sequence[str] = ()) -> None:
        """Compare the disk with the index, and take over what is different.

        Raises:
            FolderTrouble: the directory or its marker is gone.
        """
        if self.scan_due:
            self._first_scan()
        self._scan(subs)

    def _first_scan(self) -> None:
        self.scan_due = False
        self._scan(())

    def _scan(self, subs: Sequence[str]) -> None:
        self._check()
        before, self._ignores = self._ignores, self.disk.ignores()
        self.move("scanning")
        changed = Scan(self, self._ignores).run(subs)
        self.move("idle")
        self.pull_due = self.pull_due or changed or before != self._ignores

    def _check(self) -> None:
        """See whether the folder can be worked on.

        Raises:
            FolderTrouble: it cannot.
        """
        trouble = self.disk.trouble()
        if trouble != self.error:
            data = {"folder": self.id, "from": self.state, "duration": 0}
            self.state = "error" if trouble else "idle"
            data |= {"to": self.state} | ({"error": trouble} if trouble else {})
            self.around.tell("StateChanged", data)
            self.error, self.is_touched = trouble, True
            self.pull_due = not trouble
        if trouble:
            raise FolderTrouble(trouble)

    @property
    def mine(self) -> State:
        """The state of an entry that is made here."""
        return State.CHANGED if self.receives_only else State.VALID

    def deleted(self, file: File) -> File:
        """The entry that says it was deleted here."""
        return replace(
            file,
            version=bumped(file.version, self.around.short, self.around.now()),
            modified_by=self.around.short,
            mtime_ns=time.time_ns(),
            size=0,
            content="",
            deleted=True,
            state=self.mine,
        )

    def put(self, files: Sequence[File]) -> None:
        """Take entries into our own index, and tell so."""
        if not files:
            return
        self.index.put(files)
        self.is_touched = True
        sequence = self.index.sequence
        names = [file.name for file in files]
        data = {"folder": self.id, "items": len(names), "filenames": names, "sequence": sequence}
        self.around.tell("LocalIndexUpdated", data | {"version": sequence})

    # ---- pulling

    def _pull(self) -> None:
        self.pull_due = False
        self._check()
        if not self.index.needed():
            self.pull_errors = {}
            return
        before, self._ignores = self._ignores, self.disk.ignores()
        if self.sends_only:
            self._merge_identical()
        else:
            self._pull_needed()
        self.pull_due = self.pull_due or before != self._ignores

    def _pull_needed(self) -> None:
        pull = Pull(self, self._ignores)
        self.move("sync-waiting")
        pull.run()
        self.pull_errors = {n: f"syncing: {why}" for n, why in pull.errors.items()}
        if self.pull_errors:
            errors = [{"path": path, "error": why} for path, why in self.errors]
            self.around.tell("FolderErrors", {"folder": self.id, "errors": errors})
        self.move("idle")
        if pull.rescan:
            self._scan(sorted(pull.rescan))

    def _merge_identical(self) -> None:
        """A folder that only sends takes over versions, never content."""
        merged_ = []
        for file in self.index.needed():
            mine = self.index.of(LOCAL, file.name)
            if self._ignores.match(file.name):
                merged_.append(file.without_content(State.IGNORED))
            elif mine is None:
                continue
            elif mine.is_valid and file.is_like(mine) and file.content == mine.content:
                merged_.append(file)
        self.put(merged_)

    def _override(self) -> None:
        self.move("scanning")
        entries = []
        for file in self.index.needed():
            mine = self.index.of(LOCAL, file.name)
            if mine is None:
                entries.append(self.deleted(file))
            elif mine.is_valid:
                both = merged(mine.version, file.version)
                version = bumped(both, self.around.short, self.around.now())
                entries.append(replace(mine, version=version))
        self.put(entries)
        self.move("idle")

    def _revert(self) -> None:
        self.move("scanning")
        changed = [f for f in self.index.local.values() if f.state is State.CHANGED]
        pull = Pull(self, self._ignores)
        # what is in a directory goes before the directory
        entries = [self._reverted(f, pull) for f in sorted(changed, key=lambda f: f.name)[::-1]]
        self.put([entry for entry in entries if entry])
        self.move("idle")
        self.pull_due = True
        if pull.rescan:
            self._scan(sorted(pull.rescan))

    def _reverted(self, file: File, pull: Pull) -> File | None:
        """The entry after a revert: the others' file to pull, or a deletion; None if it fails."""
        best = self.index.best(file.name)
        plain = replace(file, state=State.VALID)
        if best and best.is_valid:
            same = best.is_like(plain) and best.content == plain.content
            return best if same else replace(plain, version=())
        if not file.deleted and not pull.remove(file):
            return None
        deleted = file if file.deleted else self.deleted(file)
        return replace(deleted, version=(), state=State.VALID)

    # ---- figures

    def here(self) -> Counts:
        """The items here, local changes included."""
        mine = self.index.local.values()
        return counted([file for file in mine if file.state in {State.VALID, State.CHANGED}])

    def everywhere(self) -> Counts:
        """The items that all devices should have."""
        return counted([file for file in self.index.all_best() if file.is_valid])

    def lacks(self, device: str = LOCAL) -> Counts:
        """The items that a device has yet to get or to delete."""
        return counted(self.index.needed(device))

    def changed_here(self) -> Counts:
        """The items changed here, which no other device gets."""
        mine = self.index.local.values()
        return counted([file for file in mine if file.state is State.CHANGED])
