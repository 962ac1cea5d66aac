"""Three members in one team: all pairs exchange, and everybody serves everybody."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from karma_sync.domain.team.invitation import Invitation
from karma_sync.store import state
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share, wait_for_offer

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Mesh:
    a: Member
    b: Member
    c: Member

    @property
    def all(self) -> tuple[Member, ...]:
        return self.a, self.b, self.c


@pytest.fixture(scope="module")
def mesh(town: Town) -> Mesh:
    """A leads; B and C know nobody but A, and all three accepted a project."""
    a, b, c = town.members("alice", "bob", "carol")
    found_team(a, b, c)
    share(a, b, c)
    return Mesh(a, b, c)


def test_each_of_three_members_reads_the_sessions_of_the_other_two(mesh: Mesh) -> None:
    written = {m: m.write_session(f"by {m.user}") for m in mesh.all}

    for author, session in written.items():
        for reader in mesh.all:
            reader.until_readable(session)
            assert reader.sessions()
        shown = {s["id"]: s["author"] for s in mesh.a.sessions()}
        assert shown[session.id] == author.tag


def test_members_who_know_each_other_from_the_roster_alone_are_connected(mesh: Mesh) -> None:
    def connected() -> bool:
        peers = mesh.b.json("status")["peers"]
        return {p["tag"] for p in peers if p["connected"]} == {"alice.box", "carol.box"}

    until(connected, "B connected with A and C")


def test_c_gets_from_b_what_a_wrote_before_it_went_away(mesh: Mesh) -> None:
    known = mesh.a.write_session("known to all")
    mesh.b.until_readable(known)
    mesh.c.until_readable(known)
    mesh.c.down()
    new = mesh.a.write_session("while C was off")
    known.append("while C was off")
    mesh.b.until_readable(new, known)
    mesh.a.down()
    mesh.c.up()

    mesh.c.until_readable(new, known)
    assert {s["author"] for s in mesh.c.sessions() if s["id"] == new.id} == {"alice.box"}
    mesh.a.up()


def test_who_declines_gets_nothing_and_the_others_lose_nothing(mesh: Mesh) -> None:
    places = {m: m.clone("git@example.org:acme/docs.git", "docs") for m in mesh.all}
    mesh.a.run("project", "share", str(places[mesh.a]), "--yes")
    wait_for_offer(mesh.b, "docs")
    wait_for_offer(mesh.c, "docs")
    mesh.c.run("decline", "docs", "--yes")
    mesh.b.run("accept", "docs", "--yes")
    by_a = mesh.a.write_session("A's docs", cwd=places[mesh.a])
    by_b = mesh.b.write_session("B's docs", cwd=places[mesh.b])
    by_c = mesh.c.write_session("C's docs", cwd=places[mesh.c])
    mesh.b.until_readable(by_a)
    mesh.a.until_readable(by_b)
    barrier = mesh.c.write_session("C's, in the project that it takes part in")
    later = mesh.a.write_session("A's, in the same")
    mesh.a.until_readable(barrier)
    mesh.c.until_readable(later)

    assert [mesh.c.peek(s.id) for s in (by_a, by_b)] == [None, None]
    assert [m.peek(by_c.id) for m in (mesh.a, mesh.b)] == [None, None]
    assert {p.name for p in mesh.c.paths.folders.iterdir()} == set(mesh.c.folders())


def test_who_paired_joins_also_when_another_member_brings_the_invitation(mesh: Mesh) -> None:
    code = mesh.a.code
    mesh.c.down()
    mesh.c.run("pair", code)
    mesh.b.run("pair", code)
    mesh.a.run("team", "create", "second")
    for other in (mesh.b, mesh.c):
        mesh.a.run("team", "add", other.code, "--team", "second")
    mesh.a.run("project", "share", str(mesh.a.repo), "--team", "second", "--yes")
    until(lambda: "second" in _teams(mesh.b), "B in the second team")
    until(lambda: len(_metadata(mesh.b, mesh.c)) == 2, "both teams offered to C by B")
    mesh.a.down()
    try:
        mesh.c.up()

        until(lambda: "second" in _teams(mesh.c), "C in the second team, which B alone told it of")
    finally:
        mesh.a.up()


def test_an_invitation_comes_from_whoever_is_there_when_the_first_one_went_away(
    mesh: Mesh,
) -> None:
    mesh.b.down()
    mesh.c.down()
    mesh.c.run("pair", mesh.a.code)
    before = set(_metadata(mesh.a, mesh.c))
    mesh.a.run("team", "create", "third")
    mesh.a.run("team", "add", mesh.c.code, "--team", "third")
    mesh.a.run("project", "share", str(mesh.a.repo), "--team", "third", "--yes")
    (folder,) = until(lambda: set(_metadata(mesh.a, mesh.c)) - before, "the folder of the third")
    store = state.open_state(mesh.c.paths.state_db)
    with store.transaction() as tx:  # as if B had offered it, and gone
        device = mesh.b.json("code")["device"]
        offer = Invitation(folder=folder, device=device, seen=datetime.now(UTC))
        state.invitations.put(tx, offer)
    store.close()
    try:
        mesh.c.up()

        until(lambda: "third" in _teams(mesh.c), "C in the third team, which A tells it of")
    finally:
        mesh.b.up()


def _teams(member: Member) -> set[str]:
    return {s["team"] for s in member.json("subscription", "list")["subscriptions"]}


def _metadata(member: Member, other: Member) -> list[str]:
    """The metadata folders that a member shares with another one."""
    device = other.json("code")["device"]
    return [
        folder["id"]
        for folder in member.rest("config/folders")
        if folder["id"].startswith("ks-m-")
        if device in {d["deviceID"] for d in folder["devices"]}
    ]
