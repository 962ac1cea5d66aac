"""How much room is left: on a full disk nothing else could be written down about it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

# Syncthing pulls nothing into a folder on a disk with less (`minDiskFree`, as we configure it).
LEAST_FREE = 0.01


def without_space(places: Iterable[Path]) -> dict[str, str]:
    """Why nothing can be kept at these places, one for each disk; those with space are left out."""
    found = {}
    for place in {path.stat().st_dev: path for path in places if path.exists()}.values():
        usage = shutil.disk_usage(place)
        if usage.free < LEAST_FREE * usage.total:
            found[str(place)] = f"less than {LEAST_FREE:.0%} of this disk is free: make space"
    return found
