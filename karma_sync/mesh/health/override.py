"""Undoes what other members changed in my outboxes, and records which members may have done it.

In a mesh, every member can change a folder that it serves. Signatures protect the content: nobody
imports a changed item. An override restores my files at every member. It also deletes there the
files that I lack, so it is sent only while no file is missing in the outbox.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from karma_sync.domain.mesh.channels import Channel, World, outboxes
from karma_sync.domain.team.changes import moment
from karma_sync.mesh.health.integrity import Restored
from karma_sync.runtime.event_log import EventLog
from karma_sync.runtime.timing import next_override
from karma_sync.syncthing.wire import FolderStatus, Needed

_NAMED = 2  # how many files an event names
_NAME_CHARS = 80


class OverridePort(Protocol):
    """The calls to Syncthing that overriding makes."""

    def needed(self, folder: str) -> list[Needed]: ...
    def scan(self, folder: str) -> None: ...
    def override(self, folder: str) -> None: ...


class Claimants(Protocol):
    """The call to Syncthing that returns which devices have a file."""

    def holders(self, folder: str, name: str) -> frozenset[str]: ...


class Outboxes(Protocol):
    """The calls to recovery that overriding makes."""

    def mend(self, channel: Channel) -> Restored: ...
    def may_lack(self, channel: Channel, needed: Collection[Needed]) -> bool: ...


class ChangesByOthers:
    """Records which members may have changed files in my outboxes; used by one thread."""

    def __init__(self, syncthing: Claimants, event_log: EventLog) -> None:
        self._syncthing = syncthing
        self._event_log = event_log
        self._pulled: dict[str, dict[str, Needed]] = {}  # by folder and name

    def remember_pulled(self, folder: str, needed: Collection[Needed]) -> None:
        """Remember these files: Syncthing pulls them, to find out whether they are mine."""
        self._pulled.setdefault(folder, {}).update({each.name: each for each in needed})

    def record_rejected(self, channel: Channel, names: Collection[str]) -> None:
        """Record the pulled files that are not mine; my own files are back in their place."""
        pulled = self._pulled.pop(channel.id, {})
        self.record(channel, [pulled.get(name, Needed(name=name)) for name in names], "undone")

    def record(self, channel: Channel, needed: Sequence[Needed], what: str) -> None:
        """Record who changed these files according to Syncthing's index, and what was done.

        Any member can falsify the index: the event calls it a claim, not proof.
        """
        needed = [each for each in needed if not each.is_by(channel.owner.device)]
        if not needed:
            return
        claimed = sorted({_tag(channel, each.modified_by) for each in needed})
        held = self._syncthing.holders(channel.id, needed[0].name)
        found = sorted(_tag(channel, device) for device in held)
        names = ", ".join(each.name[:_NAME_CHARS] for each in needed[:_NAMED])
        more = f" and {len(needed) - _NAMED} more" if len(needed) > _NAMED else ""
        why = f"{names}{more} in {channel.project} ({channel.team.name}): {what}"
        source = f"; it came from {', '.join(found)}" if found else ""
        self._event_log.record_fault(
            "changed by others", ", ".join(claimed), f"{why}. A claim, not proof{source}"
        )


class Overrides:
    """Overrides the outboxes of mine in which peers have other files; used by one thread.

    `recovery` puts missing files back, and finds out whether the peers' files are mine.
    """

    def __init__(
        self,
        syncthing: OverridePort,
        recovery: Outboxes,
        changes: ChangesByOthers,
        now: Callable[[], datetime],
    ) -> None:
        self._syncthing = syncthing
        self._recovery = recovery
        self._changes = changes
        self._now = now
        self._past: dict[str, list[float]] = {}
        self._put_off: set[str] = set()

    def check_status(self, world: World, folder: str, status: FolderStatus) -> None:
        """Undo peers' changes in this folder, if it is an outbox of mine with all its files."""
        if not status.need_items:
            return
        for channel in outboxes(world):
            if channel.id == folder:
                needed = self._syncthing.needed(folder)
                if needed and self._recovery.may_lack(channel, needed):
                    self._changes.remember_pulled(folder, needed)
                elif needed and self._is_whole(channel):
                    self._override(channel, needed)

    def _is_whole(self, channel: Channel) -> bool:
        found = self._recovery.mend(channel)
        if found.restored:
            self._syncthing.scan(channel.id)  # else an override deletes them at every peer
        return not found.lost

    def _override(self, channel: Channel, needed: Sequence[Needed]) -> None:
        now = time.monotonic()
        past = self._past.setdefault(channel.id, [])
        due = next_override(past, now)
        if due > now:
            if channel.id not in self._put_off:
                self._put_off.add(channel.id)
                when = moment(self._now() + timedelta(seconds=due - now))
                self._changes.record(channel, needed, f"too often: not undone before {when}")
            return
        self._put_off.discard(channel.id)
        past.append(now)
        self._changes.record(channel, needed, "undone")
        self._syncthing.override(channel.id)


def _tag(channel: Channel, device: str) -> str:
    """The tag of the member whose device ID begins with `device`."""
    for member in channel.team.everybody:
        if device and member.device.startswith(device):
            return member.tag
    return device or "nobody"
