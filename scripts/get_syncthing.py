"""Makes sure that there is a Syncthing to run, and writes build/syncthing.env to tell where.

    python3 scripts/get_syncthing.py          one, wherever it can be had
    python3 scripts/get_syncthing.py --both   and a newer one beside it, for the tests

Taken is the first that there is: the one KARMA_SYNC_SYNCTHING names, the one on PATH, one
unpacked earlier, the system's package (installed by root, by Homebrew, or downloaded and
unpacked into build/syncthing/ for anybody else). It runs before there is an environment, so it
uses the standard library only.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
FIRST, SECOND = BUILD / "syncthing", BUILD / "syncthing-2"  # where packages are unpacked

# Where a release finds a newer Syncthing, which runs there (docs/syncthing.md, "Versions").
NEXT_SUITE = {"bookworm": "trixie", "trixie": "forky", "jammy": "noble"}

TIMEOUT = 900  # seconds for one command: a package list over a slow line
APT_OPTIONS = (
    *("-o", "Acquire::Retries=2"),
    *("-o", "DPkg::Lock::Timeout=120"),  # seconds: another apt may be at work
    *("-o", "Acquire::Languages=none"),
    *("-o", "APT::Update::Error-Mode=any"),  # or a dead network would pass for a success
    *("-o", "APT::Sandbox::User=root"),  # our folders are closed to apt's own user
)

WHAT_TO_TYPE = """Install it (Debian: apt-get install syncthing; macOS: brew install syncthing), or
name one that you have: export KARMA_SYNC_SYNCTHING=/path/to/syncthing"""


class Failed(Exception):
    """One way to a Syncthing did not work; the message says which and why."""


@dataclass(frozen=True)
class Program:
    """A Syncthing that answered when asked for its version."""

    path: Path
    version: str


def main() -> int:
    """Writes build/syncthing.env; exit code 1 only if there is no Syncthing at all."""
    parser = argparse.ArgumentParser(description="Make sure that there is a Syncthing to run.")
    parser.add_argument("--both", action="store_true", help="get a newer one as well")
    both = parser.parse_args().both
    BUILD.mkdir(exist_ok=True)
    try:
        first = first_program()
    except Failed as failure:
        sys.stderr.write(f"No Syncthing could be had:\n{failure}\n{WHAT_TO_TYPE}\n")
        return 1
    say(f"{first.version}, {first.path}")
    second = second_program(first) if both else unpacked(SECOND)
    lines = [f"KARMA_SYNC_SYNCTHING={first.path}"]
    if second is not None:
        say(f"{second.version}, {second.path}")
        lines.append(f"KARMA_SYNC_SYNCTHING_2={second.path}")
    (BUILD / "syncthing.env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def say(text: str) -> None:
    """Tells whoever waits."""
    print(f"syncthing: {text}", flush=True)


def first_program() -> Program:
    """The Syncthing for everything; raises Failed with every way that was tried."""
    if named := named_by("KARMA_SYNC_SYNCTHING"):
        return named
    if found := on_path() or unpacked(FIRST):
        return found
    failures = []
    for way in ways():
        try:
            return way()
        except Failed as failure:
            failures.append(str(failure))
    raise Failed("\n".join(failures) or "neither apt-get nor brew is here to get it with")


def second_program(first: Program) -> Program | None:
    """A newer Syncthing than `first`, or None with a warning: the tests then run with one."""
    try:
        second = named_by("KARMA_SYNC_SYNCTHING_2") or unpacked(SECOND)
        second = second or unpack(SECOND, next_sources)
    except Failed as failure:
        say(f"warning: no second version, the tests run with one: {failure}")
        say("warning: to try again type: make syncthing")
        return None
    if second.version == first.version:
        say(f"warning: the second version is {first.version} too, the tests run with one")
        return None
    return second


def named_by(variable: str) -> Program | None:
    """The program an environment variable names; raises Failed if that does not run."""
    value = os.environ.get(variable)
    if not value:
        return None
    path = shutil.which(value)
    if path is None:
        raise Failed(f"{variable} is {value}: there is no such program")
    return probe(Path(path).absolute())


def on_path() -> Program | None:
    """The one a shell would start, if it runs."""
    path = shutil.which("syncthing")
    return quiet_probe(Path(path).absolute()) if path else None


def unpacked(folder: Path) -> Program | None:
    """The one unpacked into `folder` earlier, if it still runs."""
    path = program_in(folder)
    return quiet_probe(path) if path.exists() else None


def ways() -> list[Callable[[], Program]]:
    """How this machine can be given a Syncthing, best first."""
    if shutil.which("apt-get") and shutil.which("dpkg"):
        download = [lambda: unpack(FIRST, system_lists), lambda: unpack(FIRST, own_lists)]
        return [install, *download] if os.geteuid() == 0 else download
    return [brew] if shutil.which("brew") else []


def install() -> Program:
    """Root's way: the system's package, with fresh package lists if the old ones do not do."""
    say("apt-get install syncthing")
    command = ("apt-get", *APT_OPTIONS, "install", "--yes", "--no-install-recommends", "syncthing")
    try:
        run(*command)
    except Failed:
        say("apt-get update")
        run("apt-get", *APT_OPTIONS, "update")
        run(*command)
    return installed("apt-get install syncthing")


def brew() -> Program:
    """macOS (and Linux with Homebrew): v2, the only one that Homebrew has."""
    say("brew install syncthing")
    run("brew", "install", "syncthing")
    return installed("brew install syncthing")


def installed(how: str) -> Program:
    """What an installation put on PATH; raises Failed if there is nothing."""
    found = on_path()
    if found is None:
        raise Failed(f"{how}: went well, and yet there is no syncthing on PATH")
    return found


def unpack(folder: Path, apt_in: Callable[[Path], tuple[str, ...]]) -> Program:
    """Downloads the package and unpacks it into `folder`, which holds all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix="syncthing-", dir=BUILD) as name:
        scratch = Path(name)
        options = apt_in(scratch)
        say("apt-get download syncthing")
        run("apt-get", *APT_OPTIONS, *options, "download", "syncthing", cwd=scratch)
        package = next(scratch.glob("syncthing_*.deb"))
        run("dpkg", "-x", str(package), str(scratch / "package"))
        probe(program_in(scratch / "package"))
        shutil.rmtree(folder, ignore_errors=True)
        (scratch / "package").rename(folder)
    return probe(program_in(folder))


def system_lists(_scratch: Path) -> tuple[str, ...]:
    """Apt as it is: its package lists may be missing, old, or not ours to read."""
    return ()


def own_lists(scratch: Path, *more: str) -> tuple[str, ...]:
    """Apt with package lists of our own, in `scratch`: needs no rights and changes nothing."""
    for part in ("lists/partial", "cache/archives/partial"):
        (scratch / part).mkdir(parents=True)
    (scratch / "status").touch()  # what is installed must not count as the candidate
    options = (
        *("-o", f"Dir::State::Lists={scratch / 'lists'}"),
        *("-o", f"Dir::State::Status={scratch / 'status'}"),
        *("-o", f"Dir::Cache={scratch / 'cache'}"),
        *more,
    )
    say("apt-get update, with package lists of our own")
    try:
        run("apt-get", *APT_OPTIONS, *options, "update")
    except Failed as failure:  # one dead source, or a hook for root only: the rest may do
        say(f"warning: {failure}")
    return options


def next_sources(scratch: Path) -> tuple[str, ...]:
    """Apt with the machine's own source entries, but with the next release's suite in them."""
    codename = codename_here()
    if (suite := NEXT_SUITE.get(codename)) is None:
        raise Failed(f"no release with a newer one is known for {codename or 'this system'}")
    parts = scratch / "sources"
    parts.mkdir()
    whole_word = rf"(?<!\S){codename}(?![^\s-])"  # or the start of bookworm-updates
    for source in source_files(codename):
        text = re.sub(whole_word, suite, source.read_text(encoding="utf-8"))
        (parts / source.name).write_text(text, encoding="utf-8")
    say(f"looking in {suite} for a newer one")
    return own_lists(
        scratch,
        *("-o", "Dir::Etc::SourceList=/dev/null"),
        *("-o", f"Dir::Etc::SourceParts={parts}"),
    )


def codename_here() -> str:
    """This release's name, as its source entries say it; empty where there is none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def source_files(codename: str) -> set[Path]:
    """The files with the system's own source entries; apt knows where, in either format."""
    told = run(
        *("apt-get", "indextargets", "--no-release-info", "Created-By: Packages"),
        *("--format", "$(RELEASE) $(COMPONENT) $(SOURCESENTRY)"),
    )
    ours = (f"{codename} main ", f"{codename} universe ")  # Debian's and Ubuntu's component
    files = {
        Path(line.split(maxsplit=2)[2].rpartition(":")[0])  # the entry is told as FILE:NUMBER
        for line in told.splitlines()
        if line.startswith(ours)
    }
    if not files:
        raise Failed(f"apt has no source entry for {codename}")
    return files


def program_in(folder: Path) -> Path:
    """Where a Debian package keeps the program."""
    return folder / "usr" / "bin" / "syncthing"


def probe(path: Path) -> Program:
    """The program at `path` with its version; raises Failed if it does not run."""
    told = run(str(path), "--version")
    words = told.split()
    if words[:1] != ["syncthing"] or len(words) < 2:
        raise Failed(f"{path}: its --version does not read like Syncthing's")
    return Program(path, words[1])


def quiet_probe(path: Path) -> Program | None:
    """The same for a place that may hold something else."""
    try:
        return probe(path)
    except Failed:
        return None


def run(*command: str, cwd: Path | None = None) -> str:
    """What the command printed; raises Failed with its name and its complaint."""
    shown = " ".join(word for word in command if re.fullmatch(r"[a-z-]{3,}|/.*/syncthing", word))
    try:
        done = subprocess.run(  # noqa: S603  our own fixed commands, no shell
            command,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{shown}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        causes = [line for line in said if line.startswith(("E:", "Error:"))]  # apt, brew
        raise Failed(f"{shown}: {[*causes, *said[-1:], f'exit code {done.returncode}'][0]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
