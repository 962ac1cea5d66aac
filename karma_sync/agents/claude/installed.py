"""Tells which version of Claude Code is installed, without starting it."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_MOST_BYTES = 1 << 16
_LEVELS = 5  # above the program, in which its package may be
# Tried: these versions take a file after `--resume`, with `--fork-session` beside it.
TAKES_FILES = frozenset({"2.1.332"})


def installed_version(environ: Mapping[str, str]) -> str:
    """The version of the program that `claude` starts; "" if its place does not tell.

    The installer puts it into a directory of versions, npm into a package.
    """
    found = shutil.which("claude", path=environ.get("PATH"))
    if found is None:
        return ""
    program = Path(os.path.realpath(found))
    if _VERSION.fullmatch(program.name):
        return program.name
    for directory in list(program.parents)[:_LEVELS]:
        version = _package_version(directory / "package.json")
        if version:
            return version
    return ""


def _package_version(path: Path) -> str:
    try:
        with path.open("rb") as source:
            package = json.loads(source.read(_MOST_BYTES))
        name, version = package["name"], package["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    is_agent = isinstance(name, str) and name.startswith("@anthropic-ai/claude-code")
    return version if is_agent and isinstance(version, str) and _VERSION.match(version) else ""
