"""Searching from the command line: what members wrote is found, opened there, and forgotten."""

from dataclasses import dataclass

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

WORD = "okapi"


@dataclass(frozen=True)
class Pair:
    """A and B share a project; `spoken` is A's session about the word, `other` is B's."""

    a: Member
    b: Member
    spoken: Session
    other: Session


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.members("alice", "bob")
    found_team(a, b)
    share(a, b)
    spoken = a.write_session("first prompt", f"where does the {WORD} live?", "thanks")
    other = b.write_session("about something else")
    b.until_readable(spoken)
    a.until_readable(other)
    until(lambda: found(b, WORD), "the word is found at B")
    until(lambda: found(b, "something else"), "B's own session is found")
    return Pair(a, b, spoken, other)


def found(member: Member, *words: str) -> list[dict[str, object]]:
    return list(member.json("search", *words)["hits"])


def held(member: Member, *options: str) -> set[str]:
    """The sessions of a list that stay here."""
    return {each["session"] for each in member.json("session", "list", *options)["held"]}


def test_a_hit_says_who_when_where_and_what(pair: Pair) -> None:
    shown = pair.b.run("search", WORD)

    assert "by alice" in shown.out
    assert "example.org/acme/repo" in shown.out
    assert f"where does the {WORD} live?" in shown.out
    [hit] = found(pair.b, WORD)
    assert pair.spoken.id.startswith(str(hit["id"]))
    snippet, marks = str(hit["snippet"]), hit["marks"]
    assert isinstance(marks, list)
    assert {snippet[start:end] for start, end in marks} == {WORD}


def test_what_comes_next_opens_the_session_there(pair: Pair) -> None:
    last = pair.b.run("search", WORD).lines[-1]
    assert last.startswith("Next: karma-sync session show ")
    shown = pair.b.run(*last.removeprefix("Next: karma-sync ").split())

    assert f"where does the {WORD} live?" in shown.out
    assert "first prompt" not in shown.out.split("## user", 1)[1]
    assert "thanks" in shown.out
    refused = pair.b.run("session", "show", f"{pair.spoken.id}@nothing", check=False)
    assert refused.code == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--", "-x"],
        ["-x"],
        ['"'],
        ["a AND (b"],
        ["src/a.py:12"],
        ["🚀"],
        ["--unknown-option"],
        ["by:", "NEAR("],
        [""],
        ["x" * 3000],
        ["'; DROP TABLE item; --"],
    ],
)
def test_any_words_are_searched_for(pair: Pair, words: list[str]) -> None:
    done = pair.b.run("search", *words)

    assert done.code == 0
    assert "Traceback" not in done.err


def test_words_of_the_shell_are_words_and_quoted_ones_a_phrase(pair: Pair) -> None:
    assert found(pair.b, "live", WORD)
    assert found(pair.b, f"the {WORD}")
    assert found(pair.b, "live", f"the {WORD}")
    assert not found(pair.b, WORD, "live the")
    assert found(pair.b, WORD, "by:alice")
    assert not found(pair.b, WORD, "-by:alice")


def test_a_list_takes_the_same_filters_and_says_how_many_more(pair: Pair) -> None:
    def ids(*words: str) -> set[str]:
        return {s["id"] for s in pair.b.json("session", "list", *words)["sessions"]}

    both = {pair.spoken.id, pair.other.id}
    assert both <= ids()
    assert ids("by:alice") == {pair.spoken.id}
    assert ids("-by:alice", "is:mine") >= {pair.other.id}
    assert ids(WORD) == {pair.spoken.id}
    assert ids("before:2001-01-01") == set()
    shown = pair.b.run("session", "list", "--limit", "1", "since:7d")
    assert "1 more session: karma-sync session list since:7d --after" in shown.out
    assert "TURNS" in shown.out
    assert "SUMMARY" in shown.out
    assert "No session fits." in pair.b.run("session", "list", "by:nobody").out


def test_a_list_that_nothing_fits_does_not_say_that_there_is_nothing(pair: Pair) -> None:
    pair.b.run("team", "create", "empty")
    for narrowed in (
        ("list", "--agent", "xx"),
        ("list", "--team", "empty"),
        ("stats", "--team", "empty"),
    ):
        assert "No session fits." in pair.b.run("session", *narrowed).out


def test_a_list_of_one_team_or_agent_has_no_session_of_another_that_stays(pair: Pair) -> None:
    quiet = pair.b.repo / "quiet"
    quiet.mkdir()
    pair.b.run("exclude", str(quiet))
    kept = pair.b.write_session("not for others", cwd=quiet)

    assert kept.id in held(pair.b)
    assert kept.id in held(pair.b, "--team", "backend")
    assert kept.id not in held(pair.b, "--team", "empty")
    assert kept.id not in held(pair.b, "--agent", "xx")


def test_the_command_for_the_rest_of_a_list_goes_on_in_the_same_list(pair: Pair) -> None:
    narrowed = ("--project", "repo", "--team", "backend", "--agent", "claude-code")
    shown = pair.b.run("session", "list", *narrowed, "--limit", "1").out
    [line] = [each for each in shown.splitlines() if " more session" in each]
    again = line.partition("karma-sync ")[2].partition(", or")[0].split()
    rest = pair.b.run(*again).out

    assert set(narrowed) <= set(again)
    assert pair.spoken.id[:4] in rest or pair.other.id[:4] in rest
    assert "more session" not in rest


def test_a_list_does_not_go_on_after_a_session_that_is_not_in_it(pair: Pair) -> None:
    after = ("--after", pair.spoken.id)
    done = pair.b.run("session", "list", "by:bob", *after, check=False)

    assert done.code == 2
    assert "is not in this list" in done.err


def test_a_bad_pattern_or_cursor_is_refused(pair: Pair) -> None:
    for words in (["--regex", "("], ["x", "--cursor", "y"], []):
        done = pair.b.run("search", *words, check=False)
        assert done.code == 2, done


def test_a_pattern_finds_both_members_texts(pair: Pair) -> None:
    hits = pair.b.json("search", "--regex", f"{WORD}|something e.se")["hits"]

    assert {hit["session"] for hit in hits} == {pair.spoken.id, pair.other.id}


def test_what_was_unshared_is_found_nowhere_any_more(pair: Pair) -> None:
    a, b = pair.a, pair.b
    a.run("session", "unshare", pair.spoken.id)
    until(lambda: not found(b, WORD), "the word is gone at B")

    def is_gone() -> bool:
        files = (p for p in b.paths.library.rglob("*") if p.is_file())
        return not any(WORD.encode() in path.read_bytes() for path in files)

    until(is_gone, "no file of B's library has the word")
    assert not any(hit["session"] == pair.spoken.id for hit in found(b, "thanks"))
