"""The plan: the setup that Syncthing should have for any world, and the actions to reach it."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given

from karma_sync.domain.mesh.channels import (
    Device,
    Kept,
    TakenBack,
    World,
    channels,
    inboxes,
    kept_channels,
    outboxes,
    taken_back,
)
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
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import MemberStatus
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    PROJECT,
    answer,
    device_of,
    examples,
    key_of,
    member_of,
    team_of_all,
)
from tests.support.worlds import ME, OTHER, STRANGER, applied, starts, worlds

TEAM = team_of_all(ALICE, BOB, CAROL)
OFFERED, ACCEPTED, PAUSED, DECLINED = Status


def world_of(*said: Subscription, teams: tuple[Team, ...] = (TEAM,)) -> World:
    return World(key=ME, teams=teams, subscriptions=said)


def folders_of(world: World, project: str = PROJECT) -> dict[str, Folder]:
    """My folders for one project, by the tag of the member who sends in it."""
    found = {f.id: f for f in desired(world).folders}
    here = [c for c in channels(world) if c.project == project and c.id in found]
    return {c.owner.tag: found[c.id] for c in here}


@examples(150)
@given(starts(), worlds())
def test_one_pass_reaches_the_wanted_setup_from_any_other_and_the_next_does_nothing(
    have: Setup, world: World
) -> None:
    want = desired(world)
    arrived = applied(have, diff(have, want))

    assert replace(arrived, ignored=want.ignored, heard=want.heard) == want
    assert want.ignored <= arrived.ignored <= want.ignored | have.ignored
    assert want.heard.isdisjoint(arrived.ignored)
    assert diff(arrived, want) == []


def rank(action: Action) -> int:
    match action:
        case DropFolder():
            return 0
        case PutDevice():
            return 1
        case PutFolder(folder):
            return 2 if folder.paused else 3
        case DropDevice():
            return 4
        case IgnoreDevice():
            return 5
        case HearDevice():
            return 6
        case NameDevice():
            return 7


@examples(100)
@given(starts(), worlds())
def test_removals_come_first_then_devices_then_pauses_then_the_rest(
    have: Setup, world: World
) -> None:
    ranks = [rank(action) for action in diff(have, desired(world))]

    assert ranks == sorted(ranks)


@examples(60)
@given(worlds())
def test_the_plan_does_not_depend_on_the_order_of_the_world(world: World) -> None:
    backwards = replace(
        world, teams=world.teams[::-1], subscriptions=tuple(reversed(world.subscriptions))
    )

    assert desired(backwards) == desired(world)


def standing_of(world: World, team: Team, tag: str, project: str) -> Subscription:
    unsaid = Subscription(team=team.id, member=key_of(tag).public, project=project)
    same = ("team", "member", "project")
    said = (
        s for s in world.subscriptions if all(getattr(s, n) == getattr(unsaid, n) for n in same)
    )
    return next(said, unsaid)


def wanted_channel(world: World, team: Team, tag: str, project: str) -> Folder | None:
    """The folder of one member's channel by the answers, except its id: the rules once more."""
    mine, theirs = (standing_of(world, team, who, project) for who in (ALICE, tag))
    member = team.member(key_of(tag).public)
    if member is None or not member.active or not theirs.sends:
        return None
    if tag != ALICE and not mine.receives:
        return None
    audience = frozenset(
        m.device
        for m in team.members
        if m.active and m.tag != ALICE
        if standing_of(world, team, m.tag, project).status is not DECLINED
    )
    kind = FolderType.SEND_ONLY if tag == ALICE else FolderType.RECEIVE_ONLY
    return Folder("", kind, audience, world.halted or mine.status is PAUSED)


@examples(150)
@given(worlds())
def test_the_channels_are_exactly_those_of_the_answers(world: World) -> None:
    wanted = {
        (team.id, project.identity, member.tag): folder
        for team in world.teams
        for project, member in product(team.projects, team.members)
        if (folder := wanted_channel(world, team, member.tag, project.identity))
    }
    found = {f.id: f for f in desired(world).folders if f.id.startswith("ks-c-")}
    named = {c.id: (c.team.id, c.project, c.owner.tag) for c in channels(world)}

    assert {named[name]: replace(f, id="") for name, f in found.items()} == wanted
    assert len(found) == len(wanted)


@examples(60)
@given(worlds())
def test_every_team_always_has_its_metadata_folder_with_all_members(world: World) -> None:
    wanted = {
        Folder(
            metadata_folder(team.id),
            FolderType.SEND_RECEIVE,
            frozenset(m.device for m in team.members if m.tag != ALICE),
        )
        for team in world.teams
    }
    offered = {
        Folder(name, FolderType.SEND_RECEIVE, frozenset({device}))
        for name, device in world.fetching
    }
    assert {f for f in desired(world).folders if f.id.startswith("ks-m-")} == wanted | offered


@examples(60)
@given(worlds())
def test_the_devices_are_those_of_my_teams_and_pairings_and_never_my_own(world: World) -> None:
    members = {m.device for team in world.teams for m in team.members}
    wanted = (members - {device_of(ALICE)}) | {d.id for d in world.paired}

    assert {d.id for d in desired(world).devices} == wanted


def test_folders_are_shared_with_members_who_have_not_answered_but_not_after_a_decline() -> None:
    world = world_of(answer(TEAM, ALICE), answer(TEAM, BOB, DECLINED))

    assert {tag: f.devices for tag, f in folders_of(world).items()} == {ALICE: {device_of(CAROL)}}


@pytest.mark.parametrize("bobs", [OFFERED, ACCEPTED, PAUSED])
def test_an_accept_at_a_peer_changes_none_of_my_lists(bobs: Status) -> None:
    asked = world_of(answer(TEAM, ALICE, direction=Direction.SEND))
    answered = replace(asked, subscriptions=(*asked.subscriptions, answer(TEAM, BOB, bobs)))

    assert desired(answered) == desired(asked)


@pytest.mark.parametrize(
    ("direction", "sends", "receives"),
    [
        (Direction.RECEIVE, [], [BOB]),
        (Direction.SEND, [ALICE], []),
        (Direction.BOTH, [ALICE], [BOB]),
    ],
)
def test_nothing_is_sent_to_receive_only_and_nothing_fetched_to_send_only(
    direction: Direction, sends: list[str], receives: list[str]
) -> None:
    world = world_of(answer(TEAM, ALICE, direction=direction), answer(TEAM, BOB))

    assert [c.owner.tag for c in outboxes(world)] == sends
    assert [c.owner.tag for c in inboxes(world)] == receives
    assert set(folders_of(world)) == {*sends, *receives}


def test_a_pause_stops_my_folders_in_this_project_of_this_team_and_no_others() -> None:
    home = team_of_all(ALICE, BOB, name="home", projects=(PROJECT, OTHER))
    said = [answer(TEAM, ALICE), answer(TEAM, BOB), answer(home, ALICE, PAUSED), answer(home, BOB)]
    said += [answer(home, tag, project=OTHER) for tag in (ALICE, BOB)]
    world = world_of(*said, teams=(TEAM, home))

    paused = {f.id for f in desired(world).folders if f.paused}
    assert paused == {c.id for c in channels(world) if (c.team, c.project) == (home, PROJECT)}
    assert len(paused) == 2


def test_a_global_pause_stops_every_channel_and_no_metadata_folder() -> None:
    world = replace(world_of(answer(TEAM, ALICE), answer(TEAM, BOB)), halted=True)

    assert {f.id for f in desired(world).folders if not f.paused} == {metadata_folder(TEAM.id)}


def test_a_member_who_was_only_added_gets_the_metadata_and_no_channel() -> None:
    carol = member_of(CAROL, status=MemberStatus.ADDED)
    team = TEAM.changed(members=(*TEAM.members[:2], carol))
    world = world_of(*(answer(team, tag) for tag in (ALICE, BOB, CAROL)), teams=(team,))

    [metadata] = [f for f in desired(world).folders if f.id == metadata_folder(team.id)]
    assert metadata.devices == {device_of(BOB), device_of(CAROL)}
    lists = {tag: f.devices for tag, f in folders_of(world).items()}
    assert lists == {ALICE: {device_of(BOB)}, BOB: {device_of(BOB)}}


def test_two_teams_that_share_a_project_have_channels_of_their_own() -> None:
    home = team_of_all(ALICE, BOB, name="home")
    said = [answer(team, tag) for team, tag in product([TEAM, home], [ALICE, BOB])]

    assert len({c.id for c in channels(world_of(*said, teams=(TEAM, home)))}) == 4


def test_answers_of_unknown_teams_members_or_projects_open_no_channel() -> None:
    foreign = answer(TEAM, BOB).changed(team="another")
    said = answer(TEAM, ALICE, project=OTHER), answer(TEAM, "frank.pc"), foreign

    assert list(channels(world_of(*said))) == []


def test_a_channel_that_is_opened_again_is_another_folder() -> None:
    lives = set()
    for shared, accepted in product([1, 11, 111], repeat=2):
        project = TEAM.projects[0].changed(incarnation=shared)
        team = TEAM.changed(projects=(project,))
        sub = answer(team, ALICE).changed(incarnation=accepted)
        lives |= {c.id for c in channels(world_of(sub, teams=(team,)))}

    assert len(lives) == 9


def test_a_roster_overrides_a_pairing_about_a_device() -> None:
    team = team_of_all(ALICE).changed(
        members=(member_of(ALICE), member_of(BOB, "tcp://10.0.0.2:22000"))
    )
    paired = Device(device_of(BOB), "who knows", ("tcp://10.6.6.6:22000",))
    world = replace(world_of(teams=(team,)), paired=frozenset({paired, STRANGER}))
    bob = Device(device_of(BOB), BOB, ("tcp://10.0.0.2:22000",))

    assert desired(world).devices == {bob, STRANGER}
    # who dials me is not dialled
    answered = replace(world, answered=frozenset({device_of(BOB)}))
    assert desired(answered).devices == {replace(bob, addresses=("dynamic",)), STRANGER}


def test_who_dials_me_is_not_dialled_in_no_team_either() -> None:
    leader = replace(STRANGER, addresses=("tcp://10.0.0.2:22000", "dynamic"))
    world = replace(world_of(), paired=frozenset({leader}))

    assert leader in desired(world).devices
    dials = replace(world, answered=frozenset({leader.id}))
    assert replace(leader, addresses=("dynamic",)) in desired(dials).devices


def test_a_decline_keeps_nothing_and_other_answers_keep_their_channel() -> None:
    said = answer(TEAM, ALICE, DECLINED), answer(TEAM, BOB, DECLINED), answer(TEAM, CAROL, PAUSED)
    (channel,) = channels(world_of(*said))

    assert kept_channels(world_of(*said)) == {
        Kept(TEAM.id, PROJECT, BOB),
        Kept(TEAM.id, PROJECT, CAROL, (channel.id,)),
    }


def test_a_channel_that_is_opened_again_keeps_nothing_of_the_earlier_one() -> None:
    before = answer(TEAM, BOB)
    after = before.changed(incarnation=before.incarnation + 1)

    assert kept_channels(world_of(before)).isdisjoint(kept_channels(world_of(after)))


def test_single_items_go_where_no_channel_tells_of_them() -> None:
    bob = answer(TEAM, BOB).changed(retracted=("a" * 32,))
    gone = TakenBack(TEAM.id, PROJECT, BOB, ("a" * 32,))
    closed = (
        world_of(bob.changed(direction=Direction.RECEIVE)),
        replace(world_of(bob), teams=(TEAM.unshare(PROJECT),)),
        replace(world_of(bob), teams=(TEAM.leave(key_of(BOB).public, 1, retracted=False),)),
        replace(world_of(bob), teams=(TEAM.dissolve(),)),
    )

    assert [taken_back(world) for world in closed] == [{gone}] * len(closed)
    mine = answer(TEAM, ALICE)
    assert taken_back(world_of(bob, mine)) == taken_back(world_of(bob.pause(), mine)) == set()
    assert taken_back(world_of(bob, mine.decline())) == {gone}


def test_a_folder_names_only_devices_that_are_wanted_too() -> None:
    # read_world() drops a pairing after 24 hours, while the invitation it brought still waits
    world = replace(world_of(), fetching=frozenset({("ks-m-" + "a" * 26, STRANGER.id)}))
    want = desired(world)

    assert applied(
        Setup(frozenset(), frozenset()), diff(Setup(frozenset(), frozenset()), want)
    ) == (want)


def test_an_invitation_is_fetched_from_everybody_who_offers_it() -> None:
    friend = Device(device_of(BOB), "bob", ("dynamic",))
    name = "ks-m-" + "a" * 26
    offers = frozenset({(name, STRANGER.id), (name, friend.id)})
    world = replace(world_of(), paired=frozenset({STRANGER, friend}), fetching=offers)

    (folder,) = (f for f in desired(world).folders if f.id == name)
    assert folder.devices == {STRANGER.id, friend.id}
