"""The effect of each answer, and of each end of a membership, on the disks of both sides.

Three members send and receive one project. One of them changes how it stands to it; then the
folders on the disks, those of Syncthing, and what each can read are compared with the row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from karma_sync.domain.team.direction import AfterRemoval, Direction
from karma_sync.domain.team.subscription import Subscription
from karma_sync.service import membership
from karma_sync.store import state
from tests.support.harness import PROJECT
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


@dataclass(frozen=True)
class Row:
    """The expected state afterwards, as the member that answered sees it.

    `outbox` and `inboxes`: whether those folders are there, and are `paused`. `sent`, `received`:
    whether earlier sessions stay, at the others and here. `leaves` and `arrives`: whether new
    sessions do.
    """

    outbox: bool = False
    inboxes: bool = False
    paused: bool = False
    sent: bool = True
    received: bool = True
    leaves: bool = False
    arrives: bool = False


def moves(change: Callable[[Subscription], Subscription]) -> Callable[[Player, Player], None]:
    return lambda leader, me: me.move(PROJECT, change)


def to(direction: Direction) -> Callable[[Subscription], Subscription]:
    return lambda mine: mine.change(direction, mine.content)


def retracted(mine: Subscription) -> Subscription:
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    return mine.change(Direction.RECEIVE, mine.content).retract(now_ms)


def types(*args: str) -> Callable[[Player, Player], None]:
    def run(leader: Player, me: Player) -> None:
        me.member.run(*args, "--yes")

    return run


def keeps_then_removes(leader: Player, me: Player) -> None:
    with leader.app() as app:
        membership.set_policy(app.state, app.me, AfterRemoval.KEEP, None)
    leader.remove(me, retracted=False)


ROWS = {
    "accepted": (
        moves(lambda mine: mine),
        Row(outbox=True, inboxes=True, leaves=True, arrives=True),
    ),
    "paused": (moves(Subscription.pause), Row(outbox=True, inboxes=True, paused=True)),
    "only receives": (moves(to(Direction.RECEIVE)), Row(inboxes=True, arrives=True)),
    "only receives, retracted": (moves(retracted), Row(inboxes=True, arrives=True, sent=False)),
    "only sends": (moves(to(Direction.SEND)), Row(outbox=True, leaves=True)),
    "declined": (types("decline", PROJECT), Row(sent=False)),
    "declined, purged": (types("decline", PROJECT, "--purge"), Row(sent=False, received=False)),
    "left": (types("team", "leave"), Row(sent=False)),
    "left, shared kept": (types("team", "leave", "--keep-shared"), Row()),
    "removed": (
        lambda leader, me: leader.remove(me, retracted=False),
        Row(received=False),
    ),
    "removed, retracted": (
        lambda leader, me: leader.remove(me, retracted=True),
        Row(received=False, sent=False),
    ),
    "removed, policy keep": (keeps_then_removes, Row()),
    "project unshared": (
        lambda leader, me: leader.member.run("project", "unshare", PROJECT, "--yes"),
        Row(),
    ),
    "team dissolved": (
        lambda leader, me: leader.member.run("team", "dissolve", "--yes"),
        Row(),
    ),
}


def channels(player: Player) -> tuple[set[str], set[str]]:
    """The outboxes, and the inboxes; those of Syncthing are those on the disk."""
    folders = {f: kind for f, kind in player.member.folders().items() if f.startswith("ks-c-")}
    on_disk = {p.name for p in player.member.paths.folders.iterdir() if p.name.startswith("ks-c-")}
    assert folders.keys() == on_disk
    own = {f for f, kind in folders.items() if kind == "sendonly"}
    return own, folders.keys() - own


def rest(here: MemoryTown) -> None:
    for _ in range(2):
        here.settle()
        here.an_hour_passes()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_holds_on_the_disks_of_both_sides(here: MemoryTown, name: str) -> None:
    act, row = ROWS[name]
    leader, me, other = team_of(here, "alice", "bob", "carol")
    mine, theirs = me.member.write_session("mine"), other.member.write_session("theirs")
    rest(here)
    (outbox,), inboxes = channels(me)
    act(leader, me)
    rest(here)
    new, new_of_other = me.member.write_session("new"), other.member.write_session("also new")
    rest(here)

    assert channels(me) == (_if(row.outbox, {outbox}), _if(row.inboxes, inboxes))
    entries = {f["id"]: f["paused"] for f in me.member.rest("config/folders")}
    assert {entries[f] for f in (*channels(me)[0], *channels(me)[1])} <= {row.paused}
    assert me.member.holds(theirs) is row.received
    assert me.member.holds(new_of_other) is row.arrives
    for each in (leader, other):
        assert each.member.holds(mine) is row.sent
        assert each.member.holds(new) is row.leaves
        has_inbox = outbox in channels(each)[1]
        assert has_inbox is row.outbox, "the others keep an inbox while there is an outbox"


def _if(is_so: bool, folders: set[str]) -> set[str]:
    return folders if is_so else set()


def test_who_has_not_answered_has_no_folder_and_nothing_flows_to_it(here: MemoryTown) -> None:
    leader, other = team_of(here, "alice", "bob")
    quiet = Player(here.member("carol").up())
    leader.admit(quiet)
    rest(here)
    session, own = other.member.write_session("theirs"), quiet.member.write_session("own")
    rest(here)

    assert channels(quiet) == (set(), set())
    assert not quiet.member.holds(session)
    assert all(each.member.peek(own.id) is None for each in (leader, other))
    (outbox,), _ = channels(other)
    listed = {f["id"]: f["devices"] for f in other.member.rest("config/folders")}[outbox]
    assert quiet.me.device in {each["deviceID"] for each in listed}, "an accept changes no list"


def test_who_left_deletes_what_it_received_after_seven_days_unless_it_is_kept(
    here: MemoryTown,
) -> None:
    leader, goes, keeps = team_of(here, "alice", "bob", "carol")
    session = leader.member.write_session("theirs")
    rest(here)
    goes.member.run("team", "leave", "--yes")
    keeps.member.run("team", "leave", "--keep", "--yes")
    rest(here)
    assert goes.member.holds(session)
    for player in (goes, keeps):  # seven days pass
        with player.app() as app, app.state.transaction() as tx:
            for former in state.formers.all(tx):
                at = former.purge_at and datetime.now(UTC)
                state.formers.put(tx, former.changed(purge_at=at))
    rest(here)

    assert goes.member.peek(session.id) is None
    assert keeps.member.holds(session)


def test_what_was_received_can_be_purged_after_a_decline_and_comes_again(here: MemoryTown) -> None:
    leader, me, other = team_of(here, "alice", "bob", "carol")
    theirs, leaders = other.member.write_session("theirs"), leader.member.write_session("leader's")
    mine = me.member.write_session("mine")
    rest(here)
    me.member.run("decline", PROJECT, "--yes")
    rest(here)
    assert me.member.holds(theirs, leaders)
    assert me.member.run("decline", PROJECT, "--purge", check=False).code != 0, "it asks"
    me.member.run("decline", PROJECT, "--purge", "--yes")
    rest(here)
    assert [me.member.peek(s.id) for s in (theirs, leaders)] == [None, None]
    assert other.member.holds(leaders), "nothing goes at the others"

    me.move(PROJECT, Subscription.reopen)
    me.accept(PROJECT, Direction.BOTH)
    rest(here)
    assert me.member.holds(theirs, leaders, mine)
