"""Fixtures that several test modules share."""

import gc
import os
from collections.abc import Iterator
from itertools import chain, groupby, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.harness import programs
from tests.support.memory_town import MemoryTown
from tests.support.town import Town

MEMORY = "memory"
# Their tests mostly wait for daemons, those of tests/unit mostly compute.
_WAITING = {"contract", "scenarios"}

# Machines are shared, so a property may take any time. A failure prints how to repeat it.
settings.register_profile(
    "shared machine",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("shared machine")


def pytest_configure() -> None:
    """Look for no garbage while tests are collected: a hundred thousand objects stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but no more at what collecting the tests made."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have files whose tests wait alternate with others, so that they wait while others compute."""
    waiting: list[list[pytest.Item]] = []
    computing: list[list[pytest.Item]] = []
    for path, tests in groupby(items, key=lambda item: item.path):
        (waiting if path.parent.name in _WAITING else computing).append(list(tests))
    files = chain.from_iterable(zip_longest(waiting, computing, fillvalue=[]))
    items[:] = chain.from_iterable(files)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the town of a module marked `memory` in memory, and in `make test-all` real as well.

    With `memory("each")` that is tried with each Syncthing there is, and with `memory("alone")`,
    also at a single test of such a module, with none: it looks into the one in memory.
    """
    marker = metafunc.definition.get_closest_marker("memory")
    if marker is None or "town" not in metafunc.fixturenames:
        return
    marks = (pytest.mark.slow, pytest.mark.daemon)
    most = {(): 1, ("each",): None, ("alone",): 0}[marker.args]
    real = [
        pytest.param(program, id=f"syncthing{number}", marks=marks)
        for number, program in enumerate(programs()[:most], 1)
    ]
    metafunc.parametrize(
        "town", [pytest.param(MEMORY, id=MEMORY), *real], indirect=True, scope="module"
    )


@pytest.fixture(scope="module")
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """A place for this module's members; at its end nothing of them runs any more.

    In a module that is marked `memory` they are in memory; see `pytest_generate_tests`.
    """
    program, folder = getattr(request, "param", None), tmp_path_factory.mktemp("town")
    found = MemoryTown(folder) if program == MEMORY else Town(folder, program)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[MemoryTown]:
    """A place in memory for the members of one test."""
    found = MemoryTown(tmp_path)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real transcripts and of samples of secrets; it lies beside the repository.

    Where it is not, the tests that need it are skipped; where it is named or there, none is.
    """
    named = os.environ.get("KARMA_SYNC_CORPUS")
    folder = Path(named or Path(__file__).parent.parent / "../shared/corpus").resolve()
    if not (folder / "claude").is_dir():
        why = (
            f"no corpus in {folder}: set KARMA_SYNC_CORPUS to the folder that holds claude/ and "
            "secrets/ (it is not part of the repository)"
        )
        if named or folder.is_dir():
            pytest.fail(why)  # it is meant to be there
        pytest.skip(why)
    return folder
