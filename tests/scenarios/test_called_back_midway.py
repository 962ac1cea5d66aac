"""A secret is called back while a receiver has half of it: nobody says too early that it is gone.

Chunks come before their items. Who is off, or in the middle, when the owner packages anew has some
that no item of its library names.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from tests.scenarios.test_unshare import confirmed
from tests.support.disks import places_of
from tests.support.harness import until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session, write_session

pytestmark = [pytest.mark.daemon, pytest.mark.slow]  # one receiver is slowed down

SEED = 20261121
RETRACTED, REDACTED = "retracted", "redacted anew"
FEW = 8  # chunks, of which every fourth or so has the needle
TURNS = 24  # of a megabyte, half of it after compression
KIB_A_SECOND = 500  # that C takes: half a minute for all of it


class Half:
    """A session that A began to send, and of which C has chunks and no item; C is off."""

    def __init__(self, town: Town) -> None:
        self.a, self.b, self.c = town.members("alice", "bob", "carol")
        found_team(self.a, self.b, self.c)
        share(self.a, self.b, self.c)
        url, key = self.c.gui()
        slow = {"maxRecvKbps": KIB_A_SECOND, "limitBandwidthInLan": True}
        options = f"{url}/rest/config/options"
        requests.patch(
            options, json=slow, headers={"X-API-Key": key}, timeout=20
        ).raise_for_status()
        self._noise = random.Random(SEED)  # noqa: S311  to be repeated, not to be secret

    def begun(self, needle: str) -> Session:
        turns = [f"{needle} {self._noise.randbytes(500_000).hex()}" for _ in range(TURNS)]
        before = self._chunks()
        session = self._appeared_whole(needle, *turns)
        until(
            lambda: (
                self._chunks() > before + FEW and places_of([needle.encode()], self.c.paths.folders)
            ),
            "chunks at C, some with the needle",
        )
        self.c.kill9()
        until(lambda: not self.c.processes(), "C is off")
        assert self.c.peek(session.id) is None, "C was too fast: it has all of it"
        return session

    def _appeared_whole(self, *said: str) -> Session:
        """A session that is there at once: of one still being written C soon has the beginning."""
        apart = self.a.folder / "apart"
        session = write_session(apart, self.a.repo, said, datetime.now(UTC), odd=False)
        place = self.a.claude / session.path.relative_to(apart)
        place.parent.mkdir(parents=True, exist_ok=True)
        session.path.rename(place)
        return session

    def _chunks(self) -> int:
        return len(list(self.c.paths.folders.rglob("chunks/*/*.zst")))


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Half]:
    town = Town(tmp_path_factory.mktemp("midway"))
    try:
        yield Half(town)
    finally:
        town.close()


def says_so_when_it_is(half: Half, what: str, needle: str) -> None:
    """C comes back: when A first says that C confirmed, nothing of it is at C."""
    a, b, c = half.a, half.b, half.c
    until(lambda: b.tag in confirmed(a, what), "B confirms")
    assert c.tag not in confirmed(a, what)
    assert places_of([needle.encode()], c.paths.folders)
    c.up()
    until(lambda: c.tag in confirmed(a, what), "C confirms")

    for folder in (b.folder, c.folder, a.paths.folders):
        assert places_of([needle.encode()], folder) == []
    own = a.paths.library  # which may still be reading what is large
    until(lambda: places_of([needle.encode()], own) == [], "gone from A's library")
    for member in (b, c):  # nor what Syncthing had begun to collect of it
        assert list(member.paths.folders.rglob("chunks/*/.syncthing.*.tmp")) == []


def test_a_redaction_is_confirmed_when_no_chunk_of_before_is_left(half: Half) -> None:
    needle = "called-back-while-half-of-it-was-here"
    half.begun(needle)
    half.a.run("redact", "--literal", stdin=needle)

    says_so_when_it_is(half, REDACTED, needle)


def test_a_retraction_is_confirmed_when_no_chunk_is_left(half: Half) -> None:
    needle = "withdrawn-while-half-of-it-was-here"
    session = half.begun(needle)
    half.a.run("session", "unshare", session.id)

    says_so_when_it_is(half, RETRACTED, needle)
