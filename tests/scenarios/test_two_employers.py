"""A contractor works for two employers, whose teams share one project: nothing crosses.

Each employer shares a project of its own, too, and nobody but the contractor is in both teams.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

SHARED = "example.org/acme/repo"


@dataclass(frozen=True)
class Employer:
    """A team that the first leads; the contractor is in it as well. `place` is its own project."""

    name: str
    leader: Member
    colleague: Member
    place: Path

    @property
    def people(self) -> tuple[Member, Member]:
        return self.leader, self.colleague


@dataclass(frozen=True)
class Work:
    one: Employer
    two: Employer
    contractor: Member


@pytest.fixture(scope="module")
def work(town: Town) -> Work:
    a, b, c, d, contractor = town.members("alice", "bob", "carol", "dave", "erin")
    one = _employ(Employer("one", a, b, a.clone("git@example.org:one/own.git", "own")), contractor)
    two = _employ(Employer("two", c, d, c.clone("git@example.org:two/own.git", "own")), contractor)
    return Work(one, two, contractor)


def _employ(employer: Employer, contractor: Member) -> Employer:
    leader, name = employer.leader, employer.name
    leader.run("team", "create", name)
    for other in (employer.colleague, contractor):
        other.run("pair", leader.code)
        leader.run("team", "add", other.code, "--team", name)
    for place, project in ((leader.repo, SHARED), (employer.place, f"example.org/{name}/own")):
        leader.run("project", "share", str(place), "--team", name, "--yes")
        for other in (employer.colleague, contractor):
            until(lambda o=other, p=project: p in _projects(o, name), f"{project} at {other.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
            # of the shared one the contractor sends to the first employer alone
            both = other is not contractor or (project, name) != (SHARED, "two")
            direction = "both" if both else "receive"
            other.run("accept", project, "--team", name, "--direction", direction, "--yes")
    return employer


def test_each_employer_reads_its_own_work_and_nothing_of_the_other(work: Work) -> None:
    one, two, contractor = work.one, work.two, work.contractor
    place = {
        e.name: contractor.clone(f"git@example.org:{e.name}/own.git", f"own-{e.name}")
        for e in (one, two)
    }
    written: dict[str, list[Session]] = {
        e.name: [
            *(m.write_session(f"shared, by {m.user}") for m in e.people),
            e.leader.write_session(f"own, by {e.leader.user}", cwd=e.place),
            contractor.write_session(f"for {e.name} alone", cwd=place[e.name]),
        ]
        for e in (one, two)
    }
    written["one"].append(contractor.write_session("in the shared project"))

    for employer in (one, two):
        for reader in employer.people:
            reader.until_readable(*written[employer.name])
    contractor.until_readable(*written["one"], *written["two"])
    _assert_apart(work, written)
    # whatever else is under way arrives before these
    barrier = {e.name: [m.write_session("barrier") for m in e.people] for e in (one, two)}
    for employer in (one, two):
        for reader in (*employer.people, contractor):
            reader.until_readable(*barrier[employer.name])
    _assert_apart(work, written)


def test_nobody_of_one_employer_knows_of_anybody_of_the_other(work: Work) -> None:
    devices = {m.tag: m.json("code")["device"] for e in (work.one, work.two) for m in e.people}
    for employer, other in ((work.one, work.two), (work.two, work.one)):
        theirs = {devices[m.tag] for m in other.people}
        folders = {f for m in other.people for f in m.folders()}
        for member in employer.people:
            assert {d["deviceID"] for d in member.rest("config/devices")}.isdisjoint(theirs)
            assert folders.isdisjoint(member.folders())
            shown = member.json("status")
            assert not any(m.tag in str(shown) for m in other.people)
    for folder in work.contractor.rest("config/folders"):
        shared = {d["deviceID"] for d in folder["devices"]}
        sides = [
            not shared.isdisjoint({devices[m.tag] for m in employer.people})
            for employer in (work.one, work.two)
        ]
        assert not all(sides), folder["id"]


def test_a_pause_and_a_removal_at_one_employer_do_not_touch_the_other(work: Work) -> None:
    one, two, contractor = work.one, work.two, work.contractor
    contractor.run("subscription", "pause", SHARED, "--team", "one")
    by_two = two.leader.write_session("while paused for one")
    contractor.until_readable(by_two)
    assert _statuses(contractor) == {("one", "paused"), ("two", "accepted")}

    one.leader.run("team", "remove", contractor.tag, "--team", "one", "--yes")
    until(lambda: _teams(contractor) == {"two"}, "the contractor to know")
    before = two.colleague.write_session("after the removal by one")
    contractor.until_readable(before, by_two)
    after = one.colleague.write_session("not for the contractor")
    one.leader.until_readable(after)
    later = two.leader.write_session("the last one")
    contractor.until_readable(later)
    two.colleague.until_readable(later)
    assert contractor.peek(after.id) is None
    assert _statuses(contractor) == {("two", "accepted")}
    for member in two.people:
        assert contractor.tag in {m["tag"] for m in member.json("team", "show")["members"]}


def _assert_apart(work: Work, written: dict[str, list[Session]]) -> None:
    for employer, other in ((work.one, work.two), (work.two, work.one)):
        for reader in employer.people:
            foreign = [s for s in written[other.name] if reader.peek(s.id) is not None]
            assert not foreign, f"{reader.tag} has {foreign} of {other.name}"
            authors = {s["author"] for s in reader.sessions()}
            assert authors == {m.tag for m in (*employer.people, work.contractor)}


def _projects(member: Member, team: str) -> set[str]:
    found = member.json("subscription", "list")["subscriptions"]
    return {s["project"] for s in found if s["team"] == team}


def _statuses(member: Member) -> set[tuple[str, str]]:
    found = member.json("subscription", "list")["subscriptions"]
    return {(s["team"], s["status"]) for s in found if s["project"] == SHARED}


def _teams(member: Member) -> set[str]:
    return {t["name"] for t in member.json("team", "list")["teams"]}
