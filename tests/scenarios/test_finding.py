"""Every session in the library can be named and listed, however many there are."""

import shutil
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.harness import Member
from tests.support.town import Town
from tests.support.transcripts import Session, lines

pytestmark = pytest.mark.memory


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    return town.pair()


@pytest.fixture(scope="module")
def same(pair: tuple[Member, Member]) -> tuple[Session, Session]:
    """A session of A's, and a copy of it on B's machine, where it went on."""
    a, b = pair
    mine = a.write_session("begun at A")
    there = b.claude / "projects" / mine.path.parent.name / mine.path.name
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(mine.path, there)
    text = mine.content.replace(str(a.repo).encode(), str(b.repo).encode())
    there.write_bytes(text)
    theirs = Session(mine.id, there, b.repo)
    theirs.append("went on at B")
    other = a.write_session("another")
    b.until_readable(other)
    return mine, theirs


def test_of_one_id_at_two_members_ones_own_comes_first(
    pair: tuple[Member, Member], same: tuple[Session, Session]
) -> None:
    (a, b), (mine, theirs) = pair, same
    third = b.write_session("so that all has arrived")
    a.until_readable(third)

    for member, own in ((a, mine), (b, theirs)):
        shown = member.run("session", "show", mine.id[:8], "--raw")
        assert shown.out.encode() == own.content
        other = (a, b)[member is a]
        assert f"{other.tag} has one with the same id" in shown.err
        assert f"--by {other.tag}" in shown.err
        theirs_shown = member.run(
            "session", "show", mine.id, "--by", other.tag, "--raw", "--private"
        )
        assert theirs_shown.out.encode() == (theirs if own is mine else mine).content
        assert theirs_shown.err == ""
    assert a.run("session", "show", mine.id, "--by", "nobody.x", check=False).code == 5


def test_a_list_that_is_cut_off_says_so_and_how_to_go_on(
    pair: tuple[Member, Member], same: tuple[Session, Session]
) -> None:
    a, _ = pair
    whole = a.json("session", "list")
    assert (whole["truncated"], whole["cursor"]) == (False, None)
    total = whole["total"]
    assert total >= 3

    told = a.run("session", "list", "--limit", "1").out
    assert f"{total - 1} more sessions: karma-sync session list --after " in told
    pages: list[dict[str, Any]] = []
    cursor: list[str] = []
    while True:
        page = a.json("session", "list", "--limit", "1", *cursor)
        assert page["total"] == total
        pages += page["sessions"]
        if not page["truncated"]:
            break
        cursor = ["--after", page["cursor"]]
    assert [s["key"] for s in pages] == [s["key"] for s in whole["sessions"]]
    end = a.run("session", "list", "--after", pages[-1]["key"]).out
    assert "There are no more sessions." in end


def test_ids_are_shown_as_long_as_they_have_to_be(pair: tuple[Member, Member]) -> None:
    a, b = pair
    first = a.write_session("one of two")
    twin_id = first.id[:-1] + ("0" if first.id[-1] != "0" else "1")
    twin = Session(twin_id, first.path.with_name(f"{twin_id}.jsonl"), a.repo)
    twin.path.write_bytes(lines(twin_id, a.repo, ("the other",), datetime.now(UTC)))
    b.until_readable(first, twin)

    told = b.run("session", "list", "--limit", "100").out
    assert first.id in told
    assert twin_id in told
    fits = b.run("session", "show", first.id[:-1], check=False)
    assert (fits.code, first.id in fits.err, twin_id in fits.err) == (2, True, True)
