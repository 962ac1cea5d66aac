"""The machines of the contract: with Syncthings in memory, and with real ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.boxes import Boxes, memory_boxes, real_boxes
from tests.support.harness import programs


def real_programs() -> list[Path]:
    """The Syncthings that the tests run with, and a third if the environment names one."""
    third = os.environ.get("KARMA_SYNC_SYNCTHING_3")
    return [*programs(), *([Path(third)] if third else [])]


def implementations() -> list[object]:
    """The one in memory, and each program; all but the first in the slow tests only."""
    marks = [[pytest.mark.daemon], [pytest.mark.daemon, pytest.mark.slow]]
    real = [
        pytest.param(program, id=f"program-{number}", marks=marks[min(number, 2) - 1])
        for number, program in enumerate(real_programs(), start=1)
    ]
    return [pytest.param(None, id="memory"), *real]


@pytest.fixture(scope="module", params=implementations())
def boxes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Boxes]:
    """Three machines, for all tests of this module."""
    where = tmp_path_factory.mktemp("boxes")
    made = real_boxes(request.param, where) if request.param else memory_boxes(where)
    with made as found:
        yield found
