"""Alone, without a team and without Syncthing: sessions are kept, found and put back."""

import shutil
from pathlib import Path

import pytest

from tests.support.harness import Member, programs, until
from tests.support.town import Town

pytestmark = pytest.mark.daemon


class Hermit(Member):
    """A member on whose machine no Syncthing is installed, until it is."""

    def __init__(self, folder: Path, user: str, program: Path) -> None:
        super().__init__(folder, user, program)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in ("git", "sh"):
            (self.bin / name).symlink_to(str(shutil.which(name)))
        del self.environ["KARMA_SYNC_SYNCTHING"]
        self.environ["PATH"] = str(self.bin)

    def install_syncthing(self) -> None:
        """As a package manager does it."""
        (self.bin / "syncthing").symlink_to(programs()[0])


@pytest.fixture(scope="module")
def hermit(town: Town) -> Member:
    return town.member("emma", kind=Hermit)


def test_init_tells_what_is_kept_and_how_to_turn_it_off(hermit: Member, town: Town) -> None:
    told = town.member("frida", kind=Hermit)
    shutil.rmtree(told.home)

    said = told.run(
        "init", "--user", "frida", "--machine", "box", "--no-discovery", "--address", "127.0.0.1"
    )

    assert str(told.paths.archive) in said.out
    assert "nothing cut" in said.out
    assert 'archive = "off"' in said.out
    assert 'archive = "all"' in told.paths.settings.read_text()


def test_alone_a_session_is_kept_swept_and_put_back_and_syncthing_may_come_later(
    hermit: Member,
) -> None:
    assert isinstance(hermit, Hermit)
    code = hermit.json("code")["code"]
    session = hermit.write_session("hello", cwd=hermit.folder)
    started = hermit.run("up", "-d")
    assert "without Syncthing" in started.out
    assert "nothing is shared" in started.out

    until(lambda: hermit.listed(), "the session is archived")
    content = session.content
    later = hermit.write_session("later, seen by the watcher", cwd=hermit.folder)
    until(lambda: {s["id"] for s in hermit.listed()} == {session.id, later.id}, "the later one")
    status = hermit.json("status")
    assert (status["daemon"]["syncthing"], status["faults"], status["stuck"]) == ("", {}, [])
    assert "without Syncthing" in hermit.run("status").out

    hermit.install_syncthing()
    until(lambda: (hermit.json("status")["daemon"] or {}).get("syncthing"), "Syncthing runs")
    assert hermit.json("code")["code"] == code
    assert hermit.rest("system/status")["myID"] == hermit.json("code")["device"]
    third = hermit.write_session("with Syncthing", cwd=hermit.folder)
    until(lambda: third.id in {s["id"] for s in hermit.listed()}, "the third one")
    hermit.down()

    session.path.unlink()
    assert hermit.raw(session.id) == content
    hermit.run("session", "restore", session.id[:8])
    assert session.content == content


def test_the_files_of_the_archive_are_private(hermit: Member) -> None:
    archive = hermit.paths.archive
    found = [archive, *archive.rglob("*"), hermit.paths.archive_db]

    assert len(found) > 2
    modes = {path: path.stat().st_mode & 0o777 for path in found}
    assert all(mode == (0o700 if p.is_dir() else 0o600) for p, mode in modes.items()), modes
