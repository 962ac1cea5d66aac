"""`session continue`: a session goes on at the person's other machine; who is ahead is said."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_fork import answer, lines, prompt
from tests.scenarios.test_machines import machine
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, up
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Two:
    """Two machines of alice's, and bob; the session is of the box, which bob has too."""

    box: Member
    desk: Member
    bob: Member
    session: Session


def say(member: Member, path: Path, session: str, said: str, after: str) -> str:
    """Have the agent add a prompt and its answer to a session; the answer's id."""
    known = Session(session, path, member.repo)
    lines(
        known,
        "",
        prompt(f"{said}-p", after or None, said),
        answer(f"{said}-a", f"{said}-p", {"type": "text", "text": f"{said}: done"}),
    )
    return f"{said}-a"


@pytest.fixture(scope="module")
def two(town: Town) -> Two:
    box, bob = town.member("alice"), town.member("bob")
    desk = machine(town, "alice", "desk")
    up(box, desk, bob)
    session = box.write_session("begin", odd=False)
    session.path.write_text("")
    say(box, session.path, session.id, "first", "")
    found_team(box, desk, bob)
    share(box, desk, bob)
    for member in (desk, bob):
        until(lambda m=member: m.peek(session.id), f"the session at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    return Two(box, desk, bob, session)


def goes_on(member: Member, session: Session, *options: str) -> dict[str, Any]:
    return member.json("session", "continue", session.id, *options)


def test_only_a_session_of_an_own_machine_is_continued(two: Two) -> None:
    refused = two.desk.run("session", "continue", two.session.id, check=False)
    assert (refused.code, "you have no other machine" in refused.err) == (2, True)

    two.box.run("machine", "add", "alice.desk", "--yes")
    two.desk.run("machine", "add", "alice.box", "--yes")
    for member in (two.box, two.desk):
        until(
            lambda m=member: [m["agreed"] for m in m.json("machine", "list")["others"]] == [True],  # type: ignore[misc] # as above
            "both say so",
        )
    by_bob = two.bob.write_session("by bob")
    two.desk.until_readable(by_bob)
    other = two.desk.run("session", "continue", by_bob.id, check=False)
    assert (other.code, f"karma-sync session fork {by_bob.id}" in other.err) == (5, True)
    assert two.desk.run("session", "continue", "0000", check=False).code == 5
    own = two.box.run("session", "continue", two.session.id, check=False)
    assert (own.code, "is of this machine" in own.err) == (5, True)


def test_where_nothing_of_it_is_the_other_machine_is_ahead_and_it_is_forked(two: Two) -> None:
    shown = two.desk.run("session", "continue", two.session.id, "--dry-run").out
    assert "alice.box is ahead: nothing of the session is here." in shown
    assert "Nothing was written." in shown

    made = goes_on(two.desk, two.session)
    assert (made["ahead"], made["only_there"], made["written"]) == ("there", 2, True)
    assert Path(made["path"]).read_text().count("first: done") == 1
    assert f"claude --resume {made['session']}" in made["command"]


def _fork(two: Two) -> tuple[str, Path]:
    (path,) = (two.desk.claude / "projects").glob("*/*.jsonl")
    return path.stem, path


def test_what_is_here_already_is_not_forked_again(two: Two) -> None:
    fork, path = _fork(two)
    same = goes_on(two.desk, two.session)
    assert (same["ahead"], same["written"], same["here"]) == ("neither", False, fork)

    say(two.desk, path, fork, "second", "first-a")
    mine = goes_on(two.desk, two.session)
    assert (mine["ahead"], mine["only_here"], mine["written"]) == ("here", 2, False)
    said = two.desk.run("session", "continue", two.session.id).out
    assert f"This machine is ahead: {fork} has 2 messages more than alice.box." in said
    assert f"--resume {fork}" in said
    assert _fork(two) == (fork, path), "nothing was written"


def test_where_both_went_on_it_asks_and_loses_nothing(two: Two) -> None:
    fork, path = _fork(two)
    say(two.box, two.session.path, two.session.id, "third", "first-a")
    until(lambda: b"third" in (two.desk.peek(two.session.id) or b""), "it arrives")
    before = path.read_bytes()

    refused = two.desk.run("session", "continue", two.session.id, check=False)
    assert (refused.code, "--yes" in refused.err) == (8, True)
    assert f"Both went on: alice.box by 2 messages, {fork} here by 2 messages." in refused.out
    made = goes_on(two.desk, two.session, "--yes")
    assert (made["ahead"], made["written"]) == ("both", True)
    assert "third: done" in Path(made["path"]).read_text()
    assert path.read_bytes() == before
    again = goes_on(two.desk, two.session)
    assert (again["ahead"], again["here"]) == ("neither", made["session"])


def test_it_stays_here_until_it_is_shared(two: Two) -> None:
    mine = until(
        lambda: [s for s in two.desk.listed() if s["author"] == "alice.desk"], "the fork, at home"
    )

    assert all(two.bob.peek(s["session_id"]) is None for s in mine)
