"""Every command where something about user, directory or locale is unusual: never a traceback."""

import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from typer.main import get_command

import karma_sync
from karma_sync.cli.main import app
from tests.support import forking
from tests.support.harness import COMMAND_S, Member, programs
from tests.unit.cli.test_command_table import leaves

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one

STRANGER = 54_321  # a user that no system lists
FORKING = Path(forking.__file__).read_text()
NOT_UTF8 = os.fsdecode(b"\xff")
TYPED: Mapping[str, Sequence[str]] = {
    "accept": ["."],
    "decline": ["."],
    "demo": ["--report", "x"],  # refused: a demo takes long
    "exclude": ["foo"],
    "join": ["KSI1-" + "ABC" * 40],
    "observation add": ["--title", "A", "--content", "B", "--project", "."],
    "observation delete": ["k-abc"],
    "observation export": ["--engram", "."],
    "observation import": ["--engram", "."],
    "observation preview": ["k-abc"],
    "observation search": ["hello"],
    "observation share": ["."],
    "observation show": ["k-abc"],
    "observation unshare": ["k-abc"],
    "observation withhold": ["k-abc"],
    "pair": ["CODE"],
    "project alias": ["."],
    "project map": [".", "https://example.org/acme/web"],
    "project share": [".", "--dry-run"],
    "project unshare": ["web"],
    "redact": ["--literal"],
    "rename": ["--machine", "other"],
    "search": ["hello"],
    "session export": ["abc", "--to", "exported"],
    "session purge": ["abc"],
    "subscription accept": ["."],
    "subscription change": ["."],
    "subscription decline": ["."],
    "subscription pause": ["."],
    "subscription reopen": ["."],
    "subscription resume": ["."],
    "team add": ["abcdefg"],
    "team create": ["backend"],
    "team guest": ["CODE", "--project", "web"],
    "team remove": ["eve.box"],
    "team rename": ["platform"],
    "team transfer": ["eve.box"],
    "who": ["README.md"],
}
# They begin what the last one ends.
BEGINNING = (["up", "-d"], ["invite", "--team", "platform", "--no-wait", "--yes"], ["down"])
# Stands for systemctl and launchctl, which would change this machine: nothing starts with it.
MANAGER = """#!/bin/sh
case "$*" in *start*) echo "nothing starts here" >&2; exit 1 ;; esac
"""
CODES = set(range(12))  # docs/exit-codes.md


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    command: str
    code: int
    out: str
    err: str


@pytest.fixture
def bob() -> Iterator[Member]:
    """A member in a directory whose name is not ASCII, and that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="ü") as made:
        Path(made).chmod(0o755)
        member = Member(Path(made), "bob", programs()[0])
        for name in ("systemctl", "launchctl"):
            manager = member.folder / "bin" / name
            manager.parent.mkdir(exist_ok=True)
            manager.write_text(MANAGER)
            manager.chmod(0o755)
        member.environ["PATH"] = f"{manager.parent}:{member.environ['PATH']}"
        member.init()
        yield member
        left = member.processes()
        for process in left:
            process.terminate()
        member.forget()
        assert left == []


def commands() -> list[list[str]]:
    root: Any = get_command(app)
    alone = {n for n, each in root.commands.items() if getattr(each, "invoke_without_command", 0)}
    names = sorted(
        {*leaves(root, ""), *alone} - {"up", "invite"}
    )  # they are among those that begin
    return [*([*name.split(), *arguments(root, name)] for name in names), *BEGINNING]


def arguments(command: Any, name: str) -> list[str]:
    """The arguments that a command needs at least."""
    if name in TYPED:
        return list(TYPED[name])
    for word in name.split():
        command = command.commands[word]
    needed = [each for each in command.params if each.required]
    return [
        word
        for each in needed
        for word in ([each.opts[0]] if each.param_type_name == "option" else []) + ["abc"]
    ]


def run_all(
    member: Member,
    prefix: Sequence[str] = (),
    more: Sequence[str] = (),
    cwd: Path | None = None,
    environ: Mapping[str, str | None] = MappingProxyType({}),
) -> list[Ended]:
    """Run every command; each ends by itself, with a code that is documented.

    The first, which changes nothing, has a process of its own too, and ends the same.
    """
    spared = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}  # `up -d` leaves a process
    given = {**member.environ, **spared, **environ}
    changed = {name: value for name, value in given.items() if value is not None}
    typed = [["status", *more], *([*each, *more] for each in commands())]

    def run(command: Sequence[str]) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [*prefix, *command],
            env=changed,
            cwd=cwd or member.repo,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=len(typed) * COMMAND_S,
            check=False,
        )

    alone = run(member.command(typed[0]))
    forked = run([sys.executable, "-P", "-c", FORKING, json.dumps(typed)])
    assert forked.returncode == 0, forked
    ended = [
        Ended(" ".join(args), *found)
        for args, found in zip(typed, json.loads(forked.stdout), strict=True)
    ]
    texts = [each.decode(errors="replace") for each in (alone.stdout, alone.stderr)]
    assert ended[0] == Ended(ended[0].command, alone.returncode, *texts)
    for each in ended:
        assert "Traceback" not in each.err, each
        assert "Missing" not in each.err, each  # it would end before it does anything
        assert each.code in CODES, each
        if each.code not in {0, 2}:
            assert "  try: " in each.err, each
    return ended


def of_service(ended: Ended) -> bool:
    """Whether the command asks the service manager, which has files of its own."""
    return ended.command.startswith("service ")


def as_stranger(member: Member) -> list[str]:
    """The words before a command that have an unknown user run it, with the member's files."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    for path in (member.folder, *member.folder.rglob("*")):
        os.lchown(path, STRANGER, STRANGER)
    ids = (f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
    return [*readable_code(member), "setpriv", *ids]


def readable_code(member: Member) -> list[str]:
    """The words before a command that let every user read our code and its packages.

    They may lie below a directory that nobody else may enter, as a checkout in a directory of
    `mktemp -d` does. Then a copy beside the member's files takes their place.
    """
    own, packages = Path(karma_sync.__file__).parent, Path(sysconfig.get_path("purelib"))
    above = {*own.parents, packages, *packages.parents}
    if all(place.stat().st_mode & stat.S_IXOTH for place in above):
        return []
    copy = member.folder.parent / "packages"
    unneeded = shutil.ignore_patterns("__pycache__", "mypy*", "pip*", "ruff*")
    shutil.copytree(packages, copy, ignore=unneeded, dirs_exist_ok=True)
    shutil.copytree(own, copy / own.name, ignore=unneeded, dirs_exist_ok=True)
    return ["env", f"PYTHONPATH={copy}"]


def test_an_argument_that_is_not_utf8(bob: Member) -> None:
    for each in run_all(bob, more=[NOT_UTF8]):
        assert each.code == 2, each
        assert "is not UTF-8" in each.err


def test_a_current_directory_that_was_deleted(bob: Member) -> None:
    # a shell goes on in a directory that another one deletes
    gone = ["/bin/sh", "-c", 'd=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"', "sh"]

    ended = {each.command: each for each in run_all(bob, gone)}

    for command in ("exclude foo", "accept .", "project share . --dry-run"):
        assert "the current directory does not exist any more" in ended[command].err


def test_a_locale_that_knows_only_ascii(bob: Member) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    clone = bob.clone("https://example.org/acme/web.git", "wéb")

    ended = {each.command: each for each in run_all(bob, cwd=clone, environ=plain)}

    assert ended["status"].code == 0
    assert ended["project share . --dry-run"].code == 5  # there is no team yet


def test_a_user_whom_the_system_does_not_list_without_a_home(bob: Member) -> None:
    ended = {each.command: each for each in run_all(bob, as_stranger(bob), environ={"HOME": None})}

    assert ended["status"].code == 0
    assert ended["session list"].code == 0
    assert "HOME is not set" in ended["exclude foo"].err
    # where this Python is closed to others, nobody is told to make it their own
    assert [each for each in ended.values() if "chown" in each.err] == []
    named = [*bob.command(["init", "--user", "a", "--machine", "b"])]
    elsewhere = bob.environ | {"KARMA_SYNC_HOME": str(bob.folder / "other")}
    done = subprocess.run([*as_stranger(bob), *named], env=elsewhere, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "names",
    [
        ["library/library.db", "state.db"],
        pytest.param(["intent.json"], marks=pytest.mark.slow),
        pytest.param(["."], marks=pytest.mark.slow),
    ],
)
def test_files_that_root_made(bob: Member, names: list[str]) -> None:
    bob.run("exclude", "something")
    bob.run("session", "list")
    prefix = as_stranger(bob)
    for name in names:
        for path in {bob.home / name, *bob.home.glob(f"{name}-*")}:
            os.chown(path, 0, 0)
    before = {p: p.read_bytes() for p in bob.home.glob("*.json")}

    ended = [each for each in run_all(bob, prefix) if not of_service(each)]
    # it starts this Python, which may be closed to others
    failed = [each for each in ended if each.code == 1 and sys.executable not in each.err]

    assert failed
    for each in failed:
        assert f"sudo chown -R {STRANGER} " in each.err, each
        assert "it belongs to root" in each.err, each
    assert {p: p.read_bytes() for p in bob.home.glob("*.json")} == before


def test_root_does_nothing_in_the_home_of_another_user(bob: Member) -> None:
    as_stranger(bob)
    before = sorted((p, p.lstat().st_uid) for p in bob.home.rglob("*"))

    for each in run_all(bob):
        in_home = each.command != "observation manifest"  # it reads a directory of Engram alone
        if each.code != 2 and in_home and not of_service(each):
            assert (each.code, "without sudo" in each.err) == (6, True), each
    assert sorted((p, p.lstat().st_uid) for p in bob.home.rglob("*")) == before
