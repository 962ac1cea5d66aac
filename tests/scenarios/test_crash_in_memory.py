"""A member in memory, killed at each step in which it sends or receives, goes on where it was.

The other `test_crash_*` kill real processes, at fewer points.
"""

from typing import cast

import pytest

from tests.support.memory_crash import MemoryWalk
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.sound import Seen, assert_sound, until_same

_LONG = "x" * 300_000  # more than a chunk


@pytest.mark.parametrize(("victim", "least"), [("sender", 30), ("reader", 20)])
def test_killed_at_each_step_it_goes_on_where_it_was(
    here: MemoryTown, victim: str, least: int
) -> None:
    a, b = here.pair()
    session = a.write_session("before")
    b.until_readable(session)
    killed = cast(MemoryMember, {"sender": a, "reader": b}[victim])
    walk, seen = MemoryWalk(killed, lambda place: True), Seen()
    known = -1
    while known < len(walk.points):  # each time there is something new to send
        known = len(walk.points)
        session.append(f"{known} {_LONG}")
        with pytest.MonkeyPatch.context() as patch:
            walk.run(patch, lambda: b.peek(session.id) == session.content, "the session")
        seen.look(a, b)
    session.append("afterwards")
    until_same(b, a, session)

    assert_sound(a)
    assert_sound(b)
    seen.look(a, b)
    assert len(walk.points) >= least
