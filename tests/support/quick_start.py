"""A Syncthing that starts without measuring how fast this machine hashes."""

import tempfile
from functools import cache
from pathlib import Path

# 1.19 compares two hash functions at each start, for 0.3 s of processor time. karma-sync gives
# Syncthing none of the variables of that kind that the tests have.
_SCRIPT = """#!/bin/sh
STHASHING=standard exec '{program}' "$@"
"""


@cache
def starting_quickly(program: Path) -> Path:
    """A script that becomes this Syncthing; it is deleted when this process ends."""
    path = Path(_folder().name) / str(len(list(Path(_folder().name).iterdir()))) / program.name
    path.parent.mkdir()
    path.write_text(_SCRIPT.format(program=program))
    path.chmod(0o755)
    return path


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    found = tempfile.TemporaryDirectory(prefix="syncthing-")
    Path(found.name).chmod(0o755)  # some tests are other users
    return found
