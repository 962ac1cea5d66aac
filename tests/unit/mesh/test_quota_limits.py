"""The limits on the size of a folder."""

import pytest

from karma_sync.mesh.quotas import above_quota

CHANNEL, DOCUMENTS, NOTICE = (f"ks-{kind}-" + "a" * 26 for kind in "cmr")


@pytest.mark.parametrize(
    ("folder", "files", "size", "why"),
    [
        (CHANNEL, 10**6, 20_000_000_000, ""),
        (CHANNEL, 1, 20_000_000_001, "20,000,000,000 bytes"),
        (DOCUMENTS, 1_000, 8_000_000, ""),
        (DOCUMENTS, 1_001, 0, "1,000 files"),
        (DOCUMENTS, 1, 8_000_001, "8,000,000 bytes"),
        (NOTICE, 2, 8_000_000, ""),
        (NOTICE, 1, 8_000_001, "8,000,000 bytes"),  # a removed member writes into it
    ],
)
def test_what_is_above_the_limit_is_too_large(folder: str, files: int, size: int, why: str) -> None:
    told = above_quota(folder, files, size)

    assert (why in told) if why else not told
