"""Takes back what members changed in my outboxes, and says who is said to have done it.

A mesh lets every member alter a folder that it serves. Signatures make that harmless to content;
an override restores my files at everybody. It also deletes at everybody what I lack, so it is sent
only while the outbox is whole.
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

_NAMED = 2  # files that the event names
_NAME_CHARS = 80


class OverridePort(Protocol):
    """What is asked of Syncthing."""

    def needed(self, folder: str) -> list[Needed]: ...
    def scan(self, folder: str) -> None: ...
    def override(self, folder: str) -> None: ...


class Claimants(Protocol):
    """What is asked of Syncthing about who has a file."""

    def holders(self, folder: str, name: str) -> frozenset[str]: ...


class Outboxes(Protocol):
    """What is asked of the outboxes."""

    def mend(self, channel: Channel) -> Restored: ...
    def lacks(self, channel: Channel, needed: Collection[Needed]) -> bool: ...


class ChangesByOthers:
    """Tells which members are said to have changed files in my outboxes; used by one thread."""

    def __init__(self, syncthing: Claimants, notes: EventLog) -> None:
        self._syncthing = syncthing
        self._notes = notes
        self._asked: dict[str, dict[str, Needed]] = {}

    def asked(self, folder: str, needed: Collection[Needed]) -> None:
        """These files are pulled to see whether they are mine."""
        self._asked.setdefault(folder, {}).update({each.name: each for each in needed})

    def rejected(self, channel: Channel, names: Collection[str]) -> None:
        """These files were pulled to see whether they are mine, and are not: mine are back."""
        asked = self._asked.pop(channel.id, {})
        self.note(channel, [asked.get(name, Needed(name=name)) for name in names], "undone")

    def note(self, channel: Channel, needed: Sequence[Needed], what: str) -> None:
        """What the index says of who did it can be made up by any member: a claim, not proof."""
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
        self._notes.record_fault(
            "changed by others", ", ".join(claimed), f"{why}. A claim, not proof{source}"
        )


class Overrides:
    """Looks at outboxes in which Syncthing says that peers have other files than mine.

    `recovery` puts back what is missing in one, and finds out whether the peers' files are mine.
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

    def judge(self, world: World, folder: str, status: FolderStatus) -> None:
        """Override what peers changed in this folder, if it is an outbox of mine and whole."""
        if not status.need_items:
            return
        for channel in outboxes(world):
            if channel.id == folder:
                needed = self._syncthing.needed(folder)
                if needed and self._recovery.lacks(channel, needed):
                    self._changes.asked(folder, needed)
                elif needed and self._is_whole(channel):
                    self._override(channel, needed)

    def _is_whole(self, channel: Channel) -> bool:
        found = self._recovery.mend(channel)
        if found.restored:
            self._syncthing.scan(channel.id)  # or it would be deleted at everybody
        return not found.lost

    def _override(self, channel: Channel, needed: Sequence[Needed]) -> None:
        now = time.monotonic()
        past = self._past.setdefault(channel.id, [])
        due = next_override(past, now)
        if due > now:
            if channel.id not in self._put_off:
                self._put_off.add(channel.id)
                when = moment(self._now() + timedelta(seconds=due - now))
                self._changes.note(channel, needed, f"too often: not undone before {when}")
            return
        self._put_off.discard(channel.id)
        past.append(now)
        self._changes.note(channel, needed, "undone")
        self._syncthing.override(channel.id)


def _tag(channel: Channel, device: str) -> str:
    """The member whose device ID begins so."""
    for member in channel.team.members:
        if device and member.device.startswith(device):
            return member.tag
    return device or "nobody"
