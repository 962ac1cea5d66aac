"""Files deleted or altered in a folder are put back, and nothing disappears at the other."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from karma_sync.signing import SigningKey
from tests.support.evil import item_file
from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon


@dataclass(frozen=True)
class Pair:
    """Two members that share a project; B has a long and a short session of A's."""

    a: Member
    b: Member
    long: Session
    short: Session
    outbox: Path

    @property
    def inbox(self) -> Path:
        return self.b.paths.folder(self.outbox.name)

    def all_is_back(self, before: dict[str, bytes]) -> None:
        """Both folders hold what A's held, and what is written now arrives too."""
        for folder in (self.outbox, self.inbox):
            until(lambda f=folder: before.items() <= _files(f).items(), f"all in {folder}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        self.b.until_readable(self.a.write_session("afterwards"), self.long, self.short)
        for member in (self.a, self.b):
            until(lambda m=member: not m.json("status")["stuck"], f"nothing stuck at {member.tag}")  # type: ignore[misc] # see above


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.pair()
    (outbox,) = a.outboxes()
    found = Pair(a, b, a.write_session("x" * 900_000), a.write_session("short"), outbox)
    b.until_readable(found.long, found.short)
    return found


@pytest.mark.parametrize("what", ["chunk", "item"])
def test_what_was_deleted_in_an_outbox_is_put_back_as_soon_as_a_scan_finds_out(
    pair: Pair, what: str
) -> None:
    before = _files(pair.outbox)
    _one(pair, pair.outbox, what).unlink()
    _scan(pair.a, pair.outbox.name)

    pair.all_is_back(before)


def test_what_was_deleted_in_an_outbox_is_back_before_a_restarted_syncthing_finds_out(
    pair: Pair,
) -> None:
    before = _files(pair.outbox)
    _one(pair, pair.outbox, "chunk").unlink()
    os.kill(pair.a.syncthing_pid, signal.SIGKILL)

    pair.all_is_back(before)


def test_what_was_deleted_in_an_outbox_while_its_owner_was_down_is_put_back(pair: Pair) -> None:
    before = _files(pair.outbox)
    outbox = pair.outbox
    pair.a.down()
    for what in ("chunk", "item"):
        _one(pair, outbox, what).unlink()
    pair.a.up()

    pair.all_is_back(before)


@pytest.mark.parametrize("what", ["chunk", "item"])
def test_what_was_deleted_in_an_inbox_is_put_back(pair: Pair, what: str) -> None:
    before = _files(pair.outbox)
    inbox = pair.inbox
    _one(pair, inbox, what).unlink()
    _scan(pair.b, inbox.name)

    pair.all_is_back(before)


def test_what_was_deleted_in_an_inbox_while_its_owner_was_down_is_put_back(pair: Pair) -> None:
    before = _files(pair.outbox)
    inbox = pair.inbox
    pair.b.down()
    for what in ("chunk", "item"):
        _one(pair, inbox, what).unlink()
    pair.b.up()

    pair.all_is_back(before)


@pytest.mark.parametrize("how", ["in place", "another file"])
def test_an_item_that_was_altered_in_an_outbox_is_put_back(pair: Pair, how: str) -> None:
    path = _one(pair, pair.outbox, "item")
    others = {
        name: raw for name, raw in _files(pair.outbox).items() if not name.endswith(path.name)
    }
    altered = path.read_bytes()[:-3] + b"???"
    if how == "in place":
        path.write_bytes(altered)  # which the library's link sees too
    else:
        beside = path.with_suffix(".tmp")
        beside.write_bytes(altered)
        beside.replace(path)
    _scan(pair.a, pair.outbox.name)
    until(lambda: path.exists() and path.read_bytes() != altered, "another item in its place")

    pair.all_is_back(others)
    pair.a.until_readable(pair.short)


@pytest.mark.parametrize("who", ["the leader", "the other"])
def test_documents_that_were_deleted_are_put_back(pair: Pair, who: str) -> None:
    member = pair.a if who == "the leader" else pair.b
    (metadata,) = [p for p in member.paths.folders.iterdir() if p.name.startswith("ks-m-")]
    lost = [p for kind in ("roster", "member") for p in (metadata / kind).glob("[!.]*")]
    for path in lost:
        path.unlink()
    _scan(member, metadata.name)
    for each in (pair.a, pair.b):
        there = each.paths.folder(metadata.name)
        until(
            lambda t=there: all((t / p.relative_to(metadata)).exists() for p in lost),  # type: ignore[misc] # see above
            f"every document at {each.tag}",
        )


def _one(pair: Pair, folder: Path, what: str) -> Path:
    """The file of the short session, or some chunk."""
    if what == "item":
        return item_file(folder, pair.short.id, _key(pair))
    return min((folder / "chunks").rglob("*.zst"))


def _key(pair: Pair) -> str:
    return SigningKey.load(pair.a.paths.key).public


def _scan(member: Member, folder: str) -> None:
    """Scan a folder, as Syncthing does by itself once an hour."""
    url, key = member.gui()
    done = requests.post(
        f"{url}/rest/db/scan", params={"folder": folder}, headers={"X-API-Key": key}, timeout=60
    )
    done.raise_for_status()


def _files(folder: Path) -> dict[str, bytes]:
    found = (p for part in ("items", "chunks") for p in (folder / part).rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found if p.is_file()}
