"""After leaving, a removal and the end of a team: each row that remains, and nothing else.

All three databases are compared, all directories, and Syncthing's configuration.
"""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime

import pytest

from karma_sync.paths import metadata_folder
from karma_sync.store import state
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.players import Player, team_of

# An item that can be read, by the id of its channel.
READABLE = {
    "library.db item": 1,
    "library.db arrival": 1,
    "library.db search_channel": 1,
    "library.db search_item": 1,
}
# What I sent is mine and stays readable; karma-sync remembers what left and who confirmed it.
SENT = READABLE | {"work.db departed": 1, "work.db revision": 1, "work.db packed_item": 1}
# By the id of a team that is no more: the row about it, the versions that may not be used again,
# the own receipt for its version, what changed last and was told in events, and what left.
FORMER = {
    "state.db former": 1,
    "state.db floor": 2,
    "work.db receipt": 1,
    "work.db told": 1,
    "work.db departed": 1,
}


def rows_with(member: MemoryMember, *needles: str) -> dict[str, int]:
    """How many rows of each table of all databases have any of these texts."""
    found: dict[str, int] = {}
    paths = member.paths
    for path in (paths.state_db, paths.work_db, paths.library_db):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 ours
                count = sum(any(needle in text for needle in needles) for text in map(repr, rows))
                if count:
                    found[f"{path.name} {table}"] = count
    return found


def library_folders(member: MemoryMember) -> set[str]:
    """The channels of which the library has files."""
    found = (member.paths.library / "items").glob("*/*")
    return {path.parent.name for path in found}


def directories(member: MemoryMember) -> set[str]:
    return {path.name for path in member.paths.folders.iterdir()}


def devices(member: MemoryMember) -> set[str]:
    """The devices in Syncthing's configuration, its own left out."""
    found = {d["deviceID"] for d in member.rest("config/devices")}
    return found - {member.json("code")["device"]}


def boxes(player: Player) -> tuple[str, set[str]]:
    """The ids of the one outbox and of the inboxes."""
    (own,) = (path.name for path in player.member.outboxes())
    return own, {f for f in player.member.folders() if f.startswith("ks-c-")} - {own}


def days_pass(town: MemoryTown, players: Iterable[Player] = ()) -> None:
    """Hours pass; for these players also the days until what they received is purged."""
    for player in players:
        with player.app() as app, app.state.transaction() as tx:
            for former in state.formers.all(tx):
                state.formers.put(tx, former.changed(purge_at=datetime.now(UTC)))
    for _ in range(2):
        town.settle()
        town.an_hour_passes()


def leave(a: Player, b: Player) -> None:
    b.leave(retracted=True)


def remove(a: Player, b: Player) -> None:
    a.remove(b, retracted=True)


@pytest.mark.parametrize(
    ("ends", "keeps", "remains"),
    [
        # what it received stays for seven days
        (leave, True, {}),
        # the folder with the notice stays for a day, what it received goes at once
        (remove, False, {"state.db removal": 1}),
    ],
)
def test_of_a_former_team_exactly_this_remains(
    here: MemoryTown, ends: Callable[[Player, Player], None], keeps: bool, remains: dict[str, int]
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    for player in (a, b, c):
        player.member.write_session(f"by {player.member.user}")
    days_pass(here)
    team = a.team()
    assert team is not None
    outbox, inboxes = boxes(b)
    assert len(inboxes) == 2
    assert rows_with(b.member, team.id)["work.db receipt"] == 3
    assert library_folders(b.member) == directories(b.member) - {metadata_folder(team.id)}
    ends(a, b)
    days_pass(here)

    items = {"library.db item": 3 if keeps else 1}
    assert rows_with(b.member, team.id) == FORMER | remains | items
    received = {table: 2 for table in READABLE} if keeps else {}
    assert rows_with(b.member, *inboxes) == received
    assert rows_with(b.member, outbox) == SENT | {"work.db confirmed": 2}
    assert library_folders(b.member) == {outbox} | (inboxes if keeps else set())
    notices = {f for f in b.member.folders() if f.startswith("ks-r-")}
    assert len(notices) == remains.get("state.db removal", 0)
    assert set(b.member.folders()) == directories(b.member) == notices
    assert devices(b.member) == ({a.me.device, c.me.device} if notices else set())
    # nothing that it sent is left at the others: all was taken back
    for other in (a, c):
        assert rows_with(other.member, outbox) == {}
        assert outbox not in library_folders(other.member) | directories(other.member)

    days_pass(here, [b])
    assert rows_with(b.member, team.id) == FORMER | remains | {"library.db item": 1}
    assert rows_with(b.member, *inboxes) == {}
    assert library_folders(b.member) == {outbox}


def test_of_a_dissolved_team_the_documents_and_what_was_exchanged_remain(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    sessions = [p.member.write_session(f"by {p.member.user}") for p in (a, b)]
    days_pass(here)
    team = a.team()
    assert team is not None
    before = {p: (boxes(p), rows_with(p.member, team.id)) for p in (a, b)}
    a.member.run("team", "dissolve", "--yes")
    days_pass(here)

    for player, other in ((a, b), (b, a)):
        (outbox, inboxes), rows = before[player]
        told = {"work.db told": rows["work.db told"] + 1}  # that it is dissolved
        assert rows_with(player.member, team.id) == rows | told
        assert rows_with(player.member, outbox) == SENT | {"work.db confirmed": 1}
        assert rows_with(player.member, *inboxes) == READABLE
        assert library_folders(player.member) == {outbox} | inboxes
        documents = {metadata_folder(team.id)}
        assert set(player.member.folders()) == directories(player.member) == documents
        assert devices(player.member) == {other.me.device}
        assert player.member.holds(*sessions)


@pytest.mark.parametrize("retracted", [True, False])
def test_of_a_dissolved_team_that_was_left_exactly_this_remains(
    here: MemoryTown, retracted: bool
) -> None:
    a, b = team_of(here, "alice", "bob")
    for player in (a, b):
        player.member.write_session(f"by {player.member.user}")
    days_pass(here)
    team = a.team()
    assert team is not None
    (outbox, inboxes), (outbox_a, _) = boxes(b), boxes(a)
    a.member.run("team", "dissolve", "--yes")
    days_pass(here)
    b.leave(retracted=retracted)
    days_pass(here)

    assert rows_with(b.member, team.id) == FORMER | {"library.db item": 2}
    assert rows_with(b.member, outbox) == SENT | {"work.db confirmed": 1}
    assert rows_with(b.member, *inboxes) == READABLE
    assert not b.member.folders()
    assert directories(b.member) == devices(b.member) == set()
    assert rows_with(a.member, outbox) == ({} if retracted else READABLE)
    assert library_folders(a.member) == {outbox_a} | (set() if retracted else {outbox})

    a.leave(retracted=False)
    days_pass(here, [a, b])
    for player, sent in ((a, outbox_a), (b, outbox)):
        assert rows_with(player.member, team.id) == FORMER | {"library.db item": 1}
        assert rows_with(player.member, sent) == SENT | {"work.db confirmed": 1}
        assert library_folders(player.member) == {sent}
        assert not player.member.folders()
        assert directories(player.member) == devices(player.member) == set()
    assert rows_with(b.member, *inboxes) == {}
