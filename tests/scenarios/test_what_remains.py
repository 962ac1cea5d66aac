"""After leaving, a removal and the end of a team: each row that remains, and nothing else.

All three databases are compared, all directories, and Syncthing's configuration.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.players import Player, team_of

# Of what was sent, karma-sync remembers what left and who confirmed it.
LEDGER = {"work.db departed": 1, "work.db revision": 1, "work.db packed_item": 1}


def rows_with(member: MemoryMember, *needles: str) -> dict[str, int]:
    """How many rows of each table of all databases have any of these texts."""
    found: dict[str, int] = {}
    for name in ("state.db", "work.db", "library.db"):
        with closing(sqlite3.connect(member.paths.data / name)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                rows = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 ours
                count = sum(any(needle in text for needle in needles) for text in map(repr, rows))
                if count:
                    found[f"{name} {table}"] = count
    return found


def leave(a: Player, b: Player) -> None:
    b.leave(retracted=True)


def remove(a: Player, b: Player) -> None:
    a.remove(b, retracted=True)


@pytest.mark.parametrize(
    ("ends", "remains"),
    [
        # the row about the former team, the versions that may not be used again
        (leave, {"state.db former": 1, "state.db floor": 2}),
        # and the folder with the notice, for a day
        (remove, {"state.db former": 1, "state.db floor": 2, "state.db removal": 1}),
    ],
)
def test_of_a_former_team_exactly_this_remains(
    here: MemoryTown, ends: Callable[[Player, Player], None], remains: dict[str, int]
) -> None:
    a, b, c = team_of(here, "alice", "bob", "carol")
    for player in (a, b, c):
        player.member.write_session(f"by {player.member.user}")
    here.settle()
    here.an_hour_passes()
    team = a.team()
    assert team is not None
    folders = set(b.member.folders())
    foreign = {f for f in folders if b.member.paths.folder(f) not in b.member.outboxes()}
    assert foreign < folders
    assert rows_with(b.member, team.id)["work.db receipt"] == 3
    ends(a, b)
    for _ in range(2):
        here.settle()
        here.an_hour_passes()

    # what changed last is told in events, and the own receipt is kept for its version
    kept = remains | {"work.db receipt": 1, "work.db told": 1, "work.db departed": 1}
    assert rows_with(b.member, team.id) == kept
    notices = {f for f in b.member.folders() if f.startswith("ks-r-")}
    assert len(notices) == remains.get("state.db removal", 0)
    assert set(b.member.folders()) == notices
    assert {path.name for path in b.member.paths.folders.iterdir()} == notices
    devices = {d["deviceID"] for d in b.member.rest("config/devices")} - {b.me.device}
    assert devices == ({a.me.device, c.me.device} if notices else set())
    (outbox,) = folders - foreign
    assert rows_with(b.member, outbox) == LEDGER | {"work.db confirmed": 2}


def test_of_a_dissolved_team_the_documents_remain_until_it_is_left(here: MemoryTown) -> None:
    a, b = team_of(here, "alice", "bob")
    session = a.member.write_session("by alice")
    here.settle()
    a.member.run("team", "dissolve", "--yes")
    for _ in range(2):
        here.settle()
        here.an_hour_passes()

    for player in (a, b):
        assert {folder[:5] for folder in player.member.folders()} == {"ks-m-"}
        assert len(list(player.member.paths.folders.iterdir())) == 1
    assert b.member.holds(session)
    team = b.team()
    assert team is not None
    b.leave(retracted=False)
    for _ in range(2):
        here.settle()
        here.an_hour_passes()
    assert not b.member.folders()
    assert rows_with(b.member, team.id).keys() & {"state.db team", "state.db document"} == set()
