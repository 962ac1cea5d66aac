"""Gets the git of an old release into build/old-git, for the tests of what is asked of git.

    python3 scripts/get_old_git.py

The README names the oldest git that karma-sync works with. A system whose apt has no such release
gets none; then a warning says so, and the tests run with the system's git alone. The script uses
only the standard library, like get_syncthing.py.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from get_syncthing import APT_OPTIONS, BUILD, Failed, codename_here, run, sources_of

FOLDER = BUILD / "old-git"
# By release, the oldest release whose packages are still served: Debian 11 has git 2.30.2, Ubuntu
# 20.04 has 2.25.1.
OLD_SUITE = {"bookworm": "bullseye", "trixie": "bullseye", "jammy": "focal", "noble": "focal"}


def main() -> int:
    """Leave the program in build/old-git/usr/bin, or say why there is none."""
    program = FOLDER / "usr" / "bin" / "git"
    BUILD.mkdir(exist_ok=True)
    try:
        if not program.exists():
            get()
        print(f"old git: {run(str(program), '--version').split()[2]}, {program}", flush=True)
    except Failed as failure:
        shutil.rmtree(FOLDER, ignore_errors=True)
        print(f"old git: warning: none, the tests run with the system's: {failure}", flush=True)
    return 0


def get() -> None:
    """Download the package of the old release and unpack it: completely, or not at all."""
    codename = codename_here()
    if shutil.which("apt-get") is None or (suite := OLD_SUITE.get(codename)) is None:
        raise Failed(f"no release with an older git is known for {codename or 'this system'}")
    with tempfile.TemporaryDirectory(prefix="git-", dir=BUILD) as name:
        scratch = Path(name)
        options = sources_of(scratch, codename, suite)
        run("apt-get", *APT_OPTIONS, *options, "download", "git", cwd=scratch)
        package = next(scratch.glob("git_*.deb"))
        run("dpkg", "-x", str(package), str(scratch / "package"))
        run(str(scratch / "package" / "usr" / "bin" / "git"), "--version")
        (scratch / "package").rename(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
