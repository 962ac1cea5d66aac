"""A daemon that is killed while it signs, writes documents and Syncthing's configuration."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import cycle

import pytest
import requests

from karma_sync.signing import SigningKey
from tests.support.crashwalk import Walk
from tests.support.harness import Member, until
from tests.support.sound import assert_sound, payload_of, until_same
from tests.support.town import Town, wait_for_offer

pytestmark = pytest.mark.daemon
_SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]  # some fifty starts of a daemon
_SIGNING = r"(before fsync|after replace) folders/ks-m-\*/(member|roster)/|state\.db in sign\.|PUT"
_EVERYTHING = r"folders/ks-(m|c-\*($|/\.))|state\.db|replace syncthing/config|PUT|scan ks-m"


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """A, whose daemon never ran, has founded a team and shares `repo`; B has paired with it."""
    a, b = town.member("alice"), town.member("bob").up()
    a.run("team", "create", "backend")
    b.run("pair", a.code)
    a.run("team", "add", b.code)
    a.run("project", "share", str(a.repo), "--yes")
    return a, b


@pytest.mark.parametrize(
    ("victim", "scope", "least"),
    [
        pytest.param("daemon", _SIGNING, 8, marks=_SLOW),
        ("syncthing", _SIGNING, 6),
        pytest.param("daemon", _EVERYTHING, 40, marks=_SLOW),
    ],
)
def test_a_leader_killed_anywhere_in_a_reconcile_is_where_it_should_be(
    pair: tuple[Member, Member], victim: str, scope: str, least: int
) -> None:
    a, b = pair
    walk = Walk(a, scope, victim, datetime.now(UTC))
    standings = cycle(["paused", "accepted"])
    wanted = "accepted"

    def change() -> None:
        """Another content each time, for the same next version."""
        nonlocal wanted
        wanted = next(standings)
        a.run("subscription", "pause" if wanted == "paused" else "resume", "repo")

    points = walk.run([b], change, lambda: _said(a, at=b) == wanted and _does(a, wanted))
    a.up()
    if wanted == "paused":
        a.run("subscription", "resume", "repo")
    wait_for_offer(b, "repo")
    if _status(b) == "offered":
        b.run("accept", "repo", "--yes")
    until_same(b, a, a.write_session("afterwards"))
    until(lambda: _said(a, at=b) == "accepted", "B to know that A goes on")
    walk.seen.look(a, b)
    a.down()

    assert "recovering" not in a.run("events").out  # nothing was lost
    assert_sound(a)
    assert_sound(b)
    assert len(points) >= least


def _status(member: Member) -> str:
    (found,) = member.json("subscription", "list")["subscriptions"]
    return str(found["status"])


def _said(member: Member, at: Member) -> str | None:
    """The standing that `member` signed, as its document says that was accepted `at` another."""
    with closing(sqlite3.connect(at.paths.state_db, timeout=10)) as database:
        rows = database.execute("SELECT envelope FROM document WHERE kind = 'member'").fetchall()
    for (envelope,) in rows:
        said = json.loads(payload_of(envelope))
        if said["writer"] == SigningKey.load(member.paths.key).public:
            return next((str(s["status"]) for s in said["subscriptions"]), None)
    return None


def _does(member: Member, wanted: str) -> bool:
    """Whether Syncthing has the member's channel, paused or not as it should be."""
    try:
        folders = member.rest("config/folders")
    except requests.RequestException:
        return False
    return [f["paused"] for f in folders if f["type"] == "sendonly"] == [wanted == "paused"]
