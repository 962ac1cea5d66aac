"""A Syncthing that cannot be used, a port that is taken: said at once, and nothing is changed."""

import socket
import tomllib
from pathlib import Path

import pytest

from karma_sync.errors import NotWritable, SyncthingError
from tests.support.faults import Unprivileged
from tests.support.harness import Member, programs
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one

# What a program that is no usable Syncthing answers, and what is said about it.
UNUSABLE = (
    ("syncthing v1.18.6 (go1.19 linux-amd64)", "is too old: syncthing v1.18.6"),
    ("nextcloud 3.0", "is not Syncthing: nextcloud 3.0"),
    (None, "cannot be run: No such file or directory\n"),
)


@pytest.fixture(scope="module")
def member(town: Town) -> Member:
    """A member whose daemon is down; no test of this module changes it."""
    found = town.member("alice")
    found.up().down()  # now all its files are there
    return found


@pytest.fixture(scope="module")
def unprivileged(town: Town) -> Member:
    """The same, and permissions hold for it; a test puts back what it spoils."""
    found = town.member("mia", kind=Unprivileged)
    found.up().down()
    return found


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        (command, *case)
        for command, cases in ((("up",), UNUSABLE), (("up", "-d"), UNUSABLE[:1]))
        for case in cases
    ],
)
def test_up_with_a_syncthing_that_cannot_be_used_exits_4_and_names_the_way_to_one(
    member: Member, tmp_path: Path, command: tuple[str, ...], answer: str | None, said: str
) -> None:
    program = tmp_path / "syncthing"
    if answer:
        _script(program, f"echo '{answer}'")
    done = _refused(member, *command, program=program)

    assert said in done
    assert "try: " in done
    assert "install" in done.lower()


@pytest.mark.parametrize("command", [("up",), ("up", "-d")])
def test_up_with_a_syncthing_that_ends_at_once_exits_4_with_its_last_words(
    member: Member, tmp_path: Path, command: tuple[str, ...]
) -> None:
    program = tmp_path / "syncthing"
    _script(
        program,
        'case "$1" in --version) exec ' + f'"{programs()[0]}" --version;; esac',
        'echo "WARNING: its disk is on fire"; exit 3',
    )
    done = _refused(member, *command, program=program)

    assert "ended with code 3" in done
    assert "its disk is on fire" in done
    assert f"see {member.paths.syncthing_log}" in done


def test_up_imports_nothing_from_where_it_is_typed(member: Member, tmp_path: Path) -> None:
    """A directory of somebody else's may hold a package of our name."""
    (tmp_path / "karma_sync").mkdir()
    (tmp_path / "karma_sync" / "__init__.py").write_text("raise SystemExit('theirs')")

    member.run("up", "-d", cwd=tmp_path, real=True)
    member.down()


@pytest.mark.parametrize("command", [("up",), ("up", "-d")])
def test_up_with_a_port_of_the_users_that_is_taken_exits_4_and_names_the_setting(
    member: Member, command: tuple[str, ...]
) -> None:
    port = int(tomllib.loads(member.paths.settings.read_text())["network"]["port"])
    with socket.create_server(("127.0.0.1", port)):
        done = _refused(member, *command)

    assert f"port {port} cannot be used" in done
    assert "try: set network.port, and the port in addresses, in " in done
    assert str(member.paths.settings) in done
    member.up().down()


@pytest.mark.parametrize("damage", ["closed", "cut", "gone", "both gone", "another machine's"])
def test_up_never_makes_another_key_in_the_place_of_one_that_cannot_be_used(
    town: Town, unprivileged: Member, damage: str
) -> None:
    """Syncthing would, and be a stranger to all peers from then on."""
    member = unprivileged
    device = member.json("code")["device"]
    certificate, key = (member.paths.syncthing / name for name in ("cert.pem", "key.pem"))
    kept = {path: path.read_bytes() for path in (certificate, key)}
    _spoil(certificate, key, damage, town)

    try:
        done = _refused(member, "up", "-d")
    finally:
        for path, content in kept.items():
            path.unlink(missing_ok=True)
            path.write_bytes(content)

    assert "the Syncthing key in" in done
    assert ("chmod 600" if damage == "closed" else "from a backup") in done
    assert member.json("code")["device"] == device


def test_up_with_a_key_that_was_put_back_is_the_same_device(unprivileged: Member) -> None:
    member = unprivileged
    device = member.json("code")["device"]
    key = member.paths.syncthing / "key.pem"
    kept = key.read_bytes()
    key.unlink()
    try:
        _refused(member, "up", "-d")
    finally:
        key.write_bytes(kept)

    member.up()

    assert member.json("code")["device"] == member.rest("system/status")["myID"] == device
    member.down()


def _spoil(certificate: Path, key: Path, damage: str, town: Town) -> None:
    if damage == "closed":
        key.chmod(0)
    elif damage == "cut":
        key.write_bytes(key.read_bytes()[:40])
    elif damage == "another machine's":
        other = town.member("zoe")
        key.write_bytes((other.paths.syncthing / "key.pem").read_bytes())
    else:
        key.unlink()
        if damage == "both gone":
            certificate.unlink()


def test_up_makes_a_syncthing_configuration_anew_that_is_gone(member: Member) -> None:
    device = member.json("code")["device"]
    (member.paths.syncthing / "config.xml").unlink()

    member.up()

    assert member.rest("system/status")["myID"] == device
    member.down()


@pytest.mark.parametrize("name", ["state.db", "work.db", "library/library.db"])
def test_up_with_a_database_that_is_not_ours_to_write_exits_1_and_names_it(
    unprivileged: Member, name: str
) -> None:
    database = unprivileged.home / name
    database.chmod(0o400)
    try:
        done = unprivileged.run("up", "-d", check=False)
    finally:
        database.chmod(0o600)

    assert done.code == NotWritable.exit_code
    assert f"{database} cannot be written" in done.err
    assert f"try: chmod 600 {database}" in done.err
    assert unprivileged.processes() == []


def _script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def _refused(member: Member, *command: str, program: Path | None = None) -> str:
    """The message of a command that must fail because of Syncthing, and change nothing."""
    before = _files(member)
    environ = member.environ
    if program:
        member.environ = environ | {"KARMA_SYNC_SYNCTHING": str(program)}
    try:
        done = member.run(*command, check=False)
    finally:
        member.environ = environ
    assert done.code == SyncthingError.exit_code, done
    assert done.err.startswith("karma-sync: "), done
    assert "Traceback" not in done.err
    assert member.processes() == []
    assert _files(member) == before
    return done.err


def _files(member: Member) -> dict[str, bytes]:
    """Every file of a home, but for logs, the empty lock and what SQLite keeps beside its own."""
    return {
        str(p.relative_to(member.home)): p.read_bytes()
        for p in member.home.rglob("*")
        if p.is_file() and not p.name.endswith((".log", ".lock", "-shm", "-wal"))
    }
