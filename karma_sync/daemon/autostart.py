"""Makes the system start the daemon at login, and again after a failure: systemd or launchd.

Both are controlled through their own programs, systemctl and launchctl. On macOS the daemon is a
LaunchAgent and not a login item: only launchd restarts a program that failed, and keeps it in the
background.
"""

import os
import re
import shutil
import subprocess  # noqa: S404 runs systemctl and launchctl, with lists of arguments
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from karma_sync.daemon.service_units import Launch, launchd_plist, service_name, systemd_unit
from karma_sync.errors import KarmaError, NotFound, TimedOut
from karma_sync.files import write_private
from karma_sync.paths import expanded
from karma_sync.runtime.timing import poll

_ANSWER_S = 30.0
_START_S = 360.0  # above the unit's TimeoutStartSec=
_STOP_S = 100.0  # above the unit's TimeoutStopSec=, the agent's ExitTimeOut
_POLL_S = 0.1
_BY_HAND = "karma-sync up -d"
_INSTALL = "karma-sync service install"


@dataclass(frozen=True)
class State:
    """The state of the service.

    `pid` is None unless it runs. `says` is the state in the manager's own words. `lingering` tells
    whether the service outlives the person's last log-out; None if that does not apply.
    """

    installed: bool
    enabled: bool
    pid: int | None
    says: str
    lingering: bool | None = None


class Autostart(Protocol):
    """Controls our service in the service manager of one person."""

    name: str
    file: Path

    def install(self, launch: Launch) -> None:
        """Write the service's file and enable it at login; does not start it now."""

    def uninstall(self) -> None:
        """End the service and delete its file; no error if it is not installed."""

    def start(self) -> None:
        """Start the service as it was last installed.

        Raises:
            NotFound: it is not installed.
        """

    def stop(self) -> None:
        """End the service until the next login or `start`; returns when it has ended.

        Raises:
            NotFound: it is not installed.
        """

    def state(self) -> State:
        """The service's state now."""

    def journal(self, lines: int, follow: bool) -> list[str] | None:
        """The command that shows the service's log; None if the log is a file of ours."""


def autostart(environ: Mapping[str, str], platform: str = sys.platform) -> Autostart:
    """This system's service manager, for the service of the home that `environ` names.

    Raises:
        KarmaError: we know no service manager on this platform.
    """
    name = service_name(environ)
    if platform == "darwin":
        return Launchd(name, expanded("~/Library/LaunchAgents"))
    if platform == "linux":
        config = environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Systemd(name, expanded(config) / "systemd" / "user")
    raise KarmaError(f"no service can be installed on {platform}", hint=_BY_HAND)


class Systemd:
    """The person's systemd manager."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = f"{name}.service"
        self.file = directory / self.name

    def install(self, launch: Launch) -> None:
        self._systemctl("show", "--property=Version")  # raises if systemd does not answer
        _write(self.file, systemd_unit(launch, self.name))
        self._systemctl("daemon-reload")
        self._systemctl("enable", self.name)

    def uninstall(self) -> None:
        if self.file.exists():
            self._systemctl("disable", "--now", self.name, patience_s=_STOP_S)
            self.file.unlink()
            self._systemctl("daemon-reload")

    def start(self) -> None:
        _require(self)
        if self.state().says.startswith("failed"):
            self._systemctl("reset-failed", self.name)  # lifts a start limit that was reached
        self._systemctl("start", self.name, patience_s=_START_S)

    def stop(self) -> None:
        _require(self)
        self._systemctl("stop", self.name, patience_s=_STOP_S)

    def state(self) -> State:
        wanted = ("ActiveState", "SubState", "Result", "MainPID", "UnitFileState")
        printed = self._systemctl("show", f"--property={','.join(wanted)}", self.name)
        found = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        active, pid = found.get("ActiveState", "unknown"), found.get("MainPID", "0")
        detail = found.get("Result" if active == "failed" else "SubState", "")
        return State(
            installed=self.file.exists(),
            enabled=found.get("UnitFileState") == "enabled",
            pid=int(pid) if pid not in {"", "0"} else None,
            says=f"{active} ({detail})" if detail else active,
            lingering=_is_lingering(),
        )

    def journal(self, lines: int, follow: bool) -> list[str] | None:
        if not self.file.exists():
            return None
        command = [_find("journalctl"), f"--user-unit={self.name}", f"--lines={lines}"]
        return [*command, "--no-pager", *(["--follow"] if follow else [])]

    def _systemctl(self, verb: str, *args: str, patience_s: float = _ANSWER_S) -> str:
        try:
            return _call("systemctl", "--user", verb, *args, patience_s=patience_s)
        except _Refused as error:
            if "connect to bus" in str(error):
                raise KarmaError(
                    f"your systemd does not answer: {error}",
                    hint=f"log in as yourself, not by su or sudo; without systemd: {_BY_HAND}",
                ) from error
            hint = "karma-sync service logs" if verb == "start" else ""
            raise KarmaError(f"systemctl {verb}: {error}", hint=hint) from error


class Launchd:
    """The person's launchd session. Only `launchctl print` shows the state of a job."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = f"local.{name}"  # labels are reverse domain names; we have no domain
        self.file = directory / f"{self.name}.plist"
        self._domain = f"gui/{os.getuid()}"

    def install(self, launch: Launch) -> None:
        self._unload()  # else launchd keeps the old content of the file
        _write(self.file, launchd_plist(launch, self.name))
        self._launchctl("enable", f"{self._domain}/{self.name}")

    def uninstall(self) -> None:
        if self.file.exists():
            self._unload()
            self.file.unlink()

    def start(self) -> None:
        _require(self)
        if self.state().pid is None:
            self._unload()
            self._launchctl("bootstrap", self._domain, str(self.file))

    def stop(self) -> None:
        _require(self)
        if self.state().pid is not None:
            self._launchctl("kill", "SIGTERM", f"{self._domain}/{self.name}")
            _until(lambda: self.state().pid is None, f"{self.name} did not stop")

    def state(self) -> State:
        printed = self._print() or ""
        pid = re.search(r"^\tpid = (\d+)$", printed, re.MULTILINE)
        word = re.search(r"^\tstate = (.+)$", printed, re.MULTILINE)
        return State(
            installed=self.file.exists(),
            enabled=self.file.exists(),
            pid=int(pid[1]) if pid else None,
            says=word[1] if word else "not loaded",
        )

    def journal(self, lines: int, follow: bool) -> list[str] | None:
        return None

    def _unload(self) -> None:
        """Make launchd end the job and unload it; launchctl returns before the job has ended."""
        if self._print() is None:
            return
        self._launchctl("bootout", f"{self._domain}/{self.name}")
        _until(lambda: self._print() is None, f"{self.name} did not end")

    def _print(self) -> str | None:
        """The text that launchd prints about the job; None if it has no job of that name."""
        try:
            return _call("launchctl", "print", f"{self._domain}/{self.name}")
        except _Refused:
            return None

    def _launchctl(self, verb: str, *args: str) -> None:
        try:
            _call("launchctl", verb, *args, patience_s=_STOP_S)
        except _Refused as error:
            raise KarmaError(
                f"launchctl {verb}: {error}",
                hint=f"log in at this Mac's screen, then: {_INSTALL}; meanwhile: {_BY_HAND}",
            ) from error


class _Refused(Exception):
    """systemctl or launchctl ended with an error; the message is its first line of output."""


def _call(program: str, *args: str, patience_s: float = _ANSWER_S) -> str:
    """Run a program; return its output.

    Raises:
        _Refused: it ended with an error.
        KarmaError: it is not installed.
        TimedOut: it did not end within `patience_s` seconds.
    """
    try:
        ran = subprocess.run(  # noqa: S603 a list of arguments, no shell
            [_find(program), *args],
            env=os.environ | {"LC_ALL": "C"},  # its output is parsed
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimedOut(
            f"{program} {args[0]} took longer than {patience_s:g} seconds",
            hint="karma-sync service logs",
        ) from None
    if ran.returncode:
        lines = (ran.stderr or ran.stdout).strip().splitlines()
        raise _Refused(lines[0] if lines else f"it ended with code {ran.returncode}")
    return ran.stdout


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise KarmaError(f"this system has no {program}", hint=_BY_HAND)
    return found


def _is_lingering() -> bool | None:
    """Whether the person's systemd runs without a log-in; None if logind does not answer."""
    try:
        printed = _call("loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value")
    except KarmaError:
        return None
    except _Refused as error:
        return False if "lingering" in str(error) else None  # "… is not logged in or lingering"
    return printed.strip() == "yes"


def _require(service: Autostart) -> None:
    if not service.file.exists():
        raise NotFound(f"{service.name} is not installed", hint=_INSTALL)


def _until(condition: Callable[[], bool], complaint: str) -> None:
    if not poll(condition, _POLL_S, _STOP_S):
        raise TimedOut(f"{complaint} within {_STOP_S:g} seconds", hint="karma-sync down")


def _write(file: Path, text: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, text)
