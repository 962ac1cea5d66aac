"""One code, one paste: who has an invitation code joins, alone, once, and nobody else does."""

from dataclasses import dataclass

import pytest

from karma_sync.store import state
from karma_sync.store.read_only import reading_only
from tests.support.harness import PROJECT, Member, Result, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")


def code_in(printed: Result) -> str:
    """The code that `invite` printed."""
    return next(w for line in printed.lines for w in line.split() if w.startswith("KSI1-"))


def paste(member: Member, code: str, *options: str, check: bool = True) -> Result:
    """Paste a code without a person: it waits for nothing."""
    return member.run("join", "--yes", "--no-wait", *options, stdin=code, check=check)


def joined(member: Member, team: str = "backend") -> bool:
    """Whether a member is in a team."""
    with reading_only(member.paths.state_db) as tx:
        return any(each.name == team for each in state.teams.all(tx))


@dataclass(frozen=True)
class Story:
    """Alice invites; Bob pastes; what they said."""

    a: Member
    b: Member
    sent: Session
    code: str
    invited: Result


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    a, b = town.members("alice", "bob")
    sent = a.write_session("for whoever joins")
    a.run("team", "create", "backend")
    a.run("project", "share", ".", "--yes")
    invited = a.run("invite", "--no-wait", "--yes")
    code = code_in(invited)
    paste(b, code)
    until(lambda: joined(b), "Bob in the team")
    paste(b, code)
    return Story(a, b, sent, code, invited)


def test_one_code_and_one_paste_lead_to_sessions_on_both_sides(story: Story) -> None:
    mine = story.b.write_session("of the newcomer")

    story.b.until_readable(story.sent)
    (project,) = story.b.json("subscription", "list")["subscriptions"]
    assert (project["project"], project["status"]) == (PROJECT, "accepted")
    assert mine
