"""One code, one paste: who has an invitation code joins, alone, once, and nobody else does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import segno

from karma_sync.domain.team.invite import DoorStatus, InviteStatus, JoinStatus
from karma_sync.domain.team.invite_code import decode_invite
from karma_sync.signing import code_keys
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.store.read_only import reading_only
from tests.support.harness import PROJECT, Member, Result, until
from tests.support.town import Town, found_team
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory("each")


def code_in(printed: Result) -> str:
    """The code that `invite` printed."""
    return next(w for line in printed.lines for w in line.split() if w.startswith("KSI1-"))


def invite(member: Member, *options: str) -> str:
    """A code that a member gives out."""
    return code_in(member.run("invite", "--no-wait", "--yes", *options))


def paste(member: Member, code: str, *options: str, check: bool = True) -> Result:
    """Paste a code without a person: it waits for nothing."""
    return member.run("join", "--yes", "--no-wait", *options, stdin=code, check=check)


@contextmanager
def reading(member: Member) -> Iterator[Transaction]:
    """A transaction that reads a member's database as it is now."""
    with reading_only(member.paths.state_db) as tx:
        yield tx


def joined(member: Member, team: str = "backend") -> bool:
    """Whether a member is in a team."""
    with reading(member) as tx:
        return any(each.name == team for each in state.teams.all(tx))


def tags(member: Member, team: str = "backend") -> set[str]:
    """The tags of the members on the roster of a team."""
    with reading(member) as tx:
        return {m.tag for t in state.teams.all(tx) if t.name == team for m in t.members}


@contextmanager
def newcomers(town: Town, *users: str) -> Iterator[list[Member]]:
    """Members whose daemons are up for one test: a town of many is slow."""
    found = town.members(*users)
    yield found
    for member in found:
        member.down()


def refusal(member: Member) -> str:
    """The reason why the newest request of a member was refused; "" if it was not."""
    with reading(member) as tx:
        return max(state.joinings.all(tx), key=lambda j: j.made).why


def until_refused(member: Member) -> str:
    return until(lambda: refusal(member), f"a refusal at {member.tag}")


def doors(member: Member) -> list[DoorStatus]:
    with reading(member) as tx:
        return [door.status for door in state.doors.all(tx)]


def folders_of_doors(member: Member) -> list[str]:
    return [folder for folder in member.folders() if folder.startswith("ks-d-")]


def own_name(member: Member) -> str:
    """The name that this member's Syncthing tells others."""
    devices = member.rest("config/devices")
    mine = member.json("code")["device"]
    return str(next(d["name"] for d in devices if d["deviceID"] == mine))


def in_files(member: Member, *texts: bytes) -> list[str]:
    """The files of a member that hold one of these, but those of Syncthing's own."""
    found = [p for p in member.home.rglob("*") if p.is_file() and "syncthing" not in p.parts]
    return [str(path) for path in found if any(text in path.read_bytes() for text in texts)]


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
    b.write_session("of the newcomer")
    paste(b, code, "--direction", "both")
    return Story(a, b, sent, code, invited)


def test_one_code_and_one_paste_lead_to_sessions_on_both_sides(story: Story) -> None:
    back = story.b.write_session("back to the leader")

    story.b.until_readable(story.sent)
    story.a.until_readable(back)
    (project,) = story.b.json("subscription", "list")["subscriptions"]
    assert (project["project"], project["status"]) == (PROJECT, "accepted")


def test_the_code_says_what_it_is_and_that_a_shell_keeps_it(story: Story) -> None:
    said = story.invited.out

    assert "Invitation to backend, good for a day, for one person. Send this:" in said
    assert f"  karma-sync join {story.code}" in said
    assert "history" in said


def test_the_leader_dials_whoever_knocks(story: Story) -> None:
    """Nobody's Syncthing was refused, which 1.29 notices a second later."""
    leader = story.a.json("code")["device"]

    def dialled() -> list[str]:
        devices = story.b.rest("config/devices")
        return list(next(d["addresses"] for d in devices if d["deviceID"] == leader))

    until(lambda: dialled() == ["dynamic"], "a newcomer that was dialled, and dials nobody")


def test_afterwards_nothing_is_left_of_it_but_that_it_was_used(story: Story) -> None:
    until(lambda: doors(story.a) == [DoorStatus.CLOSED], "the door closed at the leader")
    until(lambda: not folders_of_doors(story.a) + folders_of_doors(story.b), "no door folder")
    secret = decode_invite(story.code).secret
    knock, admission = code_keys(secret)

    assert own_name(story.b) == own_name(story.b).partition(" ks1.")[0]
    (known,) = story.a.json("invite", "list")["invites"]
    assert (known["state"], known["used"], known["joined"]) == ("used", 1, ["bob.box"])
    assert "key" not in str(known)
    for member in (story.a, story.b):
        texts = (secret, secret.hex().encode(), admission.hex().encode(), story.code.encode())
        assert in_files(member, *texts) == []
    assert in_files(story.b, knock.hex().encode()) == []
    assert not list(story.b.paths.folders.glob("ks-d-*"))


def test_a_used_code_is_refused_and_says_so(town: Town, story: Story) -> None:
    with newcomers(town, "late") as [late]:
        paste(late, story.code)

        assert until_refused(late) == "used"
        assert not joined(late)
        again = paste(late, story.code, check=False)
        assert (again.code, "was used already" in again.err) == (6, True)
        assert "late.box" not in tags(story.a)
        until(lambda: not folders_of_doors(late), "no door at who was refused")
        until(lambda: " ks1." not in own_name(late), "its usual name")


def test_a_mistyped_an_own_and_a_pairing_code_are_refused_at_once(story: Story) -> None:
    last = story.code[-1]
    mistyped = story.code[:-1] + ("A" if last != "A" else "B")
    cases = [
        (story.b, mistyped, 2, "typing mistake"),
        (story.b, story.code[:40], 2, "cut off"),
        (story.b, story.a.code, 2, "does not begin with KSI1"),
        (story.b, "", 2, "is empty"),
        (story.a, story.code, 2, "your own"),
    ]
    for member, code, exit_code, why in cases:
        done = paste(member, code, check=False)

        assert (done.code, why in done.err) == (exit_code, True), done
    wrong = story.a.run("pair", story.code, check=False)
    assert (wrong.code, "karma-sync join" in wrong.err) == (2, True)


def test_a_drawn_code_is_the_printed_one(story: Story) -> None:
    printed = story.a.run("invite", "--no-wait", "--yes", "--qr")
    dark = {"█": "00", "▀": "01", "▄": "10", " ": "11"}  # of each letter the upper and lower half
    drawn = [line for line in printed.lines if line and set(line) <= dark.keys()]
    rows = [[dark[letter][half] for letter in line] for line in drawn for half in (0, 1)]

    wanted = segno.make_qr(code_in(printed), error="l").matrix_iter(border=4)
    assert ["".join(row) for row in rows][: len(rows[0])] == [
        "".join(map(str, map(int, row))) for row in wanted
    ]


def test_a_team_that_i_am_in_is_named(story: Story) -> None:
    done = paste(story.b, invite(story.a), check=False)

    assert (done.code, "you are in team backend already" in done.err) == (6, True)


def test_a_check_shows_what_a_code_says_and_changes_nothing(story: Story) -> None:
    said = story.b.run("code", "--check", story.code).out
    pairing = story.b.json("code", "--check", story.a.code)

    assert "An invitation code, good until" in said
    assert story.a.json("code")["fingerprint"] in said
    assert decode_invite(story.code).secret.hex() not in said
    assert (pairing["kind"], pairing["tag"]) == ("pairing", "alice.box")


def test_without_a_yes_and_a_terminal_nothing_happens(town: Town, story: Story) -> None:
    stranger = town.member("shy")
    done = stranger.run("join", stdin=invite(story.a), check=False)

    assert (done.code, "--yes" in done.err) == (8, True)
    assert not stranger.paths.state_db.exists()


def test_a_revoked_code_is_refused(town: Town, story: Story) -> None:
    code = invite(story.a)
    (first, *_) = story.a.json("invite", "list")["invites"]
    story.a.run("invite", "revoke", first["id"])
    with newcomers(town, "rita") as [rita]:
        paste(rita, code)

        assert until_refused(rita) == "revoked"
        again = story.a.run("invite", "revoke", first["id"], check=False)
        assert (again.code, "revoked already" in again.err) == (6, True)
        assert story.a.run("invite", "revoke", "aaaaaaa", check=False).code == 5


def test_of_two_who_use_one_code_at_once_one_joins(town: Town, story: Story) -> None:
    code = invite(story.a)
    with newcomers(town, "one", "other") as [one, other]:
        paste(one, code)
        paste(other, code)
        both = (one, other)
        until(
            lambda: any(joined(m) for m in both) and any(map(refusal, both)), "one in, one refused"
        )

        winner = one if joined(one) else other
        loser = other if winner is one else one
        assert (joined(loser), refusal(loser)) == (False, "used")
        assert {one.tag, other.tag} & tags(story.a) == {winner.tag}


def test_a_code_for_several_is_for_so_many(town: Town, story: Story) -> None:
    code = invite(story.a, "--uses", "2")
    with newcomers(town, "u1", "u2", "u3") as people:
        for member in people[:2]:
            paste(member, code)
            until(lambda m=member: joined(m), f"{member.tag} in the team")  # type: ignore[misc] # mypy cannot infer a lambda with a default
        paste(people[2], code)

        assert until_refused(people[2]) == "used"


def test_a_taken_name_is_refused_and_another_one_joins(town: Town, story: Story) -> None:
    code = invite(story.a)
    with newcomers(town, "twin", "second") as [twin, second]:
        paste(twin, code)
        until(lambda: joined(twin), "the first twin")
        second.down()
        second.run("rename", "--user", "twin", "--machine", "box")
        second.up()
        again = invite(story.a)
        paste(second, again)

        assert until_refused(second) == "tag-taken"
        second.down()
        second.run("rename", "--machine", "box-2")
        second.up()
        paste(second, again)
        until(lambda: joined(second), "the second twin under another name")
        assert {"twin.box", "twin.box-2"} <= tags(story.a)


def test_who_is_known_from_another_team_joins_though_it_never_knocks(
    town: Town, story: Story
) -> None:
    """A device that Syncthing knows is in no list: the leader sees the door that it offers."""
    with newcomers(town, "known") as [known]:
        found_team(known, story.a, name="elsewhere")
        until(lambda: joined(story.a, "elsewhere"), "the leader in the other team")
        paste(known, invite(story.a, "--team", "backend"))

        until(lambda: joined(known), "the known one in the team")


@pytest.mark.parametrize(("user", "answer"), [("liked", "accept"), ("disliked", "decline")])
def test_an_accepted_contact_and_a_refused_one_join(
    town: Town, story: Story, user: str, answer: str
) -> None:
    def waiting() -> list[dict[str, str]]:
        return [c for c in story.a.json("inbox")["contacts"] if c["name"] == f"{user}.box"]

    with newcomers(town, user) as [contact]:
        contact.run("pair", story.a.code)
        (found,) = until(waiting, f"{user} in the inbox")
        story.a.run("invitation", answer, found["id"])
        paste(contact, invite(story.a, "--team", "backend"))

        until(lambda: joined(contact), f"{user} in the team")


def test_a_person_says_yes_or_no_to_each_where_the_code_asks(town: Town, story: Story) -> None:
    code = invite(story.a, "--confirm", "--uses", "2", "--team", "backend")
    with newcomers(town, "yes", "no") as people:
        for member, verb in zip(people, ("accept", "decline"), strict=True):
            paste(member, code)
            (asking,) = until(lambda: story.a.json("inbox")["asking"], "a request that waits")
            assert asking["fingerprint"] == member.json("code")["fingerprint"]
            assert f"{member.tag}, key {asking['fingerprint']}" in story.a.run("inbox").out
            assert not joined(member)
            story.a.run("invitation", verb, asking["id"])

        until(lambda: joined(people[0]), "who was accepted")
        assert until_refused(people[1]) == "declined"
        assert people[1].tag not in tags(story.a)


def test_three_teams_can_be_joined_at_once(town: Town) -> None:
    with newcomers(town, "busy", "l1", "l2", "l3") as [newcomer, *leaders]:
        for leader in leaders:
            paste(newcomer, invite(leader, "--team", f"of-{leader.user}"))

        assert newcomer.json("inbox")["joining"]
        until(lambda: all(joined(newcomer, f"of-{each.user}") for each in leaders), "all three")


def test_it_goes_on_by_itself_when_the_leader_comes_back(town: Town, story: Story) -> None:
    code = invite(story.a, "--team", "backend")
    story.a.down()
    with newcomers(town, "patient") as [patient]:
        paste(patient, code)
        waiting = until(lambda: patient.json("inbox")["joining"], "a code that waits")
        assert [each["agreed"] for each in waiting] == [True]
        patient.down()
        patient.up()
        story.a.up()

        until(lambda: joined(patient), "the patient one in the team")


def test_what_is_over_has_no_keys(town: Town, story: Story) -> None:
    with reading(story.b) as tx:
        found = state.joinings.all(tx)

    assert {each.status for each in found} == {JoinStatus.JOINED}
    assert {each.knock_key + each.admission_key + each.request for each in found} == {""}
    with reading(story.a) as tx:
        over = [i for i in state.invites.all(tx) if i.status is not InviteStatus.OPEN]
    assert {invite.admission_key for invite in over} == {""}
