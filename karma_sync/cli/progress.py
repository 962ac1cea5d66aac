"""Progress on standard error, for work of more than a moment; nothing if it is no screen."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from karma_sync.cli.screen import console, has_colours

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_MOMENT_S = 0.1  # shorter work shows no progress


class ProgressBar:
    """Shows how many sessions are done of how many, and removes that at the end."""

    def __init__(self, what: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._monotonic = monotonic
        self._began = monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, of: int) -> None:
        """Show that `done` sessions are done `of` all."""
        if self._bar is None and self._is_due():
            self._bar = _bar()
            self._task = self._bar.add_task(self._what, total=of)
            self._bar.start()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=of)

    def _is_due(self) -> bool:
        return self._monotonic() - self._began >= _MOMENT_S and has_colours(sys.stderr)


def _bar() -> "Bar":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("sessions", markup=False),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
    )


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner while the block runs, which takes nobody knows how long."""
    if not has_colours(sys.stderr):
        yield
        return
    from rich.text import Text

    with console(sys.stderr).status(Text(what)):
        yield
