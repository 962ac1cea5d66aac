"""Telling systemd how we are: sd_notify(3), a datagram of lines to the socket it named."""

import logging
import math
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Tells systemd that we are ready, alive, stopping; where there is no systemd, nobody."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """`address` as in NOTIFY_SOCKET; a sign of life is due every half `watchdog_s` seconds."""
        self._address = address
        self._every = watchdog_s / 2 if watchdog_s else None
        self._told = -math.inf  # a clock that began at the machine's start may be below any wait

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """As the environment says; what it says is removed, as none of it is for our children."""
        address, microseconds, pid = (environ.pop(name, "") for name in _VARIABLES)
        for_us = microseconds.isdigit() and pid in {"", str(os.getpid())}
        return cls(address, int(microseconds) / 10**6 if for_us else None)

    def ready(self, status: str) -> None:
        """The service is up; `status` is one line for `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, at_once: bool = False) -> None:
        """Send WATCHDOG=1 when it is due, or `at_once`; to be called often.

        Before something that takes long, send it at once: then all of the time is left for it.
        """
        now = time.monotonic()
        if self._every is not None and (at_once or now - self._told >= self._every):
            self._told = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # a name in Linux's abstract namespace, not a file
            address = f"\0{address[1:]}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)  # a manager that does not listen must not hold us up
                out.sendto(text.encode(), address)
        except OSError as error:
            log.warning("systemd was not told %r: %s; it may restart us", text, error)
