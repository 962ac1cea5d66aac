"""Ctrl-C for the programs that tests start, however the tests themselves were started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_works() -> Iterator[None]:
    """A program that starts meanwhile ends on SIGINT; only the main thread may do this.

    `nohup`, `&` in a script and services start programs that ignore it, and so would all that
    these start.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
