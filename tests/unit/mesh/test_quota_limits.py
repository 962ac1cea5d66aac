"""How large a folder may become."""

import pytest

from karma_sync.mesh.quotas import above_quota

CHANNEL, DOCUMENTS = "ks-c-" + "a" * 26, "ks-m-" + "a" * 26


@pytest.mark.parametrize(
    ("folder", "files", "size", "why"),
    [
        (CHANNEL, 10**6, 20_000_000_000, ""),
        (CHANNEL, 1, 20_000_000_001, "20,000,000,000 bytes"),
        (DOCUMENTS, 1_000, 8_000_000, ""),
        (DOCUMENTS, 1_001, 0, "1,000 files"),
        (DOCUMENTS, 1, 8_000_001, "8,000,000 bytes"),
    ],
)
def test_what_is_above_the_limit_is_too_large(folder: str, files: int, size: int, why: str) -> None:
    told = above_quota(folder, files, size)

    assert (why in told) if why else not told
