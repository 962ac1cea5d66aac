"""Twenty members on one machine: all 380 directed pairs exchange."""

from itertools import permutations

import psutil
import pytest

from tests.support.harness import Member
from tests.support.town import Town, found_team, share

pytestmark = [pytest.mark.slow, pytest.mark.daemon]

MEMBERS = 20
GIGABYTES = 8
_EACH_S = 300.0


def test_all_380_pairs_exchange(town: Town) -> None:
    present = psutil.virtual_memory().total / 10**9
    if present < GIGABYTES:
        pytest.skip(f"{MEMBERS} daemons and Syncthings need {GIGABYTES} GB, here are {present:.1f}")
    members = _all_up(town)
    found_team(*members)
    share(*members)
    written = {member.tag: member.write_session(f"by {member.user}") for member in members}

    pairs = list(permutations(members, 2))
    assert len(pairs) == 380
    for reader, author in pairs:
        reader.until_readable(written[author.tag], timeout=_EACH_S)
    for reader in members:
        shown = {s["id"]: s["author"] for s in reader.sessions()}
        assert shown == {session.id: tag for tag, session in written.items()}


def _all_up(town: Town) -> list[Member]:
    """All members, a few started at a time: each start takes more than one core."""
    found: list[Member] = []
    while len(found) < MEMBERS:
        found += town.members(*(f"m{number:02}" for number in range(len(found), len(found) + 4)))
    return found
