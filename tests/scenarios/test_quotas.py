"""Folders that a member fills beyond all bounds are paused, and nothing else is."""

import hashlib
import random
from pathlib import Path

import pytest
import requests

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up

pytestmark = pytest.mark.daemon

SMALLER = "from karma_sync.domain import limits\nlimits.CHANNEL_BYTES = 2_000_000\n"


@pytest.fixture(scope="module")
def pair(town: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Member, Member]:
    """Alice and Bob share `repo`; in Bob's processes a channel may hold 2 MB."""
    a, b = town.member("alice"), town.member("bob")
    place = tmp_path_factory.mktemp("smaller")
    (place / "sitecustomize.py").write_text(SMALLER)
    b.environ["PYTHONPATH"] = str(place)
    up(a, b)
    found_team(a, b)
    share(a, b)
    first = a.write_session("the first")
    b.until_readable(first)
    return a, b


def scan(member: Member, folder: str) -> None:
    url, key = member.gui()
    headers, params = {"X-API-Key": key}, {"folder": folder}
    requests.post(
        f"{url}/rest/db/scan", params=params, headers=headers, timeout=60
    ).raise_for_status()


def paused(member: Member) -> set[str]:
    return {f["id"] for f in member.rest("config/folders") if f["paused"]}


def test_a_channel_that_is_too_large_is_paused_at_the_receiver(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    (outbox,) = a.outboxes()
    a.write_session(random.Random(11).randbytes(4_000_000).hex())  # noqa: S311 does not shrink
    until(lambda: paused(b) == {outbox.name}, "the channel to be paused at B")

    told = b.run("status", "--check", check=False)
    assert told.code == 7
    assert "it is paused: it holds more than 2,000,000 bytes" in told.err
    assert "by alice.box in backend" in told.err
    assert sum("too large" in line for line in b.run("events").lines) == 1
    theirs = b.write_session("the other way")
    a.until_readable(theirs)
    assert paused(a) == set()


def test_a_metadata_folder_with_too_many_files_is_paused(pair: tuple[Member, Member]) -> None:
    a, b = pair
    (folder,) = [f for f in a.folders() if f.startswith("ks-m-")]
    place: Path = b.paths.folder(folder)
    for number in range(1_001):
        name = hashlib.sha256(str(number).encode()).hexdigest()
        (place / "member" / f"{name}.json").write_text("{}")
    scan(b, folder)
    until(lambda: folder in paused(a), "the metadata folder to be paused at A")

    assert "documents of team backend" in a.run("status").out
    assert "it is paused: it holds more than 1,000 files" in a.run("status").out
    theirs = b.write_session("channels go on")
    a.until_readable(theirs)
