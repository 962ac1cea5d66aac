"""Keeps Syncthing's configuration equal to what the teams agreed on; the daemon's cycle.

A cycle has three phases: metadata (documents), mesh pairing (devices), device lists (folders). It
reads the whole state each time, so a wake-up carries no instruction. An idle cycle makes three
requests and writes nothing.
"""

import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
    Folder,
    FolderType,
    HearDevice,
    IgnoreDevice,
    NameDevice,
    PutDevice,
    PutFolder,
    Setup,
    desired,
    diff,
)
from karma_sync.domain.team.invitation import Answer, Contact, new_invitations
from karma_sync.domain.team.knock import without_knock
from karma_sync.domain.team.pairing_code import read_device_name
from karma_sync.domain.team.team import Team
from karma_sync.errors import KarmaError, SyncthingError
from karma_sync.files import private_dir
from karma_sync.paths import (
    FOLDER_ID,
    Paths,
    holds_documents,
    is_door,
    is_metadata_folder,
    is_removal_folder,
)
from karma_sync.runtime.timing import RETRY_S, soonest
from karma_sync.store import state
from karma_sync.store.world import pause_left, read_world
from karma_sync.syncthing.configuration import (
    Configuration,
    with_changes,
    with_ignored,
    with_name,
)
from karma_sync.syncthing.rescan import Rescan
from karma_sync.syncthing.wire import PendingDevice, PendingFolder
from karma_sync.team import departures, parting
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import folder as metadata
from karma_sync.team.documents.door_folder import DoorFolder
from karma_sync.team.door import Visitor
from karma_sync.team.exchange import DocumentExchange
from karma_sync.team.sign import Written

log = logging.getLogger(__name__)

_PARTED_FOR = timedelta(days=1)  # so long, former members may still try to connect
_NAME_CHARS = 80  # of a device's name: the device chose it


class ReconcilerPort(Protocol):
    """The calls to Syncthing that a cycle makes."""

    def configuration(self, root: Path) -> Configuration: ...
    def put_configuration(self, configuration: Configuration) -> None: ...
    def pending_devices(self) -> list[PendingDevice]: ...
    def pending_folders(self) -> list[PendingFolder]: ...
    def dismiss_device(self, device: str) -> None: ...
    def scan(self, folder: str, names: Sequence[str], /) -> None: ...


@dataclass(frozen=True)
class Cycle:
    """The result of one cycle.

    `world` is the state from which the actions were computed. `failures` are the actions that did
    not take effect; the next cycle tries them again. `again` is the number of seconds until the
    next cycle is due; None if the timer's cycle is early enough.
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
        observed: Callable[[World, Collection[str]], World],
    ) -> None:
        """`observed` adds to a world the facts that only the running daemon knows.

        It also gets the IDs of the folders that others offer and that Syncthing does not have.
        """
        self._context = context
        self._syncthing = syncthing
        self._documents = documents
        self._observed = observed
        self._rescan = Rescan(syncthing.scan)
        self._unscanned: list[Written] = []

    def run_once(self) -> Cycle:
        """Run one cycle: the three phases, then one write, or two, if they found a difference.

        Raises:
            SyncthingError: Syncthing does not answer; its configuration was not changed.
        """
        offered = self._syncthing.pending_folders()
        written = self._exchange_metadata(offered)
        world = self._world({folder.id for folder in offered})
        configuration = self._syncthing.configuration(self._context.paths.folders)
        have, want = configuration.setup, desired(world)
        devices = self._pair_devices(have, want)
        folders = self._share_folders(have, want)
        actions = [*devices, *folders]
        failures = self._apply(configuration, actions) if actions else []
        failures += self._clean(world, actions)
        if any(isinstance(a, PutFolder) and holds_documents(a.folder.id) for a in actions):
            written += self._documents.run()  # a new team's folder can be written only now
        self._request_scan(written)
        return Cycle(world, actions, failures, self._wait(failures))

    def _exchange_metadata(self, offered: Collection[PendingFolder]) -> list[Written]:
        """Phase 1, metadata: record contacts and invitations, then exchange documents.

        Returns my files that were written; Syncthing has not scanned them yet.
        """
        self._record_pending(self._syncthing.pending_devices(), offered)
        return self._documents.run()

    def _pair_devices(self, have: Setup, want: Setup) -> list[Action]:
        """Phase 2, mesh pairing: the devices to put, drop and ignore."""
        return diff(replace(have, folders=want.folders), want)

    def _share_folders(self, have: Setup, want: Setup) -> list[Action]:
        """Phase 3, device lists: the folders to put, each with its devices, and to drop."""
        paired = replace(have, devices=want.devices, ignored=want.ignored, name=want.name)
        return diff(paired, want)

    def _wait(self, failures: Sequence[KarmaError]) -> float | None:
        retry = RETRY_S if failures or self._unscanned else None
        pause = pause_left(self._context.store, self._context.now())
        return soonest(retry, self._documents.wait, pause)

    def _world(self, offered: Collection[str]) -> World:
        context = self._context
        discovery = "dynamic" in context.me.addresses
        with context.store.reading() as tx:
            world = read_world(tx, context.me, context.now(), discovery, context.port)
        return self._observed(world, offered)

    def _record_pending(
        self, devices: Collection[PendingDevice], folders: Collection[PendingFolder]
    ) -> None:
        """Record the devices that ask to connect as contacts, the folders as invitations.

        Nothing is written if all of them are recorded already.
        """
        with self._context.store.reading() as tx:
            known = state.contacts.all(tx)
            invitations = state.invitations.all(tx)
            all_teams = state.teams.all(tx)
            removals = {offer.folder: offer for offer in state.removals.all(tx)}
            formers = state.formers.all(tx)
        teams = [team.id for team in all_teams]
        self._record_removals(folders, all_teams, removals)
        heard = self._documents.hear(
            [Visitor(d.id, d.name, d.address) for d in devices],
            [(f.id, f.offered_by) for f in folders],
        )
        parted = parting.parted(all_teams, formers, self._context.now() - _PARTED_FOR)
        contacts = {contact.device for contact in known} | parted | heard
        for device in _crowd(devices, heard):
            self._syncthing.dismiss_device(device)
        room = limits.CONTACTS - sum(contact.answer is Answer.PENDING for contact in known)
        now = self._context.now()
        new_contacts = [_contact(d, now) for d in devices if d.id not in contacts]
        new_contacts = new_contacts[: max(0, room)]
        offered = [(f.id, f.offered_by) for f in folders]
        if not new_contacts and not new_invitations(offered, invitations, teams, now):
            return
        with self._context.store.transaction() as tx:
            state.contacts.put(tx, *new_contacts)
            # read again: a command may have answered one in the meantime, and its answer holds
            answered = state.invitations.all(tx)
            state.invitations.put(tx, *new_invitations(offered, answered, teams, now))

    def _record_removals(
        self,
        folders: Collection[PendingFolder],
        teams: Collection[Team],
        known: Mapping[str, state.RemovalOffer],
    ) -> None:
        """Record the offered folders that would tell me of my removal from a team."""
        mine = departures.my_removal_folders(teams, self._context.me.key)
        found: dict[str, state.RemovalOffer] = {}
        for folder in folders:
            team = mine.get(folder.id)
            sender = team.with_device(folder.offered_by) if team else None
            if team and sender and folder.id not in known:
                found[folder.id] = departures.offer_of(team, self._context.me.key)
        if found:
            with self._context.store.transaction() as tx:
                state.removals.put(tx, *found.values())

    def _apply(self, configuration: Configuration, actions: list[Action]) -> list[KarmaError]:
        """Carry out all actions, folders to drop in a write of their own, and read it all back.

        Returns an error for each folder that could not be made and each action that Syncthing did
        not take.
        """
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
        dropped = [a.id for a in actions if isinstance(a, DropFolder)]
        if dropped and len(dropped) < len(actions):
            # Syncthing sends the index of a new folder at once, and announces at the end of all
            # changes that it shares it; a peer that gets the index first ends the connection. So
            # slow changes come before (docs/syncthing.md, "Connections").
            configuration = with_changes(configuration, drop_folders=dropped)
            self._syncthing.put_configuration(configuration)
        wanted = with_changes(
            configuration,
            put_devices=[a.device for a in actions if isinstance(a, PutDevice)],
            drop_devices=[a.id for a in actions if isinstance(a, DropDevice)],
            put_folders={folder: folders.folder(folder.id) for folder in puts},
            drop_folders=dropped,
        )
        wanted = with_ignored(
            wanted,
            [a.id for a in actions if isinstance(a, IgnoreDevice)],
            [a.id for a in actions if isinstance(a, HearDevice)],
        )
        for action in actions:
            if isinstance(action, NameDevice):
                wanted = with_name(wanted, action.name)
        self._syncthing.put_configuration(wanted)
        found = self._syncthing.configuration(folders.folders)
        left = diff(found.setup, wanted.setup)
        failures += [SyncthingError(f"Syncthing did not take {action}") for action in left]
        for failure in failures:
            log.warning("%s; the next cycle tries again", failure)
        return failures

    def _clean(self, world: World, actions: Sequence[Action]) -> list[KarmaError]:
        """Delete the directories of dropped folders; the library keeps links of its own.

        Nothing is deleted while no team is known, not even a former one: a lost database is then
        more likely.
        """
        dropped = {action.id for action in actions if isinstance(action, DropFolder)}
        if world.is_blank:
            dropped = {folder for folder in dropped if is_door(folder)}
        # leftovers: the daemon crashed before it deleted them, or could not delete them
        failures = []
        for folder in dropped | set(leftovers(self._context.paths, world)):
            try:
                shutil.rmtree(self._context.paths.folder(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                failures.append(KarmaError(f"{folder} cannot be deleted: {error}"))
        return failures

    def _prepare(self, action: PutFolder) -> None:
        """Make the folder's directory with its allow-list, before Syncthing knows the folder."""
        path = self._context.paths.folder(action.folder.id)
        prepare_folder(path, action.folder)
        if action.folder.type is not FolderType.SEND_ONLY:
            # Syncthing makes no marker where it knew the folder before. A marker means "no file is
            # missing here", so only `health/integrity.py` or Syncthing makes an outbox's marker
            private_dir(path / ".stfolder")

    def _request_scan(self, written: Sequence[Written]) -> None:
        """Have Syncthing scan my documents; the next cycle asks again for those it did not scan."""
        waiting = dict.fromkeys([*self._unscanned, *written])  # each once
        folders = self._context.paths
        found = [each for each in waiting if (folders.folder(each.folder) / each.name).exists()]
        self._unscanned = [
            each for each in found if not self._rescan.request(each.folder, [each.name])
        ]


def prepare_folder(path: Path, folder: Folder) -> None:
    """Make a folder's directory with the allow-list of its kind."""
    if is_metadata_folder(folder.id):
        metadata.prepare(path)
    elif is_door(folder.id):
        DoorFolder(path).prepare()
    elif is_removal_folder(folder.id):
        metadata.prepare(path, departures.IGNORES)
    elif folder.type is FolderType.SEND_ONLY:
        Outbox(path).prepare()
    else:
        Inbox(path).prepare()


def leftovers(paths: Paths, world: World) -> list[str]:
    """Sorted ids of folders of channels and doors on disk that I do not have any more.

    They belong to channels that are closed, and still hold what was withdrawn or left; or to teams
    that I left. The list has doors alone while no team is known: a lost database is then more
    likely.
    """
    if not paths.folders.is_dir():
        return []
    is_open = {channel.id for channel in (*outboxes(world), *inboxes(world))}
    is_open |= {folder for folder, _ in world.doors}
    is_open |= {notice.folder for notice in world.notices}
    gone = parting.leftover_metadata(world.teams, world.former)
    gone -= {folder for folder, _ in world.fetching}
    found = (path.name for path in paths.folders.iterdir() if FOLDER_ID.fullmatch(path.name))
    closed = (n for n in found if n not in is_open and (n in gone or not is_metadata_folder(n)))
    return sorted(n for n in closed if not world.is_blank or is_door(n))


def _crowd(devices: Collection[PendingDevice], heard: Collection[str]) -> list[str]:
    """The devices to dismiss of very many that dial: the oldest without an invitation code.

    They are listed again when they dial again.
    """
    strangers = sorted((d for d in devices if d.id not in heard), key=lambda d: d.time)
    return [d.id for d in strangers[: max(0, len(devices) - limits.PENDING_DEVICES)]]


def _contact(device: PendingDevice, now: datetime) -> Contact:
    tag, key = read_device_name(without_knock(device.name))
    return Contact(device=device.id, name=_printable(tag), seen=now, key=key)


def _printable(name: str) -> str:
    """A device's own name, without characters that could control a terminal."""
    return "".join(c for c in name if c.isprintable())[:_NAME_CHARS] or "(no name)"
