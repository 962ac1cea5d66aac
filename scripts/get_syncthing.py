"""Finds or gets a Syncthing, and writes its path into build/syncthing.env for the Makefile.

    python3 scripts/get_syncthing.py          gets one version
    python3 scripts/get_syncthing.py --both   also gets a newer version, for the tests

It takes the first of these: the program that KARMA_SYNC_SYNCTHING names, the one on PATH, one that
it unpacked earlier, the system's package. root installs the package, and so does Homebrew; for
other users it is downloaded and unpacked into build/syncthing/. The script runs before the
environment exists, so it uses only the standard library.
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

# By release, the later release that has a newer Syncthing (docs/syncthing.md, "Versions").
NEXT_SUITE = {"bookworm": "trixie", "trixie": "forky", "jammy": "noble"}

TIMEOUT = 900  # seconds for one command: a slow line may have to load package lists
APT_OPTIONS = (
    *("-o", "Acquire::Retries=2"),
    *("-o", "DPkg::Lock::Timeout=120"),  # seconds: another apt may be running
    *("-o", "Acquire::Languages=none"),
    *("-o", "APT::Update::Error-Mode=any"),  # else a dead network counts as success
    *("-o", "APT::Sandbox::User=root"),  # our folders are closed to apt's own user
)

WHAT_TO_TYPE = """Install it (Debian: apt-get install syncthing; macOS: brew install syncthing), or
name one that you have: export KARMA_SYNC_SYNCTHING=/path/to/syncthing"""


class Failed(Exception):
    """One way to get a Syncthing failed; the message names the way and the reason."""


@dataclass(frozen=True)
class Program:
    """A Syncthing that printed its version."""

    path: Path
    version: str


def main() -> int:
    """Write build/syncthing.env; returns exit code 1 only if no Syncthing was found."""
    parser = argparse.ArgumentParser(description="Find or get a Syncthing to run.")
    parser.add_argument("--both", action="store_true", help="get a newer one as well")
    both = parser.parse_args().both
    BUILD.mkdir(exist_ok=True)
    try:
        first = first_program()
    except Failed as failure:
        sys.stderr.write(f"No Syncthing was found:\n{failure}\n{WHAT_TO_TYPE}\n")
        return 1
    show(f"{first.version}, {first.path}")
    second = second_program(first) if both else unpacked(SECOND)
    lines = [f"KARMA_SYNC_SYNCTHING={first.path}"]
    if second is not None:
        show(f"{second.version}, {second.path}")
        lines.append(f"KARMA_SYNC_SYNCTHING_2={second.path}")
    (BUILD / "syncthing.env").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def show(text: str) -> None:
    """Print one line of progress."""
    print(f"syncthing: {text}", flush=True)


def first_program() -> Program:
    """The Syncthing for all uses; raises Failed with the failure of each way."""
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
    raise Failed("\n".join(failures) or "this system has neither apt-get nor brew")


def second_program(first: Program) -> Program | None:
    """A newer Syncthing than `first`; None, after a warning, if there is none."""
    try:
        second = named_by("KARMA_SYNC_SYNCTHING_2") or unpacked(SECOND)
        second = second or unpack(SECOND, next_sources)
    except Failed as failure:
        show(f"warning: no second version, the tests run with one: {failure}")
        show("warning: to try again type: make syncthing")
        return None
    if second.version == first.version:
        show(f"warning: the second version is {first.version} too, the tests run with one")
        return None
    return second


def named_by(variable: str) -> Program | None:
    """The program that an environment variable names; raises Failed if it does not run."""
    value = os.environ.get(variable)
    if not value:
        return None
    path = shutil.which(value)
    if path is None:
        raise Failed(f"{variable} is {value}: there is no such program")
    return probe(Path(path).absolute())


def on_path() -> Program | None:
    """The program that a shell would start, if it runs."""
    path = shutil.which("syncthing")
    return quiet_probe(Path(path).absolute()) if path else None


def unpacked(folder: Path) -> Program | None:
    """The program that was unpacked into `folder` earlier, if it still runs."""
    path = program_in(folder)
    return quiet_probe(path) if path.exists() else None


def ways() -> list[Callable[[], Program]]:
    """The ways to get a Syncthing on this machine, best first."""
    if shutil.which("apt-get") and shutil.which("dpkg"):
        download = [lambda: unpack(FIRST, system_lists), lambda: unpack(FIRST, own_lists)]
        return [install, *download] if os.geteuid() == 0 else download
    return [brew] if shutil.which("brew") else []


def install() -> Program:
    """Install the system's package as root; with new package lists if the old ones fail."""
    show("apt-get install syncthing")
    command = ("apt-get", *APT_OPTIONS, "install", "--yes", "--no-install-recommends", "syncthing")
    try:
        run(*command)
    except Failed:
        show("apt-get update")
        run("apt-get", *APT_OPTIONS, "update")
        run(*command)
    return installed("apt-get install syncthing")


def brew() -> Program:
    """Install v2, the only version that Homebrew has (macOS, and Linux with Homebrew)."""
    show("brew install syncthing")
    run("brew", "install", "syncthing")
    return installed("brew install syncthing")


def installed(how: str) -> Program:
    """The program that an installation put on PATH; raises Failed if there is none."""
    found = on_path()
    if found is None:
        raise Failed(f"{how}: succeeded, but there is no syncthing on PATH")
    return found


def unpack(folder: Path, apt_in: Callable[[Path], tuple[str, ...]]) -> Program:
    """Download the package and unpack it into `folder`: completely, or not at all."""
    with tempfile.TemporaryDirectory(prefix="syncthing-", dir=BUILD) as name:
        scratch = Path(name)
        options = apt_in(scratch)
        show("apt-get download syncthing")
        run("apt-get", *APT_OPTIONS, *options, "download", "syncthing", cwd=scratch)
        package = next(scratch.glob("syncthing_*.deb"))
        run("dpkg", "-x", str(package), str(scratch / "package"))
        probe(program_in(scratch / "package"))
        shutil.rmtree(folder, ignore_errors=True)
        (scratch / "package").rename(folder)
    return probe(program_in(folder))


def system_lists(_scratch: Path) -> tuple[str, ...]:
    """Options for apt with the system's package lists, which may be missing, old or unreadable."""
    return ()


def own_lists(scratch: Path, *more: str) -> tuple[str, ...]:
    """Options for apt with package lists of our own in `scratch`; needs no special rights."""
    for part in ("lists/partial", "cache/archives/partial"):
        (scratch / part).mkdir(parents=True)
    (scratch / "status").touch()  # an installed package must not count as the candidate
    options = (
        *("-o", f"Dir::State::Lists={scratch / 'lists'}"),
        *("-o", f"Dir::State::Status={scratch / 'status'}"),
        *("-o", f"Dir::Cache={scratch / 'cache'}"),
        *more,
    )
    show("apt-get update, with package lists of our own")
    try:
        run("apt-get", *APT_OPTIONS, *options, "update")
    except Failed as failure:  # a dead source, or a hook for root: the other sources may suffice
        show(f"warning: {failure}")
    return options


def next_sources(scratch: Path) -> tuple[str, ...]:
    """Options for apt with the system's source entries, changed to the next release's suite."""
    codename = codename_here()
    if (suite := NEXT_SUITE.get(codename)) is None:
        raise Failed(f"no release with a newer Syncthing is known for {codename or 'this system'}")
    show(f"looking in {suite} for a newer one")
    return sources_of(scratch, codename, suite)


def sources_of(scratch: Path, codename: str, suite: str) -> tuple[str, ...]:
    """Options for apt with the system's source entries, changed from this release to another."""
    parts = scratch / "sources"
    parts.mkdir()
    whole_word = rf"(?<!\S){codename}(?![^\s-])"  # also the start of bookworm-updates
    for source in source_files(codename):
        text = re.sub(whole_word, suite, source.read_text(encoding="utf-8"))
        (parts / source.name).write_text(text, encoding="utf-8")
    return own_lists(
        scratch,
        *("-o", "Dir::Etc::SourceList=/dev/null"),
        *("-o", f"Dir::Etc::SourceParts={parts}"),
    )


def codename_here() -> str:
    """This release's name, as in its source entries; "" if it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def source_files(codename: str) -> set[Path]:
    """The files with the system's own source entries, of either format, as apt lists them."""
    printed = run(
        *("apt-get", "indextargets", "--no-release-info", "Created-By: Packages"),
        *("--format", "$(RELEASE) $(COMPONENT) $(SOURCESENTRY)"),
    )
    ours = (f"{codename} main ", f"{codename} universe ")  # Debian's and Ubuntu's component
    files = {
        Path(line.split(maxsplit=2)[2].rpartition(":")[0])  # printed as FILE:NUMBER
        for line in printed.splitlines()
        if line.startswith(ours)
    }
    if not files:
        raise Failed(f"apt has no source entry for {codename}")
    return files


def program_in(folder: Path) -> Path:
    """The program's path inside an unpacked Debian package."""
    return folder / "usr" / "bin" / "syncthing"


def probe(path: Path) -> Program:
    """The program at `path` with its version; raises Failed if it does not run."""
    words = run(str(path), "--version").split()
    if words[:1] != ["syncthing"] or len(words) < 2:
        raise Failed(f"{path}: it does not print a version of Syncthing")
    return Program(path, words[1])


def quiet_probe(path: Path) -> Program | None:
    """The program at `path`; None if it does not run, or is not Syncthing."""
    try:
        return probe(path)
    except Failed:
        return None


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a command; returns its output, or raises Failed with its name and its error."""
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
        lines = (done.stderr or done.stdout).strip().splitlines()
        causes = [line for line in lines if line.startswith(("E:", "Error:"))]  # apt, brew
        raise Failed(f"{shown}: {[*causes, *lines[-1:], f'exit code {done.returncode}'][0]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
