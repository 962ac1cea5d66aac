"""Notices that the files of this program were replaced while it runs, as by an upgrade."""

import os
from pathlib import Path

_COMPILED = "__pycache__"  # Python writes it at any time
_INSTALLED = {"site-packages", "dist-packages"}  # the second on Debian


class Installation:
    """The files of this program, compared with those that were there when this object was made."""

    def __init__(self, root: Path) -> None:
        """`root` is the directory of the package."""
        self._root = root
        self.at_first = self.fingerprint()

    @property
    def is_checkout(self) -> bool:
        """Whether no installer put it there, so that somebody may be at work on the files."""
        return _INSTALLED.isdisjoint(self._root.parts)

    def is_replaced(self) -> bool:
        """Whether a file was changed, added or deleted since; reads no content."""
        return self.fingerprint() != self.at_first

    def fingerprint(self) -> int:
        """A number that changes with the files; it means nothing in another process."""
        found = set()
        for directory, below, names in os.walk(self._root):
            below[:] = [name for name in below if name != _COMPILED]
            for name in names:
                path = os.path.join(directory, name)  # noqa: PTH118 a Path for each takes twice as long
                try:
                    seen = os.stat(path)  # noqa: PTH116 see above
                except OSError:
                    continue  # it is being replaced
                found.add((path, seen.st_mtime_ns, seen.st_size, seen.st_ino))
        return hash(frozenset(found))


def this_program() -> Installation:
    """The files of the program that runs now."""
    return Installation(Path(__file__).parents[1])
