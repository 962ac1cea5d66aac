"""Running a program on a terminal of its own, and answering what it asks."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.interrupting import ctrl_c_works

_END_S = 60.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_on_terminal(
    command: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    answers: Sequence[str],
    read: Callable[[str], None] = lambda seen: None,
) -> tuple[int, str]:
    """The exit code, and everything the terminal showed, without its colours.

    A question is what ends in `]` or `]:`, such as `Go ahead? [y/N]`. `read` is called with all
    that was shown, each time something more was.
    """
    mine, theirs = pty.openpty()
    with ctrl_c_works():
        process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=cwd,
            start_new_session=True,
        )
    os.close(theirs)
    left = list(answers)
    seen, at = "", 0
    for piece in _pieces(mine):
        seen += piece
        read(seen)
        if left and seen[at:].rstrip(" ").endswith(("]", "]:")):
            os.write(mine, left.pop(0).encode() + b"\n")
            at = len(seen)
    os.close(mine)
    return process.wait(_END_S), _COLOUR.sub("", seen.replace("\r\n", "\n"))


def _pieces(descriptor: int) -> Iterator[str]:
    """The output of a program on its terminal, until the program closes it."""
    deadline = time.monotonic() + _END_S
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # EIO: the other side is closed (Linux)
            return
        if not piece:
            return
        yield piece.decode(errors="replace")
    pytest.fail("the program on the terminal does not end")
