"""Teams in one process, with Syncthings in memory: what the daemon's parts do together."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.memory_town import MemoryTown


@pytest.fixture
def here(tmp_path: Path) -> Iterator[MemoryTown]:
    """A place for the members of one test."""
    found = MemoryTown(tmp_path)
    try:
        yield found
    finally:
        found.close()


def test_sessions_of_both_are_read_by_the_other_byte_for_byte(here: MemoryTown) -> None:
    a, b = here.pair()
    mine, yours = a.write_session("why?"), b.write_session("because", "of that")
    here.settle()

    assert b.holds(mine)
    assert a.holds(yours)
    assert (a.failures, b.failures) == ([], [])
