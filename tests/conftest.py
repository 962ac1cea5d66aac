"""Fixtures that several test modules share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A place for this module's members; at its end nothing of them runs any more."""
    found = Town(tmp_path_factory.mktemp("town"))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real transcripts and of samples of secrets; it lies beside the repository."""
    folder = Path(
        os.environ.get("KARMA_SYNC_CORPUS", Path(__file__).parent.parent / "../shared/corpus")
    ).resolve()
    if not (folder / "claude").is_dir():
        pytest.fail(
            f"no corpus in {folder}: set KARMA_SYNC_CORPUS to the folder that holds claude/ and "
            "secrets/ (it is not part of the repository)"
        )
    return folder
