"""Sends the daemon's state to systemd: datagrams to the socket that it names, by sd_notify(3)."""

import logging
import math
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

log = logging.getLogger(__name__)

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Sends "ready", "alive" and "stopping" to systemd; does nothing if systemd named no socket."""

    def __init__(
        self,
        address: str = "",
        watchdog_s: float | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`address` is NOTIFY_SOCKET; WATCHDOG=1 is due twice in each `watchdog_s` seconds.

        `variables` are those that systemd set.
        """
        self._address = address
        self._variables = variables or {}
        self._every_s = watchdog_s / 2 if watchdog_s else None
        self._sent_at = -math.inf  # not 0: the clock may begin at the machine's start

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """The notifier that systemd's variables describe.

        The variables are removed from `environ`, so that our children do not inherit them.
        """
        variables = {name: environ.pop(name) for name in _VARIABLES if name in environ}
        address, microseconds, pid = (variables.get(name, "") for name in _VARIABLES)
        is_for_us = microseconds.isdigit() and pid in {"", str(os.getpid())}
        return cls(address, int(microseconds) / 10**6 if is_for_us else None, variables)

    def give_back(self, environ: MutableMapping[str, str]) -> None:
        """Put systemd's variables back, for the program that goes on in this process."""
        environ.update(self._variables)

    def ready(self, status: str) -> None:
        """Send that the service is up; `status` is one line for `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, at_once: bool = False) -> None:
        """Send WATCHDOG=1 if it is due, or if `at_once`; call this often.

        Use `at_once` before an action that takes long: then it has the whole watchdog interval.
        """
        now = time.monotonic()
        if self._every_s is not None and (at_once or now - self._sent_at >= self._every_s):
            self._sent_at = now
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Send that the daemon begins to stop."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # a name in Linux's abstract namespace, not a file
            address = f"\0{address[1:]}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)  # systemd must not block us if it does not read
                out.sendto(text.encode(), address)
        except OSError as error:
            log.warning("%r could not be sent to systemd: %s; it may restart us", text, error)
