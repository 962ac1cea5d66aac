"""Shows long output of a command in the person's pager, as git does."""

import io
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from karma_sync.cli.screen import is_screen

_DEFAULT = "less -FRX"  # ends at once if all fits on the screen; passes colours
_STAYING = "less -RX -+F"


class _Screen(io.TextIOWrapper):
    """Text for a pager, drawn as for the terminal behind it."""

    def isatty(self) -> bool:
        return True


@contextmanager
def paged(stays: bool = False) -> Iterator[None]:
    """Send what the block prints through $PAGER if the output is a terminal.

    Ending the pager early ends the output; that is no error. With `stays`, also what fits on the
    screen stays there until the person has seen it.
    """
    command = shlex.split(os.environ.get("PAGER", _STAYING if stays else _DEFAULT))
    if not is_screen(sys.stdout) or not command or command == ["cat"]:
        yield
        _wait_if(stays)
        return
    try:
        pager = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 the person chose it
    except OSError:
        yield  # there is no such pager: a person can scroll the terminal
        _wait_if(stays)
        return
    screen = _Screen(pager.stdin, encoding="utf-8", errors="replace")  # type: ignore[arg-type] # a pipe
    with pager, suppress(BrokenPipeError):
        try:
            with redirect_stdout(screen):
                yield
        finally:
            screen.close()


def _wait_if(stays: bool) -> None:
    if stays and is_screen(sys.stdout):
        print("Enter goes back.", flush=True)
        sys.stdin.readline()
