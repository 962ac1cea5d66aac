"""The plugin for Claude Code: what its hooks do, as a shell runs them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from karma_sync.daemon.main import WakeFile
from karma_sync.paths import Paths

PLUGIN = Path(__file__).resolve().parents[2] / "plugin"


def hook(name: str) -> str:
    """The shell line of the one hook for an event."""
    hooks: dict[str, Any] = json.loads((PLUGIN / "hooks" / "hooks.json").read_text())["hooks"]
    (group,) = hooks[name]
    (found,) = group["hooks"]
    return str(found["command"])


def run(line: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["sh", "-c", line], env=path | environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("variable", ["KARMA_SYNC_HOME", "XDG_STATE_HOME", "HOME"])
def test_the_end_of_a_session_wakes_the_daemon(tmp_path: Path, variable: str) -> None:
    environ = {"HOME": str(tmp_path / "home")} | {variable: str(tmp_path / "a b")}
    below = {"KARMA_SYNC_HOME": "", "XDG_STATE_HOME": "karma-sync"}
    state = tmp_path / "a b" / below.get(variable, ".local/state/karma-sync")
    state.mkdir(parents=True, mode=0o700)
    wake = WakeFile(state / "wake")
    assert not wake.was_touched()

    done = run(hook("SessionEnd"), environ)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert wake.was_touched()
    assert not wake.was_touched()
    assert (state / "wake").stat().st_mode & 0o777 == 0o600
    os.utime(state / "wake", ns=(5, 5))
    assert wake.was_touched()


def test_it_touches_the_file_that_the_daemon_looks_at(tmp_path: Path) -> None:
    run(hook("SessionEnd"), {"HOME": str(tmp_path), "KARMA_SYNC_HOME": str(tmp_path)})

    assert Paths.inside(tmp_path).wake.exists()


@pytest.mark.parametrize("name", ["SessionEnd", "SessionStart"])
def test_a_hook_succeeds_and_says_nothing_where_karma_sync_is_not(
    tmp_path: Path, name: str
) -> None:
    for environ in ({"HOME": str(tmp_path)}, {"HOME": "/nowhere", "KARMA_SYNC_CONTEXT": "1"}):
        done = run(hook(name), environ | {"PATH": "/usr/bin:/bin"})

        assert (done.returncode, done.stdout) == (0, "")
    assert not list(tmp_path.iterdir())


def test_context_at_the_start_of_a_session_is_off_unless_the_person_turns_it_on(
    tmp_path: Path,
) -> None:
    program = tmp_path / "karma-sync"
    program.write_text('#!/bin/sh\necho "ran $1"\n')
    program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}

    assert run(hook("SessionStart"), path).stdout == ""
    assert run(hook("SessionStart"), path | {"KARMA_SYNC_CONTEXT": "0"}).stdout == ""
    assert run(hook("SessionStart"), path | {"KARMA_SYNC_CONTEXT": "1"}).stdout == "ran context\n"


def test_the_plugin_starts_the_server() -> None:
    servers = json.loads((PLUGIN / ".mcp.json").read_text())["mcpServers"]

    assert [(each["command"], each["args"]) for each in servers.values()] == [
        ("karma-sync", ["mcp"])
    ]
