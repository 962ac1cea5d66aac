"""Decides when the daemon starts again, with the program that replaced its own (ADR 57)."""

import logging
import math
import subprocess  # noqa: S404 our own program, a list of arguments
import sys
import time
from collections.abc import Callable

from karma_sync.runtime.installation import Installation

log = logging.getLogger(__name__)

_LOOK_S = 10.0  # a look takes 3 ms
_SETTLED_S = 2.0  # an installer writes for a second or two
_START_S = 60.0


def program_starts() -> bool:
    """Whether the program that is on disk now can be started."""
    command = [sys.executable, "-P", "-m", "karma_sync", "--version"]
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(  # noqa: S603 see above
            command, stdin=nothing, stdout=nothing, stderr=nothing, timeout=_START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class Renewal:
    """Watches the files of an installed program; used by one thread.

    In a checkout nothing is ever due: the daemon would start again while somebody edits a file.
    """

    def __init__(
        self,
        installation: Installation,
        starts: Callable[[], bool] = program_starts,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._installation = installation
        self._starts = starts
        self._monotonic = monotonic
        self._look_at = math.inf if installation.is_checkout else monotonic() + _LOOK_S
        self._unsettled: int | None = None  # the files that were new at the last look
        self._refused: int | None = None  # the files of a program that does not start

    def is_due(self) -> bool:
        """Whether to start again now; call this often.

        It is due when other files lie there, when these have not changed for two seconds, and when
        that program can be started. Otherwise the daemon is of more use as it is.
        """
        now = self._monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_S
        found = self._installation.fingerprint()
        if found in {self._installation.at_first, self._refused}:
            self._unsettled = None
            return False
        if found != self._unsettled:
            self._unsettled = found
            self._look_at = now + _SETTLED_S
            return False
        if not self._starts():
            log.warning("the program was replaced by one that cannot be started: this one goes on")
            self._refused = found
            return False
        log.info("the program was replaced: the daemon starts again")
        return True
