"""Obstacles between an invitation code and the team: guests' limits, a crash, a new leader."""

import time
from datetime import timedelta

import pytest

from karma_sync.app import App
from karma_sync.domain.team.invite import Door, InviteStatus, JoinStatus, invite_id
from karma_sync.domain.team.invite_code import decode_invite
from karma_sync.domain.team.knock import door_of, knocking_name, proof
from karma_sync.domain.team.pairing_code import device_text
from karma_sync.runtime.timing import utc_now
from karma_sync.service import joining
from karma_sync.signing import code_keys
from karma_sync.store import state
from karma_sync.store.state import open_state
from tests.scenarios.test_invite import (
    invite,
    joined,
    newcomers,
    own_name,
    paste,
    reading,
    refusal,
    tags,
    until_refused,
)
from tests.support.harness import PROJECT, Member, until
from tests.support.memory_crash import MemoryWalk
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.town import Town, found_team, share

pytestmark = pytest.mark.memory

_REST_S = 3.0  # a session is with the others in a tenth of it


@pytest.fixture(scope="module")
def leader(town: Town) -> Member:
    """It shares two projects with team `backend`."""
    (found,) = town.members("alice")
    found.run("team", "create", "backend")
    share(found)
    share(found, project="hidden", cwd=found.clone("git@example.org:acme/hidden.git", "hidden"))
    return found


def doors_of(member: Member, code: str) -> list[Door]:
    """The doors that a code opened at a leader."""
    wanted = invite_id(code_keys(decode_invite(code).secret)[0])
    with reading(member) as tx:
        return [door for door in state.doors.all(tx) if door.invite == wanted]


# ---- guests


def test_a_guest_joins_with_a_code_and_receives_the_named_project_alone(
    town: Town, leader: Member
) -> None:
    code = invite(leader, "--guest", "--project", "repo")
    assert "role" in leader.json("code", "--check", code)
    assert "join the team as a guest" in leader.run("code", "--check", code).out
    with newcomers(town, "guest") as [guest]:
        own = guest.write_session("by the guest")
        paste(guest, code)
        until(lambda: joined(guest), "the guest in the team")
        paste(guest, code)  # goes on with the projects, to which --yes says yes
        seen = leader.write_session("for the guest")
        hidden = leader.write_session("not for the guest", cwd=leader.folder / "hidden")
        guest.until_readable(seen)
        back = guest.write_session("back to the leader")
        town_rests(leader, guest)

        found = guest.json("subscription", "list")["subscriptions"]
        assert [(s["project"], s["direction"]) for s in found] == [(PROJECT, "receive")]
        assert [leader.peek(s.id) for s in (own, back)] == [None, None]
        assert guest.peek(hidden.id) is None
        known = next(i for i in leader.json("invite", "list")["invites"] if i["guest"])
        assert (known["projects"], known["joined"]) == ([PROJECT], [guest.tag])
        with reading(leader) as tx:
            (team,) = state.teams.all(tx)
        assert [g.tag for g in team.guests] == [guest.tag]
        assert guest.tag not in tags(leader)


def town_rests(*members: Member) -> None:
    """Everything that is due was done; of real daemons, what takes no more than some seconds."""
    for member in members:
        if isinstance(member, MemoryMember):
            member.town.settle()
            return
    time.sleep(_REST_S)


def test_the_newcomer_reads_that_it_would_be_a_guest_before_it_says_yes(
    town: Town, leader: Member
) -> None:
    code = invite(leader, "--guest", "--project", "repo")
    with newcomers(town, "asked") as [asked]:
        begin(asked, code)
        until(lambda: [j for j in asked.json("inbox")["joining"] if j["team"]], "the offer")

        with reading(asked) as tx:
            (found,) = state.joinings.all(tx)
        assert (found.team_name, found.guest, found.projects) == ("backend", True, (PROJECT,))
        assert not joined(asked)


def begin(member: Member, code: str) -> None:
    """Paste a code, and do not say yes to its team yet."""
    app = App(member.paths, member.environ)
    joining.begin(app.state, app.me, decode_invite(code), utc_now())
    app.close()


@pytest.mark.parametrize(
    ("typed", "code", "why"),
    [
        (("--guest",), 2, "none was named"),
        (("--project", "repo"), 2, "only a guest is limited"),
        (("--guest", "--project", "nowhere"), 5, "no team of yours shares"),
    ],
)
def test_a_guest_without_projects_and_projects_without_a_guest_are_refused(
    leader: Member, typed: tuple[str, ...], code: int, why: str
) -> None:
    before = leader.json("invite", "list")["invites"]
    done = leader.run("invite", "--no-wait", "--yes", *typed, check=False)

    assert (done.code, why in done.err) == (code, True), done
    assert leader.json("invite", "list")["invites"] == before


def test_a_guest_is_refused_when_its_project_is_not_shared_any_more(
    town: Town, leader: Member
) -> None:
    share(leader, project="brief", cwd=leader.clone("git@example.org:acme/brief.git", "brief"))
    code = invite(leader, "--guest", "--project", "brief")
    leader.run("project", "unshare", "brief", "--yes")
    with newcomers(town, "toolate") as [late]:
        paste(late, code)

        assert until_refused(late) == "not-shared"
        said = paste(late, code, check=False)
        assert (said.code, "not shared any more" in said.err) == (6, True)


def test_who_leads_several_teams_is_asked_which_one(town: Town) -> None:
    with newcomers(town, "several") as [several]:
        for name in ("first", "second"):
            several.run("team", "create", name)
        asked = several.on_terminal("invite", "--no-wait", answers=["second"])

        assert "You lead first, second. Which team [first]:" in asked.out
        assert "Invitation to second, good for a day" in asked.out
        unasked = several.run("invite", "--no-wait", check=False)
        assert (unasked.code, "--team first" in unasked.err) == (2, True)


# ---- what ends a code


def test_an_expired_code_is_refused_at_once_and_by_the_leader_too(
    town: Town, leader: Member
) -> None:
    code = invite(leader)
    with newcomers(town, "slow") as [slow]:
        leader.down()
        with open_state(leader.paths.state_db).transaction() as tx:
            (made,) = [i for i in state.invites.all(tx) if i.id == _id(code)]
            state.invites.put(tx, made.changed(expires=utc_now() - timedelta(seconds=1)))
        leader.up()
        paste(slow, code)

        assert until_refused(slow) == "expired"
        said = paste(slow, code, check=False)
        assert (said.code, "has expired" in said.err) == (6, True)
        with reading(leader) as tx:
            (ended,) = [i for i in state.invites.all(tx) if i.id == _id(code)]
        assert (ended.status, ended.admission_key) == (InviteStatus.EXPIRED, "")


@pytest.mark.memory("alone")
def test_the_inbox_of_who_came_too_late_with_a_code_says_so(here: MemoryTown) -> None:
    alice, first, late = here.members("alice", "bob", "carol")
    alice.run("team", "create", "backend")
    code = invite(alice)
    for member in (first, late):
        member.run("join", "--yes", "--no-wait", stdin=code)
        here.settle()
    assert joined(first)

    told = late.run("inbox").out
    assert "refused" in told
    assert "a team: this invitation was used already" in told
    assert [each["why"] for each in late.json("inbox")["refused"]] == ["used"]
    contacts = [line for line in told.splitlines() if " contact " in line]
    assert ["it refused your code" in line for line in contacts] == [True]

    code = invite(alice)
    late.run("join", "--yes", "--no-wait", stdin=code)
    here.settle()
    assert joined(late)
    assert late.json("inbox")["refused"] == []


def _id(code: str) -> str:
    return invite_id(code_keys(decode_invite(code).secret)[0])


def leads(member: Member, team: str) -> bool:
    """Whether a member leads a team, by its own roster."""
    with reading(member) as tx:
        found = [t.known(t.leader) for t in state.teams.all(tx) if t.name == team]
    return [leader.tag for leader in found if leader] == [member.tag]


def has_seen(leader: Member, member: Member, team: str) -> bool:
    """Whether a leader has the document with which a member joined a team."""
    with reading(leader) as tx:
        found = [m for t in state.teams.all(tx) if t.name == team for m in t.members if m.active]
    return member.tag in {each.tag for each in found}


@pytest.mark.parametrize("when", ["before the knock", "while it asks"])
def test_who_does_not_lead_any_more_says_so(town: Town, when: str) -> None:
    users = [f"{name}{len(when)}" for name in ("old", "new", "third")]
    with newcomers(town, *users) as [old, new, third]:
        found_team(old, new, name="moving")
        until(lambda: joined(new, "moving"), "both in the team")
        until(lambda: has_seen(old, new, "moving"), "the old leader knows that the new one joined")
        code = invite(old, "--confirm")
        if when == "while it asks":
            paste(third, code)
            (asking,) = until(lambda: old.json("inbox")["asking"], "a request that waits")
        old.run("team", "transfer", new.tag, "--yes")
        until(lambda: leads(new, "moving"), "the new leader")
        if when == "before the knock":
            paste(third, code)

        assert until_refused(third) in {"not-leader", "void"}
        assert not joined(third, "moving")
        said = paste(third, code, check=False)
        assert (said.code, "karma-sync invite" in said.err) == (6, True)
        again = old.run("invite", "--no-wait", "--yes", check=False)
        assert again.code == 12, again
        paste(third, invite(new))
        until(lambda: joined(third, "moving"), "in, by the code of the leader")


# ---- pasted again


def test_a_code_that_is_pasted_again_at_the_moment_of_joining_goes_on(
    town: Town, leader: Member
) -> None:
    """The team is there a moment before the daemon notes that the code has led to it."""
    code = invite(leader)
    with newcomers(town, "hasty") as [hasty]:
        paste(hasty, code)
        until(lambda: joined(hasty), "in the team")
        with open_state(hasty.paths.state_db).transaction() as tx:
            (found,) = state.joinings.all(tx)
            state.joinings.put(tx, found.changed(status=JoinStatus.KNOCKING))
        paste(hasty, code)

        answers = hasty.json("subscription", "list")["subscriptions"]
        assert {answer["status"] for answer in answers} == {"accepted"}


# ---- a daemon that is killed


def _steps(place: str) -> bool:
    """The steps of a join: doors, requests, documents, and Syncthing's configuration."""
    rooms = ("door.", "door_folder.", "knock.", "join.", "sign.", "adopt.", "reconciler.")
    return place.startswith((*rooms, "change_log.", "intent."))


@pytest.mark.memory("alone")
@pytest.mark.parametrize("victim", ["the leader", "the newcomer"])
def test_killed_at_each_step_a_join_goes_on_and_counts_once(
    town: Town, leader: Member, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = invite(leader, "--uses", "2")
    with newcomers(town, victim.split()[1]) as [newcomer]:
        paste(newcomer, code)
        killed = leader if victim == "the leader" else newcomer
        assert isinstance(killed, MemoryMember)
        walk = MemoryWalk(killed, _steps)

        door = door_of(code_keys(decode_invite(code).secret)[0], newcomer.json("code")["device"])

        def done() -> bool:
            return joined(newcomer) and door not in {*leader.folders(), *newcomer.folders()}

        points = walk.run(monkeypatch, done, "in the team, and the door gone")

        assert len(points) >= 10
        assert newcomer.tag in tags(leader)
        (known,) = [i for i in leader.json("invite", "list")["invites"] if i["id"] == _id(code)]
        assert (known["state"], known["used"], known["joined"]) == ("open", 1, [newcomer.tag])
        assert " ks1." not in own_name(newcomer)


# ---- what others can do with a knock


@pytest.mark.memory("alone")
def test_who_reads_the_name_of_a_newcomer_opens_no_door_with_it(town: Town, leader: Member) -> None:
    """The proof is bound to a device, which Syncthing vouches for, and to its port."""
    code = invite(leader)
    knock, _ = code_keys(decode_invite(code).secret)
    mine, thief = (device_text(bytes([n]) * 32) for n in (7, 8))
    name = knocking_name("nina.box", [proof(knock, mine, 22077)], 22077)
    assert isinstance(leader, MemoryMember)
    inside = leader.syncthing._member
    inside.knock(thief, name, "tcp://10.0.0.8:51111")
    inside.knock(mine, name.replace("22077", "22078"), "tcp://10.0.0.9:51111")
    town_rests(leader)
    assert doors_of(leader, code) == []

    inside.knock(mine, name, "tcp://10.0.0.9:51111")
    town_rests(leader)

    (door,) = doors_of(leader, code)
    assert (door.device, door.address) == (mine, "tcp://10.0.0.9:22077")


def test_a_revoked_code_opens_no_door_to_the_team_for_who_asks_already(
    town: Town, leader: Member
) -> None:
    code = invite(leader, "--confirm")
    with newcomers(town, "unlucky") as [unlucky]:
        paste(unlucky, code)
        until(lambda: leader.json("inbox")["asking"], "a request that waits")
        leader.run("invite", "revoke", _id(code))

        assert until_refused(unlucky) == "revoked"
        assert refusal(unlucky) == "revoked"
        assert unlucky.tag not in tags(leader)
