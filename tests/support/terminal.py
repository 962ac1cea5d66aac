"""Running a program on a terminal of its own, and answering what it asks."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.support.interrupting import ctrl_c_works

_END_S = 60.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


Start = Callable[[int], Callable[[], int]]
"""Starts a program on the terminal that has this descriptor; the result waits for its exit code."""


def a_process(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Start:
    """Starts a program as a process of its own."""

    def start(terminal: int) -> Callable[[], int]:
        with ctrl_c_works():
            process = subprocess.Popen(
                command,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=environ,
                cwd=cwd,
                start_new_session=True,
            )
        return partial(process.wait, _END_S)

    return start


def run_on_terminal(
    start: Start, answers: Sequence[str], read: Callable[[str], None] = lambda seen: None
) -> tuple[int, str]:
    """The exit code, and everything the terminal showed, without its colours.

    A question is what ends in `]` or `]:`, such as `Go ahead? [y/N]`. `read` is called with all
    that was shown, each time something more was.
    """
    mine, theirs = pty.openpty()
    wait = start(theirs)
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
    return wait(), _COLOUR.sub("", seen.replace("\r\n", "\n"))


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
