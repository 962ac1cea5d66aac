"""Excluded directories: also behind links, and what of them is with others already."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Pair:
    """A's clone lies behind a link, and the agent's records name its real path."""

    a: Member
    b: Member
    link: Path

    def place(self, name: str) -> Path:
        found = self.a.repo / name
        found.mkdir()
        return found


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.pair()
    link = Path(a.environ["HOME"]) / "web"
    link.symlink_to(a.repo)
    return Pair(a, b, link)


@pytest.mark.parametrize("typed", ["~/web/client-*", "../repo/client-*", "~/web/./x/../client-*"])
def test_nothing_leaves_of_what_a_pattern_excludes_through_a_link(pair: Pair, typed: str) -> None:
    pair.a.run("exclude", typed)
    place = pair.a.repo / "client-a"
    place.mkdir(exist_ok=True)
    sessions = [
        pair.a.write_session("real path", cwd=place),
        pair.a.write_session("through the link", cwd=pair.link / "client-a"),
    ]
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert [pair.b.peek(session.id) for session in sessions] == [None, None]
    pair.a.run("exclude", "--remove", typed, "--yes")
    pair.b.until_readable(*sessions)


def test_a_record_that_names_a_link_is_held_back_by_the_real_path(pair: Pair) -> None:
    place = pair.place("by-real-path")
    pair.a.run("exclude", str(place))
    session = pair.a.write_session("through the link", cwd=pair.link / "by-real-path")
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert pair.b.peek(session.id) is None


def test_it_says_what_is_with_others_already_and_what_takes_it_back(pair: Pair) -> None:
    place = pair.place("too-late")
    session = pair.a.write_session("sent", cwd=place)
    deleted = pair.a.write_session("sent, and deleted by the agent", cwd=place)
    pair.b.until_readable(session, deleted)
    sent = session.content
    deleted.path.unlink()
    stays = pair.a.run("exclude", str(pair.place("never"))).out
    assert "sent from there" not in stays

    told = pair.a.run("exclude", str(place)).out

    assert "2 sessions were sent from there before." in told
    for each in (session, deleted):
        assert f"  {each.id}, {PROJECT} in backend\n" in told
    assert "karma-sync session unshare " in told
    found = pair.a.json("exclude", str(place))["sent"]
    assert {(each["session"], each["left"]) for each in found} == {
        (session.id, True),
        (deleted.id, True),
    }

    session.append("not for others")
    pair.b.until_readable(pair.a.write_session("a barrier"))
    assert pair.b.peek(session.id) == sent
    for each in (session, deleted):
        why = _why(pair.a, each)
        assert f"you exclude {place}" in why
        assert f"karma-sync session unshare {each.id}" in why

    pair.a.run("session", "unshare", session.id)
    until(lambda: pair.b.peek(session.id) is None, "it is gone at B")
    assert "unshare" not in _why(pair.a, session)


def test_session_list_and_project_scan_show_it_at_once(pair: Pair) -> None:
    place = pair.place("shown")
    session = pair.a.write_session("x", cwd=place)
    pair.b.until_readable(session)
    pair.a.down()
    try:
        pair.a.run("exclude", str(place))

        assert f"you exclude {place}" in _why(pair.a, session)
        assert f"you exclude {place}" in pair.a.run("session", "list").out
        found = pair.a.json("project", "scan")["directories"]
        assert [f["excluded"] for f in found if str(place) in f["works_in"]] == [str(place)]
        assert f"stays here: you exclude {place}" in pair.a.run("project", "scan").out
    finally:
        pair.a.up()


def _why(member: Member, session: Session) -> str:
    held = member.json("session", "list")["held"]
    return next((str(h["why"]) for h in held if h["session"] == session.id), "")
