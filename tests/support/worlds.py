"""Worlds to plan for, by hypothesis, and the tiniest Syncthing to carry a plan out on."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from hypothesis import strategies as st

from karma_sync.domain.mesh.channels import Device, World
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
)
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import MemberStatus
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    PROJECT,
    answer,
    device_of,
    key_of,
    team_of_all,
)

OTHER = "example.org/acme/tools"
TAGS = [ALICE, BOB, CAROL, "dave.pi", "erin.nas"]
ME = key_of(ALICE).public
STRANGER = Device(device_of("frank.pc"), "frank.pc", ("dynamic",))


@st.composite
def teams(draw: st.DrawFn) -> Team:
    """Me and up to four others, some of them only added, with up to two projects."""
    tags = draw(st.lists(st.sampled_from(TAGS[1:]), max_size=4, unique=True))
    projects = draw(st.lists(st.sampled_from([PROJECT, OTHER]), max_size=2, unique=True))
    leader = draw(st.sampled_from([ALICE, *tags]))
    order = [leader, *(t for t in [ALICE, *tags] if t != leader)]
    name = draw(st.sampled_from(["backend", "frontend", "home"]))
    team = team_of_all(*order, name=name, projects=tuple(projects))
    statuses = st.sampled_from([MemberStatus.ACTIVE, MemberStatus.ACTIVE, MemberStatus.ADDED])
    members = (
        m.changed(status=draw(statuses)) if m.tag not in {ALICE, leader} else m
        for m in team.members
    )
    return team.changed(members=tuple(members))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to three teams of mine, with whatever answers; what is not answered may be unsaid."""
    mine = draw(st.lists(teams(), max_size=3, unique_by=lambda t: t.id))
    said: list[Subscription] = []
    for team in mine:
        for project, member in product([PROJECT, OTHER], team.members):
            status = draw(st.sampled_from([*Status, None]))
            if status is None:
                continue
            sub = answer(team, member.tag, status, draw(st.sampled_from(Direction)), project)
            said.append(sub.changed(incarnation=draw(st.integers(1, 3))))
    fetching = draw(st.sampled_from([frozenset(), frozenset({("ks-m-" + "a" * 26, STRANGER.id)})]))
    paired = bool(fetching) or draw(st.booleans())
    return World(
        key=ME,
        teams=tuple(mine),
        subscriptions=tuple(said),
        paired=frozenset({STRANGER} if paired else ()),
        fetching=fetching,
        halted=draw(st.sampled_from([False, False, True])),
        answered=draw(st.sampled_from([frozenset(), frozenset({device_of(BOB)})])),
        ignored=draw(st.sampled_from([frozenset(), frozenset({STRANGER.id, device_of(CAROL)})])),
        refused=draw(st.sampled_from([frozenset(), frozenset({("ks-m-declined", STRANGER.id)})])),
        doors=draw(st.sampled_from([frozenset(), frozenset({("ks-d-" + "a" * 26, STRANGER.id)})])),
        heard=draw(st.sampled_from([frozenset(), frozenset({device_of("hand.made")})])),
        name=draw(st.sampled_from(["alice.mbp ks0.A", "alice.mbp ks0.A ks1.B.1"])),
    )


def _damaged(folder: Folder) -> st.SearchStrategy[Folder | None]:
    alone: frozenset[str] = frozenset()
    others = [t for t in FolderType if t is not folder.type]
    return st.sampled_from(
        [
            folder,
            None,
            replace(folder, type=others[0]),
            replace(folder, paused=not folder.paused),
            replace(folder, sound=False),
            replace(folder, devices=alone),
        ]
    )


@st.composite
def starts(draw: st.DrawFn) -> Setup:
    """A setup that Syncthing may have: another world's, damaged and with leftovers."""
    want = desired(draw(worlds()))
    folders = {draw(_damaged(f)) for f in sorted(want.folders, key=lambda f: f.id)} - {None}
    devices = {
        draw(st.sampled_from([d, replace(d, addresses=("tcp://10.0.0.9:1",)), None]))
        for d in sorted(want.devices)
    } - {None}
    known = frozenset(d for d in devices if d)
    names = {d.id for d in known}
    left = Folder("ks-c-" + "z" * 26, FolderType.SEND_ONLY, frozenset())
    found = {replace(f, devices=frozenset(f.devices & names)) for f in folders if f}
    ignored = draw(st.sampled_from([frozenset(), frozenset({device_of("hand.made")})]))
    return Setup(known, frozenset(found | {left}), ignored)


def applied(have: Setup, actions: Iterable[Action]) -> Setup:
    """The setup after these actions, as Syncthing makes it: unknown devices leave a folder.

    See docs/syncthing.md, "Configuration".
    """
    devices = {d.id: d for d in have.devices}
    folders = {f.id: f for f in have.folders}
    listed = replace(have, devices=frozenset(), folders=frozenset())
    for action in actions:
        listed = _listed(listed, action)
        match action:
            case PutDevice(device):
                devices[device.id] = device
            case DropDevice(gone):
                del devices[gone]
            case DropFolder(gone):
                del folders[gone]
            case PutFolder(folder):
                folders[folder.id] = folder
        for name, folder in folders.items():
            known = frozenset(folder.devices & devices.keys())
            folders[name] = replace(folder, devices=known)
    return replace(listed, devices=frozenset(devices.values()), folders=frozenset(folders.values()))


def _listed(have: Setup, action: Action) -> Setup:
    """The same with other ignored devices, or another name of our own device."""
    match action:
        case PutDevice(device):
            return replace(have, ignored=have.ignored - {device.id})
        case IgnoreDevice(unwanted):
            return replace(have, ignored=have.ignored | {unwanted})
        case HearDevice(heard):
            return replace(have, ignored=have.ignored - {heard})
        case NameDevice(name):
            return replace(have, name=name)
    return have
