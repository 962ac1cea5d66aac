"""A member sends and receives exactly the content that its answer names."""

from dataclasses import dataclass

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, wait_for_offer
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Answers:
    """B's answers by project; both wrote into each, and what had to arrive has arrived."""

    a: Member
    b: Member
    by_a: dict[str, Session]
    by_b: dict[str, Session]
    outboxes_of_b: int


@pytest.fixture(scope="module")
def answers(town: Town) -> Answers:
    """B takes part in `repo`, only receives `web`, only sends `api`, declines `docs`."""
    a, b = town.members("alice", "bob")
    found_team(a, b)
    clones = {m: {n: m.clone(f"git@example.org:acme/{n}.git", n) for n in NAMES} for m in (a, b)}
    for name, options in NAMES.items():
        a.run("project", "share", str(clones[a][name]), "--yes")
        wait_for_offer(b, name)
        b.run(*options, name)
    share(a, b)
    by_a = {name: a.write_session(f"A in {name}", cwd=place) for name, place in clones[a].items()}
    by_b = {name: b.write_session(f"B in {name}", cwd=place) for name, place in clones[b].items()}
    by_a["repo"], by_b["repo"] = a.write_session("A in repo"), b.write_session("B in repo")
    b.until_readable(by_a["repo"], by_a["web"])
    a.until_readable(by_b["repo"], by_b["api"])
    return Answers(a, b, by_a, by_b, len(b.outboxes()))


NAMES = {
    "web": ("accept", "--direction", "receive"),
    "api": ("accept", "--direction", "send"),
    "docs": ("decline",),
}


def test_both_directions_carry_both_members_sessions(answers: Answers) -> None:
    assert answers.a.raw(answers.by_b["repo"].id) == answers.by_b["repo"].content
    assert answers.b.raw(answers.by_a["repo"].id) == answers.by_a["repo"].content


def test_receive_sends_nothing_and_has_no_outbox(answers: Answers) -> None:
    assert answers.a.peek(answers.by_b["web"].id) is None
    assert answers.outboxes_of_b == len({"repo", "api"})
    assert _projects_sent(answers.b) == {"example.org/acme/repo", "example.org/acme/api"}


def test_send_receives_nothing_and_has_no_inbox(answers: Answers) -> None:
    assert answers.b.peek(answers.by_a["api"].id) is None
    assert len(_inboxes(answers.b)) == len({"repo", "web"})


def test_a_declined_project_has_no_folder_here_and_nothing_of_it_arrives(answers: Answers) -> None:
    assert answers.b.peek(answers.by_a["docs"].id) is None
    assert answers.a.peek(answers.by_b["docs"].id) is None
    on_disk = {p.name for p in answers.b.paths.folders.iterdir()}
    assert on_disk == set(answers.b.folders())


def test_everybody_sees_everybodys_answer(answers: Answers) -> None:
    def seen() -> dict[str, tuple[str, str]]:
        found = answers.a.json("subscription", "list")["subscriptions"]
        others = {s["project"].rpartition("/")[2]: s["others"][0] for s in found}
        return {name: (o["status"], o["direction"]) for name, o in others.items()}

    assert seen()["repo"] == ("accepted", "both")
    assert seen()["web"] == ("accepted", "receive")
    assert seen()["api"] == ("accepted", "send")
    assert seen()["docs"][0] == "declined"


def test_a_decline_after_an_accept_stops_what_comes_and_keeps_what_came(answers: Answers) -> None:
    place = answers.a.clone("git@example.org:acme/late.git", "late")
    before = answers.a.write_session("before the decline", cwd=place)
    answers.a.run("project", "share", str(place), "--yes")
    wait_for_offer(answers.b, "late")
    answers.b.run("accept", "late", "--yes")
    answers.b.until_readable(before)
    folders = len(answers.b.folders())
    content = before.content

    answers.b.run("decline", "late", "--yes")
    until(lambda: len(answers.b.folders()) == folders - 2, "B's folders for `late` gone")
    before.append("after the decline")
    after = answers.a.write_session("after the decline", cwd=place)
    answers.a.until_readable(before, after)
    barrier = answers.a.write_session("the last to be sent")
    answers.b.until_readable(barrier)

    assert answers.b.peek(after.id) is None
    assert answers.b.raw(before.id) == content


def _projects_sent(member: Member) -> set[str]:
    found = member.sessions()
    return {s["project"] for s in found if s["author"] == member.tag}


def _inboxes(member: Member) -> list[str]:
    return [i for i, kind in member.folders().items() if kind == "receiveonly"]
