"""One cycle: observe everything, compare with what should be, write the difference.

Three phases: metadata (documents), mesh pairing (devices), device lists (folders). What wakes a
cycle says when, never what; an idle one makes three requests and writes nothing.
"""

import logging
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from karma_sync.channel.inbox import Inbox
from karma_sync.channel.outbox import Outbox
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import World, inboxes, outboxes
from karma_sync.domain.mesh.plan import (
    Action,
    DropDevice,
    DropFolder,
    FolderType,
    IgnoreDevice,
    PutDevice,
    PutFolder,
    desired,
    diff,
)
from karma_sync.domain.team.invitation import Answer, Contact, new_invitations
from karma_sync.errors import KarmaError, SyncthingError
from karma_sync.files import private_dir
from karma_sync.paths import FOLDER_ID, Paths, is_metadata_folder
from karma_sync.runtime.timing import soonest
from karma_sync.store import state
from karma_sync.store.world import pause_left, read_world
from karma_sync.syncthing.configuration import Configuration, with_changes, with_ignored
from karma_sync.syncthing.rescan import Rescan
from karma_sync.syncthing.wire import PendingDevice, PendingFolder
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import folder as metadata
from karma_sync.team.exchange import DocumentExchange
from karma_sync.team.sign import Written


def leftovers(paths: Paths, world: World) -> list[str]:
    """The ids of channels' folders on disk that I neither send nor receive.

    None while there is no team: then it is more likely that the database was lost.
    """
    if not world.teams or not paths.folders.is_dir():
        return []
    is_open = {channel.id for channel in (*outboxes(world), *inboxes(world))}
    found = (path.name for path in paths.folders.iterdir() if FOLDER_ID.fullmatch(path.name))
    return sorted(n for n in found if n not in is_open and not is_metadata_folder(n))


log = logging.getLogger(__name__)
_RETRY_S = 5.0


class ReconcilerPort(Protocol):
    """What a cycle asks of ReconcilerPort."""

    def configuration(self, root: Path) -> Configuration: ...
    def put_configuration(self, configuration: Configuration) -> None: ...
    def pending_devices(self) -> list[PendingDevice]: ...
    def pending_folders(self) -> list[PendingFolder]: ...
    def scan(self, folder: str, names: Sequence[str], /) -> None: ...


@dataclass(frozen=True)
class Cycle:
    """What one cycle found and did; `world` is what should be, as far as Syncthing took it.

    `again` is in how many seconds another cycle is due, None if none is before the timer's.
    """

    world: World
    actions: list[Action]
    failures: list[KarmaError] = field(default_factory=list)
    again: float | None = None


class Reconciler:
    """The only writer of Syncthing's configuration."""

    def __init__(
        self,
        context: TeamContext,
        syncthing: ReconcilerPort,
        documents: DocumentExchange,
        observed: Callable[[World], World],
    ) -> None:
        self._context = context
        self._syncthing = syncthing
        self._documents = documents
        self._observed = observed
        self._telling = Rescan(syncthing.scan)
        self._untold: list[Written] = []

    def run_once(self) -> Cycle:
        """One cycle.

        Raises:
            SyncthingError: Syncthing does not answer; nothing was changed in it.
        """
        self._record_pending(self._syncthing.pending_devices(), self._syncthing.pending_folders())
        written = self._documents.run()
        world = self._world()
        configuration = self._syncthing.configuration(self._context.paths.folders)
        have = configuration.setup
        actions = diff(have, desired(world))
        failures = self._apply(configuration, actions) if actions else []
        if world.teams:  # an empty world is more likely a lost database than everybody's decline
            dropped = {a.id for a in actions if isinstance(a, DropFolder)}
            # also what a crash between the two, or a folder that could not be deleted, left
            failures += self._remove(dropped | set(leftovers(self._context.paths, world)))
        if any(isinstance(a, PutFolder) and is_metadata_folder(a.folder.id) for a in actions):
            written += self._documents.run()  # a new team's folder can be written only now
        self._tell(written)
        return Cycle(world, actions, failures, self._wait(failures))

    def _wait(self, failures: Sequence[KarmaError]) -> float | None:
        pause = pause_left(self._context.store, self._context.now())
        return soonest(_RETRY_S if failures or self._untold else None, self._documents.wait, pause)

    def _world(self) -> World:
        context = self._context
        discovery = "dynamic" in context.me.addresses
        with context.store.reading() as tx:
            world = read_world(tx, context.me, context.now(), discovery)
        return self._observed(world)

    def _record_pending(
        self, devices: Collection[PendingDevice], folders: Collection[PendingFolder]
    ) -> None:
        """Keep who asks to connect, and which teams invite me; what is known is not new."""
        with self._context.store.reading() as tx:
            known = state.contacts.all(tx)
            invitations = state.invitations.all(tx)
            teams = [team.id for team in state.teams.all(tx)]
        contacts = {contact.device for contact in known}
        room = limits.CONTACTS - sum(contact.answer is Answer.PENDING for contact in known)
        now = self._context.now()
        new_contacts = [
            Contact(device=d.id, name=_shown(d.name), seen=now)
            for d in devices
            if d.id not in contacts
        ][: max(0, room)]
        offered = [(f.id, f.offered_by) for f in folders]
        if not new_contacts and not new_invitations(offered, invitations, teams, now):
            return
        with self._context.store.transaction() as tx:
            state.contacts.put(tx, *new_contacts)
            answered = state.invitations.all(tx)  # meanwhile, perhaps: that holds
            state.invitations.put(tx, *new_invitations(offered, answered, teams, now))

    def _apply(self, configuration: Configuration, actions: list[Action]) -> list[KarmaError]:
        """Write all actions at once, then read back what became of them."""
        failures: list[KarmaError] = []
        puts = []
        for action in actions:
            if isinstance(action, PutFolder):
                try:
                    self._prepare(action)
                    puts.append(action.folder)
                except OSError as error:
                    failures.append(KarmaError(f"{action.folder.id} cannot be made: {error}"))
        folders = self._context.paths
        wanted = with_changes(
            configuration,
            put_devices=[a.device for a in actions if isinstance(a, PutDevice)],
            drop_devices=[a.id for a in actions if isinstance(a, DropDevice)],
            put_folders={folder: folders.folder(folder.id) for folder in puts},
            drop_folders=[a.id for a in actions if isinstance(a, DropFolder)],
        )
        wanted = with_ignored(wanted, [a.id for a in actions if isinstance(a, IgnoreDevice)])
        self._syncthing.put_configuration(wanted)
        found = self._syncthing.configuration(folders.folders)
        left = diff(found.setup, wanted.setup)
        failures += [SyncthingError(f"ReconcilerPort did not take {action}") for action in left]
        for failure in failures:
            log.warning("%s; the next cycle tries again", failure)
        return failures

    def _remove(self, folders: Collection[str]) -> list[KarmaError]:
        """Delete what is left of folders that were dropped; the library keeps its own links."""
        failures = []
        for folder in folders:
            try:
                shutil.rmtree(self._context.paths.folder(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                failures.append(KarmaError(f"{folder} cannot be deleted: {error}"))
        return failures

    def _prepare(self, action: PutFolder) -> None:
        """Make the directory, with its allow-list, before Syncthing is told of it."""
        path = self._context.paths.folder(action.folder.id)
        if is_metadata_folder(action.folder.id):
            metadata.prepare(path)
        elif action.folder.type is FolderType.SEND_ONLY:
            Outbox(path).prepare()
        else:
            Inbox(path).prepare()
        if action.folder.type is not FolderType.SEND_ONLY:
            # Syncthing makes none where it knew the folder before. It stands for "nothing is
            # missing here", so an outbox gets it only from `whole.py`, or from Syncthing
            private_dir(path / ".stfolder")

    def _tell(self, written: Sequence[Written]) -> None:
        """Have Syncthing look at documents of mine; what it did not look at waits for the next."""
        waiting = dict.fromkeys([*self._untold, *written])  # each once
        folders = self._context.paths
        there = [each for each in waiting if (folders.folder(each.folder) / each.name).exists()]
        self._untold = [each for each in there if not self._telling.tell(each.folder, [each.name])]


def _shown(name: str) -> str:
    """A name somebody chose for itself, made harmless for a terminal."""
    return "".join(c for c in name if c.isprintable())[:64] or "(no name)"
