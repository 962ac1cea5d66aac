"""The wheel that pipx and uv install: everything is in it, and it runs far from the checkout."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from karma_sync import __version__

ROOT = Path(__file__).resolve().parents[2]
BUILD_S = 240

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("hatchling") is None,
        reason="hatchling, which builds the wheel, is not in this environment (make env)",
    ),
]


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that must succeed. No setting of ours comes in by the environment."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KARMA_"))}
    done = subprocess.run(
        [*command], capture_output=True, text=True, timeout=BUILD_S, cwd=cwd, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out))
    run(sys.executable, "-m", "pip", "wheel", *options, str(ROOT), cwd=out)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new environment that has the wheel, and our packages from this one."""
    place = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", str(place), cwd=place)
    options = ("--quiet", "--no-deps", "--no-index")
    run(place / "bin" / "python", "-m", "pip", "install", *options, str(wheel), cwd=place)
    inside = run(
        *(place / "bin" / "python", "-c"),
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=place,
    )
    # A path that a .pth file adds comes last, and its own .pth files are not read: the packages
    # are seen, the checkout is not.
    Path(inside.strip(), "packages.pth").write_text(sysconfig.get_path("purelib"))
    return place / "bin"


def test_the_wheel_has_the_code_the_units_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {
        "karma_sync/cli/main.py",
        "karma_sync/share/systemd/karma-sync.service.in",
        "karma_sync/share/launchd/karma-sync.plist.in",
    } <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"karma_sync"}


def test_the_installed_command_knows_its_version(installed: Path) -> None:
    said = run(installed / "karma-sync", "--version", cwd=installed)

    assert said == f"karma-sync {__version__}\n"


def test_the_installed_command_can_install_the_service(installed: Path) -> None:
    assert "Usage" in run(installed / "karma-sync", "service", "install", "--help", cwd=installed)


def test_the_installed_units_name_the_interpreter_of_the_installation(installed: Path) -> None:
    said = run(
        *(installed / "python", "-P", "-c"),
        "import json, os, sys\n"
        "from karma_sync.paths import Paths\n"
        "from karma_sync.daemon import service_units as units\n"
        "launch = units.Launch.plan(os.environ, Paths.from_environment({}), sys.executable)\n"
        "made = units.systemd_unit(launch, 'x'), units.launchd_plist(launch, 'x')\n"
        "print(json.dumps([units.__file__, *(text.decode() for text in made)]))\n",
        cwd=installed,
    )
    module, unit, plist = json.loads(said)

    assert Path(module).is_relative_to(installed.parent)
    assert f'ExecStart=":{installed / "python"}" "-P" "-m" "karma_sync" "up"' in unit
    assert f"<string>{installed / 'python'}</string>" in plist
