"""Fills in the templates of the systemd unit and the launchd property list.

Every path in them is absolute and literal. Neither manager starts us with the environment of a
login shell. So the variables that decide where our files are, and which programs we find, are
written into the file at installation.
"""

import plistlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.errors import BadInput, KarmaError
from karma_sync.paths import PROGRAM, Paths, expanded, short_hash

_SYSTEMD = "systemd/karma-sync.service.in"
_LAUNCHD = "launchd/karma-sync.plist.in"
# Each names a directory or a program; PATH is a list of directories.
_CARRIED = (
    *("KARMA_SYNC_HOME", "CLAUDE_CONFIG_DIR", "KARMA_SYNC_SYNCTHING"),
    *("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
)
_UNSAFE = re.compile(r"""["'\\\x00-\x1f\x7f]""")  # systemd 252 refuses a program with these


@dataclass(frozen=True)
class Launch:
    """How to start the daemon: its command line, its environment variables, and its log file."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    log: Path

    @classmethod
    def plan(cls, environ: Mapping[str, str], paths: Paths, python: str) -> "Launch":
        """The daemon of the home that `environ` names, run by the interpreter `python`.

        It runs the interpreter, not the script `karma-sync`: the interpreter's path stays the same
        when pipx or uv upgrades us. With `-P`, Python imports nothing from the current directory.

        Raises:
            KarmaError: `python` is not an absolute path.
        """
        if not Path(python).is_absolute():
            raise KarmaError(f"the path of this Python is not absolute: {python!r}")
        command = (python, "-P", "-m", "karma_sync", "up")
        return cls(command, tuple(_carried(environ)), paths.log)


def service_name(environ: Mapping[str, str]) -> str:
    """`karma-sync`; with KARMA_SYNC_HOME set, `karma-sync-` and a hash of that path."""
    home = environ.get("KARMA_SYNC_HOME")
    return f"{PROGRAM}-{short_hash(_absolute(home))[:8]}" if home else PROGRAM


def systemd_unit(launch: Launch, name: str) -> bytes:
    """The user unit `name`, by systemd.syntax(7), systemd.service(5) and systemd.exec(5).

    Raises:
        BadInput: systemd would refuse the interpreter because of its path.
    """
    program, *arguments = launch.command
    if _UNSAFE.search(program):
        raise BadInput(
            f"systemd runs no program with a quote or a backslash in its path: {program}",
            hint="install karma-sync elsewhere, or: karma-sync up -d",
        )
    # The colon keeps systemd from expanding $NAME in the command.
    command = " ".join(_quoted(word) for word in (f":{program}", *arguments))
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in launch.environment]
    values = {"@NAME@": name, "@COMMAND@": command, "@ENVIRONMENT@": "\n".join(lines)}
    text = _template(_SYSTEMD).decode()
    return "\n".join(_filled(line, values) for line in text.split("\n")).encode(
        errors="surrogateescape"
    )


def launchd_plist(launch: Launch, label: str) -> bytes:
    """The property list of the LaunchAgent `label`, by launchd.plist(5)."""
    agent = plistlib.loads(_template(_LAUNCHD), fmt=plistlib.FMT_XML)
    agent["Label"] = label
    agent["ProgramArguments"] = [*launch.command, "--log-to-file"]
    agent["EnvironmentVariables"] = dict(launch.environment)
    agent["StandardOutPath"] = agent["StandardErrorPath"] = str(launch.log)
    return plistlib.dumps(agent, sort_keys=False)


def _carried(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    found = [(name, _absolute(environ[name])) for name in _CARRIED if environ.get(name)]
    search = [part for part in environ.get("PATH", "").split(":") if part.startswith("/")]
    return [*found, ("PATH", ":".join(dict.fromkeys(search)))] if search else found


def _absolute(path: str) -> str:
    return str(expanded(path))


def _quoted(word: str) -> str:
    """One word of a unit file, quoted: systemd unquotes it, then expands %-specifiers."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{plain.replace("%", "%%")}"'


def _filled(line: str, values: Mapping[str, str]) -> str:
    """The line with its one placeholder replaced; the value is not searched for placeholders."""
    for placeholder, value in values.items():
        if placeholder in line:
            return line.replace(placeholder, value)
    return line


def _template(name: str) -> bytes:
    """A template file: inside the package as installed by a wheel, else beside it in a checkout."""
    package = Path(__file__).parents[1]
    for root in (package / "share", package.parent):
        if (root / name).is_file():
            return (root / name).read_bytes()
    raise KarmaError(f"this installation lacks {name}", hint="install karma-sync again")
