"""A command of a team refuses before it announces anything, and says what to type instead."""

import pytest

from tests.support.harness import Member
from tests.support.memory_town import MemoryMember, MemoryTown
from tests.support.town import Town, found_team

pytestmark = pytest.mark.memory("alone")


class Team:
    """Alice leads; Bob is a member, Gina a guest, and Dan has not joined."""

    def __init__(self, town: MemoryTown) -> None:
        self.alice, self.bob, self.gina, self.dan = (
            town.member(user) for user in ("alice", "bob", "gina", "dan")
        )
        for member in (self.alice, self.bob, self.gina):
            member.up()
        self.alice.run("team", "create", "backend")
        self.alice.run("project", "share", ".", "--yes")
        for other in (self.bob, self.gina):
            other.run("pair", self.alice.code)
        self.alice.run("team", "add", self.bob.code, "--yes")
        self.alice.run("team", "add", self.dan.code, "--yes")
        self.alice.run("team", "guest", self.gina.code, "--project", "repo", "--yes")
        town.settle()

    def member(self, user: str) -> MemoryMember:
        found: MemoryMember = getattr(self, user)
        return found


@pytest.fixture(scope="module")
def team(town: Town) -> Team:
    assert isinstance(town, MemoryTown)
    return Team(town)


PASS_ON = "karma-sync team transfer bob.box --team backend"
NAME = "karma-sync team successors TAG --team backend; TAG is one of bob.box, dan.box"
CASES = [
    ("alice", "team transfer gina", 6, "gina.box is a guest of backend", PASS_ON),
    ("alice", "team transfer alice", 6, "you lead backend already", PASS_ON),
    ("alice", "team transfer dan", 6, "dan.box has not joined backend yet", "team show"),
    ("alice", "team transfer zoe", 5, "backend has no member 'zoe'", "bob.box"),
    ("alice", "team successors gina", 6, "gina.box is a guest of backend", NAME),
    ("alice", "team successors bob alice", 6, "you lead backend already", NAME),
    ("alice", "team successors bob zoe", 5, "backend has no member 'zoe'", "bob.box"),
    ("alice", "team successors bob --nobody", 2, "--nobody means that nobody", "leave out"),
    ("alice", "team take-over", 6, "you lead backend already", "karma-sync team show"),
    ("alice", "team remove alice", 6, "alice.box leads backend", "karma-sync team transfer TAG"),
    ("alice", "team leave", 6, "you lead backend", "karma-sync team dissolve --team backend"),
    ("alice", "team retract bob", 5, "'bob' was not removed", "team remove bob.box --team backend"),
    ("alice", "team retract zoe", 5, "'zoe' was not removed", "karma-sync team show"),
    ("alice", "mute gina.box", 6, "gina.box is a guest of backend", "karma-sync team show"),
    ("alice", "machine add gina.box", 6, "gina.box is a guest of backend", "invite --me"),
    ("alice", "mute bob", 5, "no team of yours has a member 'bob'", "the whole tag: bob.box"),
    ("alice", "unmute zoe", 5, "no muted member is 'zoe'", "nobody is muted"),
    ("alice", "machine remove zoe.box", 5, "has a member 'zoe.box'", "karma-sync machine list"),
    ("alice", "team show --team zoo", 5, "you are in no team 'zoo'", "karma-sync team list"),
    ("alice", "team create backend", 6, "in a team backend already", "karma-sync team list"),
    ("alice", "team rename Back", 2, "'Back' cannot be the name", "karma-sync team rename backend"),
    ("bob", "team transfer alice", 12, "only the leader of backend", "ask alice.box"),
    ("bob", "team successors alice", 12, "only the leader of backend", "ask alice.box"),
    ("bob", "team remove gina", 12, "only the leader of backend", "ask alice.box"),
    ("bob", "team take-over", 12, "does not name you", "karma-sync team successors bob.box"),
    ("gina", "team take-over", 12, "does not name you", "alice.box can"),
    ("gina", "project propose CLONE", 6, "you are a guest of backend", "ask the leader"),
    ("gina", "machine add alice.box", 6, "you are a guest of backend", "invite --me"),
    ("gina", "team policy --accept all --direction both", 6, "a guest", "--direction receive"),
    ("gina", "team policy --direction send", 6, "a guest of backend", "--direction receive"),
    ("gina", "accept repo --direction both", 6, "a guest of backend", "--direction receive"),
]


@pytest.mark.parametrize("case", CASES, ids=[" ".join(case[:2]) for case in CASES])
def test_it_is_refused_first_with_a_reason_and_what_to_type(
    team: Team, case: tuple[str, str, int, str, str]
) -> None:
    user, typed, code, why, hint = case
    member = team.member(user)
    words = [_clone(member) if word == "CLONE" else word for word in typed.split()]

    refused = member.run(*words, check=False)

    assert (refused.code, refused.out) == (code, "")
    said, _, step = refused.err.partition("try: ")
    assert why in said
    assert hint in step


def _clone(member: Member) -> str:
    return str(member.clone("git@example.org:acme/new.git", "new"))


@pytest.mark.parametrize(
    ("who", "code", "said"),
    [
        ("zoe", 5, ("backend has no member zoe.box", "team add CODE, without --replace")),
        ("gina", 5, ("backend has no member gina.box", "team remove gina.box, then")),
        ("bob", 6, ("bob.box has this key in backend already", "karma-sync team show")),
    ],
)
def test_a_key_that_cannot_be_replaced_has_a_way_on(
    team: Team, town: MemoryTown, who: str, code: int, said: tuple[str, str]
) -> None:
    other = town.member("zoe") if who == "zoe" else team.member(who)

    refused = team.alice.run("team", "add", other.code, "--replace", "--yes", check=False)

    assert (refused.code, refused.out) == (code, "")
    why, _, step = refused.err.partition("try: ")
    assert said[0] in why
    assert said[1] in step


@pytest.mark.parametrize(
    ("user", "typed"),
    [
        ("bob", "team leave --team backend --keep-shared --keep --yes"),
        ("alice", "team remove bob.box --team backend --stolen --retract --yes"),
        ("alice", "team successors bob.box dan.box --team backend --yes"),
    ],
)
def test_who_is_to_type_yes_is_told_to_type_all_that_was_typed(
    team: Team, user: str, typed: str
) -> None:
    asked = typed.removesuffix(" --yes").split()

    refused = team.member(user).run(*asked, check=False)

    assert refused.code == 8
    assert f"try: karma-sync {typed}\n" in refused.err


def test_who_leaves_or_removes_a_guest_is_told_that_nothing_was_sent(team: Team) -> None:
    leaving = team.gina.run("team", "leave", check=False).out
    removing = team.alice.run("team", "remove", "gina", check=False).out
    of_none = team.alice.run("team", "remove", "dan", check=False).out

    assert "what you sent:     nothing: a guest sends nothing" in leaving
    assert "what it sent:     nothing: a guest sends nothing" in removing
    assert of_none.count("nothing: it has not joined") == 2


def test_the_team_shows_what_a_guest_may_receive(team: Team) -> None:
    for member in (team.alice, team.gina):
        shown = member.run("team", "show").out
        assert "Guest gina.box may receive: example.org/acme/repo" in shown


def test_what_was_taken_back_is_not_announced_a_second_time(here: MemoryTown) -> None:
    alice, bob = here.members("alice", "bob")
    found_team(alice, bob)
    here.settle()
    alice.run("team", "remove", "bob", "--yes")
    here.settle()
    assert "you were removed from backend" in bob.run("status").out
    assert [each["team"] for each in bob.json("status")["removed_from"]] == ["backend"]
    taken = alice.run("team", "retract", "bob", "--yes").out
    assert "All members of backend delete what bob.box sent" in taken

    again = alice.run("team", "retract", "bob.box", check=False)

    assert (again.code, again.out) == (6, "")
    assert "was taken back before" in again.err
    assert "Team backend ends" in alice.run("team", "dissolve", check=False).out


def test_two_machines_of_a_person_are_told_when_it_counts(here: MemoryTown) -> None:
    alice, bob = here.members("alice", "bob")
    found_team(alice, bob)
    alice.run("team", "successors", "bob", "--yes")
    here.settle()
    alice.run("machine", "add", "bob.box", "--yes")
    here.settle()
    [claim] = bob.json("inbox")["machines"]

    said = bob.run("invitation", "accept", claim["id"]).out

    assert "It says the same: all members see the two under one name." in said
    assert "you are successor 1" in bob.run("team", "show").out


def test_who_leaves_a_team_of_its_own_hears_nothing_of_others(here: MemoryTown) -> None:
    [alice] = here.members("alice")
    alice.run("team", "create", "backend")
    alice.run("team", "dissolve", "--yes")

    told = alice.run("team", "leave", "--yes").out

    assert "what you sent:     nobody else is in the team" in told
    assert "others" not in told
    assert alice.json("team", "list")["teams"] == []


def test_who_is_leaving_already_is_told_so(here: MemoryTown) -> None:
    _, bob = here.members("alice", "bob")
    found_team(*here.everybody)
    here.settle()
    bob.run("team", "leave", "--yes")

    again = bob.run("team", "leave", "--yes", check=False)
    proposed = bob.run("project", "propose", _clone(bob), check=False)

    for refused in (again, proposed):
        assert (refused.code, refused.out) == (6, "")
        assert "you are leaving backend" in refused.err
        assert "try: karma-sync team list" in refused.err
