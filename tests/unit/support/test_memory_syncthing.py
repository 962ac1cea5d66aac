"""Abilities of the in-memory Syncthing alone: to be cut off, to count requests, to keep still."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.errors import SyncthingUnreachable
from karma_sync.mesh.connections import Connected
from karma_sync.syncthing.configuration import with_changes
from karma_sync.syncthing.port import SyncthingPort
from tests.support.builders import ALICE, BOB, CAROL, device_of
from tests.support.memory_ignores import Ignores
from tests.support.memory_network import Network
from tests.support.memory_syncthing import MemorySyncthing

FOLDER = "ks-c-files"
ARRIVED = {"ItemFinished"}


class Town:
    """Members in memory; each knows all others, and the first sends FOLDER to them."""

    def __init__(self, where: Path, *tags: str, waits: bool = False) -> None:
        self.where = where
        self.network = Network(waits=waits)
        self.members = {tag: MemorySyncthing(self.network, device_of(tag), tag) for tag in tags}
        first = device_of(tags[0])
        for tag, member in self.members.items():
            others = [self.device(other) for other in tags if other != tag]
            receives = tag != tags[0]
            folder = Folder(
                FOLDER,
                FolderType.RECEIVE_ONLY if receives else FolderType.SEND_ONLY,
                frozenset({first} if receives else {other.id for other in others}),
            )
            wanted = with_changes(
                member.configuration(where / tag),
                put_devices=others,
                put_folders={folder: where / tag / FOLDER},
            )
            member.put_configuration(wanted)
        self.network.settle()

    def device(self, tag: str) -> Device:
        return Device(device_of(tag), tag, (self.members[tag].address,))

    def path(self, tag: str, name: str) -> Path:
        return self.where / tag / FOLDER / name

    def write(self, name: str, text: str) -> None:
        """Write a file at the first member, and have it scanned."""
        first = next(iter(self.members))
        self.path(first, name).write_text(text)
        self.members[first].scan(FOLDER, [name])


def test_it_is_what_the_parts_of_the_daemon_ask_for(tmp_path: Path) -> None:
    """mypy sees that each part's own view of Syncthing is met."""
    found = Town(tmp_path, ALICE, BOB).members[ALICE]
    port: SyncthingPort = found
    link: Connected = found.connections()[device_of(BOB)]

    assert port is found
    assert link.connected


def test_who_is_cut_off_gets_everything_once_it_is_back(tmp_path: Path) -> None:
    """Meanwhile nobody is connected with it, and the others go on."""
    town = Town(tmp_path, ALICE, BOB, CAROL)
    town.network.offline(device_of(BOB))
    town.write("file", "text")
    town.network.settle()

    assert not any(device_of(BOB) in link for link in town.network.links)
    assert town.path(CAROL, "file").read_text() == "text"
    assert not town.path(BOB, "file").exists()
    town.network.online(device_of(BOB))
    town.network.settle()
    assert town.path(BOB, "file").read_text() == "text"


def test_a_file_that_nobody_has_who_is_here_waits_for_who_has_it(tmp_path: Path) -> None:
    """It is an error of that file until the other is back."""
    town = Town(tmp_path, ALICE, BOB)
    bob = town.members[BOB]
    town.path(BOB, "away").parent.rename(tmp_path / "away")
    town.write("file", "text")
    town.network.settle()
    town.network.offline(device_of(ALICE))
    (tmp_path / "away").rename(town.path(BOB, "file").parent)
    bob.scan(FOLDER)
    town.network.settle()

    [error] = bob.folder_errors(FOLDER)
    assert (error.path, "no connected device" in error.error) == ("file", True)
    assert bob.folder_status(FOLDER).pull_errors == 1
    town.network.online(device_of(ALICE))
    town.network.settle()
    assert town.path(BOB, "file").read_text() == "text"
    assert bob.folder_errors(FOLDER) == []


def test_requests_are_counted_and_those_that_write_apart(tmp_path: Path) -> None:
    """To look at everything writes nothing."""
    alice = Town(tmp_path, ALICE, BOB).members[ALICE]
    alice.requests.clear()
    alice.pending_devices()
    alice.pending_folders()
    configuration = alice.configuration(tmp_path / ALICE)

    assert alice.writes == 0
    assert alice.requests.total() == 3
    alice.put_configuration(configuration)
    alice.restart(FOLDER)
    alice.scan(FOLDER, [f"name-{number}" for number in range(1001)])
    assert alice.writes == 5


def test_nothing_happens_before_the_network_settles(tmp_path: Path) -> None:
    """And what happens then is the same each time."""
    told = []
    for attempt in ("one", "two"):
        town = Town(tmp_path / attempt, ALICE, BOB)
        bob = town.members[BOB]
        bob.events(0, 0, {"ItemFinished", "StateChanged", "RemoteIndexUpdated"})
        town.write("file", "text")
        town.write("other", "text")
        assert bob.folder_status(FOLDER).need_items == 0
        town.network.settle()
        told.append(bob.events(0, 0, {"ItemFinished", "StateChanged", "RemoteIndexUpdated"}))

    assert told[0] == told[1]
    assert told[0]


def test_what_nobody_scanned_is_found_within_the_hour(tmp_path: Path) -> None:
    """A receiver's folder is; a sender's is looked at on request only."""
    town = Town(tmp_path, ALICE, BOB)
    for tag in (ALICE, BOB):
        town.path(tag, "unseen").write_text(tag)
    town.network.an_hour_passes()

    assert town.members[BOB].folder_status(FOLDER).receive_only_changed == 1
    assert town.members[ALICE].folder_status(FOLDER).global_files == 0


def test_one_that_was_shut_down_answers_nothing_until_it_is_started(tmp_path: Path) -> None:
    """The others see it go, and come."""
    town = Town(tmp_path, ALICE, BOB)
    alice, bob = town.members[ALICE], town.members[BOB]
    alice.shutdown()

    with pytest.raises(SyncthingUnreachable):
        alice.ping()
    assert not bob.connections()[alice.device].connected
    alice.start()
    town.network.settle()
    assert bob.connections()[alice.device].connected


def test_one_that_forgot_its_index_begins_anew_and_loses_no_file(tmp_path: Path) -> None:
    """The files that it has count as new; the others do not get them twice."""
    town = Town(tmp_path, ALICE, BOB)
    alice = town.members[ALICE]
    town.write("file", "text")
    town.network.settle()
    alice.shutdown()
    alice.forget_index()
    alice.start()
    town.write("other", "text")
    town.network.settle()

    assert town.path(BOB, "file").read_text() == town.path(BOB, "other").read_text() == "text"
    assert alice.needed(FOLDER) == []
    assert town.members[BOB].folder_status(FOLDER).need_items == 0


def test_a_device_is_dialled_where_it_is_and_nowhere_else(tmp_path: Path) -> None:
    """Without discovery nobody finds a `dynamic` one; it is enough if one of two knows where."""
    town = Town(tmp_path, ALICE, BOB)
    alice, bob = town.members[ALICE], town.members[BOB]
    for member, other in ((alice, BOB), (bob, ALICE)):
        nowhere = replace(town.device(other), addresses=("dynamic",))
        configuration = member.configuration(tmp_path)
        member.put_configuration(with_changes(configuration, put_devices=[nowhere]))
    town.network.offline(bob.device)
    town.network.online(bob.device)
    town.network.settle()
    assert not town.network.links

    configuration = with_changes(bob.configuration(tmp_path), put_devices=[town.device(ALICE)])
    bob.put_configuration(configuration)
    town.network.settle()
    assert alice.connections()[bob.device].type == "tcp-server"


def test_who_waits_for_an_event_is_woken_by_it(tmp_path: Path) -> None:
    """In a network that waits: for tests that have threads."""
    town = Town(tmp_path, ALICE, BOB, waits=True)
    bob = town.members[BOB]
    bob.events(0, 0, ARRIVED)
    heard: list[str | None] = []
    waiting = threading.Thread(
        target=lambda: heard.extend(event.item for event in bob.events(0, 60, ARRIVED))
    )
    waiting.start()
    town.write("file", "text")
    town.network.settle()
    waiting.join(60)

    assert heard == ["file"]


@pytest.mark.parametrize(
    ("patterns", "kept_out", "kept_in"),
    [
        ("", [], ["a", "a/b"]),
        ("a", ["a", "a/b", "c/a", "c/a/b"], ["b", "ab"]),
        ("/a", ["a", "a/b"], ["c/a"]),
        ("a/", ["a/b", "c/a/b"], ["a"]),
        ("*.x", ["a.x", "d/a.x"], ["a.xy"]),
        ("/d/*.x", ["d/a.x"], ["d/e/a.x", "a.x"]),
        ("/d/**.x", ["d/a.x", "d/e/a.x"], ["a.x"]),
        ("?", ["a", "d/b"], ["ab"]),
        ("[ab]", ["a", "b"], ["c"]),
        ("[!ab]", ["c"], ["a"]),
        ("{a,b}.x", ["a.x", "b.x"], ["c.x"]),
        ("(?i)A", ["a", "A"], ["b"]),
        ("// a\n\nb", ["b"], ["a"]),
        ("!a\n*", ["b", "d/b"], ["a", "d/a"]),
        ("*\n!a", ["a"], []),
    ],
)
def test_patterns_are_read_as_syncthing_reads_them(
    patterns: str, kept_out: list[str], kept_in: list[str]
) -> None:
    """The first pattern that matches decides; what matches none is in."""
    ignores = Ignores(patterns)

    assert [name for name in kept_out if not ignores.match(name)] == []
    assert [name for name in kept_in if ignores.match(name)] == []
