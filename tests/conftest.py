"""Fixtures that several test modules share."""

from collections.abc import Iterator

import pytest

from tests.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A place for this module's members; at its end nothing of them runs any more."""
    found = Town(tmp_path_factory.mktemp("town"))
    try:
        yield found
    finally:
        found.close()
