"""Gets the agent for `make test-agent` into build/agent, by npm from the sources it is set up for.

    python3 scripts/get_agent.py

The tests run one version, which is named here. Where there is no npm, or no such package for this
machine, nothing is got; then a warning says so, and the tests are skipped. The package is not free
software: nothing of it is part of this repository. The script uses only the standard library.
"""

import json
import platform
import shutil
import subprocess  # noqa: S404 it runs npm and tar only, with lists of arguments, never a shell
import sys
import tempfile
from pathlib import Path

from get_syncthing import BUILD, Failed, run

VERSION = "2.1.332"
PACKAGE = "@anthropic-ai/claude-code-linux"
FOLDER = BUILD / "agent"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def main() -> int:
    """Leave the program in build/agent/VERSION/claude, or say why there is none."""
    BUILD.mkdir(exist_ok=True)
    program = FOLDER / VERSION / "claude"
    try:
        if not program.exists():
            get()
        print(f"agent: {VERSION}, {program}", flush=True)
    except (Failed, OSError, subprocess.SubprocessError) as failure:
        print(f"agent: warning: none, its tests are skipped: {failure}", flush=True)
    return 0


def get() -> None:
    """Download the package and unpack it: completely, or not at all."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or shutil.which("npm") is None:
        raise Failed("it needs Linux on x86_64 or aarch64, and npm")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="agent-", dir=BUILD) as name:
        scratch = Path(name)
        run("npm", "pack", "--silent", f"{PACKAGE}-{machine}@{VERSION}", cwd=scratch)
        [archive] = scratch.glob("*.tgz")
        run("tar", "-xzf", str(archive), "-C", str(scratch))
        package = scratch / "package"
        found = json.loads((package / "package.json").read_text())["version"]
        if found != VERSION:
            raise Failed(f"npm gave version {found}, not {VERSION}")
        package.rename(FOLDER / VERSION)


if __name__ == "__main__":
    sys.exit(main())
