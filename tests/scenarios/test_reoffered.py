"""A folder that was taken away and is offered again carries what is written afterwards.

Syncthing alone stalls there if the folder never held a file (17 of 17 times, measured): both
sides are connected, and nothing arrives. Our outboxes are never empty, and who takes no part any
more has no folder left that could stall.
"""

import pytest

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town

pytestmark = pytest.mark.memory("each")


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    """Two members that share `repo`; no session was ever written."""
    return town.pair()


def receivers(a: Member) -> list[str]:
    """The devices that A's channel is shared with, besides its own."""
    (box,) = [f for f in a.rest("config/folders") if f["type"] == "sendonly"]
    mine = a.json("code")["device"]
    return [d["deviceID"] for d in box["devices"] if d["deviceID"] != mine]


@pytest.mark.parametrize("turn", range(3))
def test_who_declined_and_accepts_again_gets_what_is_written_then(
    pair: tuple[Member, Member], turn: int
) -> None:
    a, b = pair
    until(lambda: len(a.outboxes()) == 1 and receivers(a), "A's channel shared with B")
    (before,) = a.outboxes()
    b.run("decline", "repo", "--yes")
    until(lambda: not receivers(a), "A's channel taken away from B")
    b.run("subscription", "reopen", "repo")
    b.run("accept", "repo", "--yes")
    written = a.write_session(f"after turn {turn}")

    b.until_readable(written)
    assert a.outboxes() == [before], "it is the same folder, offered again"


@pytest.mark.parametrize("turn", range(3))
def test_a_channel_that_was_closed_and_opened_again_carries_what_is_written_then(
    pair: tuple[Member, Member], turn: int
) -> None:
    a, b = pair
    until(lambda: len(a.outboxes()) == 1, "A's channel")
    a.run("subscription", "change", PROJECT, "--direction", "receive")
    until(lambda: not a.outboxes(), "A's channel to go")
    a.run("subscription", "change", PROJECT, "--direction", "both", "--yes")
    written = a.write_session(f"opened again, turn {turn}")

    b.until_readable(written)
