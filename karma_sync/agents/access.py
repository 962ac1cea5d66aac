"""Finds directories of an agent that we may not read.

This is a module of its own, because short commands such as `status` load nothing else of sources.
"""

import os
from pathlib import Path

from karma_sync.files import is_open


def closed_below(root: Path) -> list[Path]:
    """The directories at or below `root` that we may not read; they probably hold sessions."""
    if root.is_dir() and not is_open(root):
        return [root]
    return [directory for directory in listed(root) if not is_open(directory)]


def listed(root: Path) -> list[Path]:
    """The directories in `root`, sorted; none if it does not exist or we may not read it."""
    if not root.is_dir() or not is_open(root):
        return []
    return sorted(Path(e.path) for e in os.scandir(root) if e.is_dir())
