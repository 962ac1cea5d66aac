"""What of an agent's directories is closed to us; apart, as little as a short command needs."""

import os
from pathlib import Path

from karma_sync.files import is_open


def closed_below(root: Path) -> list[Path]:
    """Directories that hold sessions, as far as anybody may tell who cannot look inside."""
    if root.is_dir() and not is_open(root):
        return [root]
    return [directory for directory in listed(root) if not is_open(directory)]


def listed(root: Path) -> list[Path]:
    """The directories in `root`, by name; none if it is not there, or closed."""
    if not root.is_dir() or not is_open(root):
        return []
    return sorted(Path(e.path) for e in os.scandir(root) if e.is_dir())
