"""Decisions made while the daemon was off hold from the moment at which Syncthing starts.

In memory nothing moves but when the test says so: here, before the first cycle.
"""

import xml.etree.ElementTree as ET  # noqa: S405 - reads only what this file wrote

from karma_sync.domain.team.subscription import Subscription
from karma_sync.syncthing.certificate import device_id
from karma_sync.syncthing.home import restrict
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def files(player: Player) -> int:
    """How many items of others lie in its folders."""
    mine = {path.name for path in player.member.outboxes()}
    found = player.member.paths.folders.glob("ks-c-*/items/*.ks")
    return sum(path.parent.parent.name not in mine for path in found)


def test_what_was_paused_or_declined_while_off_fetches_nothing(here: MemoryTown) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    for player in (b, c):
        player.member.down()
    b.move(PROJECT, Subscription.pause)
    c.move(PROJECT, Subscription.decline)
    a.member.write_session("after the pause")
    here.settle()
    for player in (b, c):
        player.member.up()
    here.network.settle()

    assert (files(b), files(c)) == (0, 0)


def test_what_was_paused_or_taken_from_a_member_while_off_does_not_leave(here: MemoryTown) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    for player in (a, b):
        player.member.offline()
    a.member.write_session("nobody has it yet")
    b.member.write_session("this neither")
    here.settle()
    for player in (a, b):
        player.member.down()
    a.remove(c, retracted=False)
    b.move(PROJECT, Subscription.pause)
    for player in (a, b):
        player.member.online()
        player.member.up()
    here.network.settle()

    assert files(c) == 0
    here.settle()
    assert (files(a), files(b)) == (0, 0), "paused at B"


def test_only_our_folders_are_restricted_and_nothing_is_widened(here: MemoryTown) -> None:
    member = here.member("alice")
    home, root = member.paths.syncthing, member.paths.folders
    own = device_id(home)
    config = home / "config.xml"
    config.write_text(
        f"<configuration><folder id='ks-c-{'a' * 26}' path='{root}/ks-c-{'a' * 26}'>"
        f"<paused>true</paused><device id='{own}'/><device id='A'/><device id='B'/></folder>"
        f"<folder id='ks-c-{'b' * 26}' path='{root}/ks-c-{'b' * 26}'><device id='A'/></folder>"
        f"<folder id='photos' path='/photos'><device id='A'/></folder></configuration>"
    )
    restrict(home, root, {f"ks-c-{'a' * 26}": {"A", "C"}})

    found = {
        folder.get("id"): (folder.findtext("paused"), [d.get("id") for d in folder.iter("device")])
        for folder in ET.parse(config).getroot()  # noqa: S314
    }
    assert found == {
        f"ks-c-{'a' * 26}": ("true", [own, "A"]),
        f"ks-c-{'b' * 26}": ("true", ["A"]),
        "photos": (None, ["A"]),
    }
    assert config.stat().st_mode & 0o777 == 0o600
