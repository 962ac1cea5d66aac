"""Accepting is consent: what would leave is shown first, and without a yes nothing changes."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.harness import Member, Result, until
from tests.support.town import Town, wait_for_offer

pytestmark = pytest.mark.memory

NAMES = ("web", "api", "docs", "tool")


@dataclass(frozen=True)
class Asked:
    """B is offered four projects and has sessions of each; A and B exchange a fifth."""

    a: Member
    b: Member


@pytest.fixture(scope="module")
def asked(town: Town) -> Asked:
    a, b = town.pair()
    for name in NAMES:
        remote = f"git@example.org:acme/{name}.git"
        a.run("project", "share", str(a.clone(remote, name)), "--yes")
        place = b.clone(remote, name)
        (place / "deep").mkdir()
        b.write_session("in the root", cwd=place)
        b.write_session("deeper", cwd=place / "deep", days_ago=3)
        b.write_session("last month", cwd=place, days_ago=40)
        session = b.write_session("here and elsewhere", cwd=place)
        session.append("elsewhere", cwd=b.clone("git@example.org:acme/x.git", f"x-{name}"))
    for name in NAMES:
        wait_for_offer(b, name)
    return Asked(a, b)


def test_without_a_terminal_and_without_a_yes_accept_exits_8(asked: Asked) -> None:
    before = _standing(asked.b, "web")
    done = asked.b.run("accept", "web", check=False)

    assert done.code == 8
    assert "try: --yes" in done.err
    assert _standing(asked.b, "web") == before == "offered"


def test_a_no_on_the_terminal_changes_nothing(asked: Asked) -> None:
    done = asked.b.on_terminal("accept", "web", answers=["n"])

    assert done.code == 8
    assert "nothing was changed" in done.out
    assert _standing(asked.b, "web") == "offered"


def test_enter_alone_is_a_no(asked: Asked) -> None:
    assert asked.b.on_terminal("accept", "web", answers=[""]).code == 8
    assert _standing(asked.b, "web") == "offered"


def test_without_a_yes_nothing_leaves(asked: Asked) -> None:
    assert asked.b.run("accept", "web", check=False).code == 8
    barrier = asked.b.write_session("in the project that both accepted")
    asked.a.until_readable(barrier)

    assert {s["project"] for s in asked.a.sessions()} == {"example.org/acme/repo"}
    assert len(asked.b.outboxes()) == 1 + len(_accepted(asked.b) - {"example.org/acme/repo"})


def test_it_shows_what_would_leave_before_it_asks(asked: Asked) -> None:
    _assert_shows_all(asked.b, asked.b.run("accept", "web", check=False))


def test_it_shows_the_same_on_a_terminal(asked: Asked) -> None:
    done = asked.b.on_terminal("accept", "web", answers=["n"])

    _assert_shows_all(asked.b, done)
    assert done.out.index("sends now") < done.out.index("Go ahead? [y/N]")


def test_since_all_shows_the_whole_history(asked: Asked) -> None:
    done = asked.b.run("accept", "web", "--since", "all", check=False)

    assert re.search(rf"3 sessions, .*{_day(40)}", done.out)


def test_a_yes_on_the_terminal_sends_what_was_shown_and_nothing_else(asked: Asked) -> None:
    done = asked.b.on_terminal("accept", "api", answers=["y"])

    assert done.code == 0
    until(lambda: len(_received(asked.a, "api")) == 2, "two of B's sessions at A")
    assert _standing(asked.b, "api") == "accepted"
    barrier = asked.b.write_session("the last")
    asked.a.until_readable(barrier)
    assert len(_received(asked.a, "api")) == 2


def test_an_explicit_direction_is_a_yes(asked: Asked) -> None:
    done = asked.b.run("accept", "docs", "--direction", "receive")

    assert "sends now:   nothing; you only receive" in done.out
    assert _standing(asked.b, "docs") == "accepted"


def test_a_second_accept_exits_6_and_names_what_can_be_done(asked: Asked) -> None:
    asked.b.run("accept", "tool", "--yes")
    again = asked.b.run("accept", "tool", "--yes", check=False)

    assert again.code == 6
    assert "it is accepted" in again.err
    assert "try: karma-sync" in again.err


def test_a_project_is_not_shared_without_a_yes_either(asked: Asked) -> None:
    place = asked.a.clone("git@example.org:acme/new.git", "new")
    asked.a.write_session("in the new one", cwd=place)
    done = asked.a.run("project", "share", str(place), check=False)

    assert done.code == 8
    assert "receivers:   bob.box" in done.out
    assert _standing(asked.a, "new") is None


def _assert_shows_all(member: Member, done: Result) -> None:
    place = member.folder / "src" / "web"
    assert re.search(rf"sends now: +2 sessions, \d.* kB, .*{_day(3)}", done.out)
    assert f"from {place}\n" in done.out
    assert f"from {place / 'deep'}\n" in done.out
    assert "1 earlier session, before the limit (--since all sends them)" in done.out
    assert (
        "1 session that also worked in another place:\n               in example.org/acme/x\n"
        in done.out
    )
    assert "receivers:   alice.box" in done.out


def _standing(member: Member, name: str) -> str | None:
    for found in member.json("subscription", "list")["subscriptions"]:
        if found["project"] == f"example.org/acme/{name}":
            return str(found["status"])
    return None


def _accepted(member: Member) -> set[str]:
    """Projects in which this member sends."""
    found = member.json("subscription", "list")["subscriptions"]
    return {
        s["project"] for s in found if s["status"] == "accepted" and s["direction"] != "receive"
    }


def _received(member: Member, name: str) -> list[str]:
    project = f"example.org/acme/{name}"
    return [s["id"] for s in member.sessions() if s["project"] == project]


def _day(days_ago: int) -> str:
    """The day that a session of so many days ago was written on; midnight may have passed since."""
    now = datetime.now(UTC) - timedelta(days=days_ago)
    return f"(?:{now:%Y-%m-%d}|{now - timedelta(hours=1):%Y-%m-%d})"
