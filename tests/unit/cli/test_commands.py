"""The command line without a daemon: what it refuses, with which code, and what it says then."""

from pathlib import Path

import pytest

from karma_sync.errors import BadInput, Conflict, KarmaError, NeedsConsent, NotFound
from tests.support.harness import Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one

TEAM = "backend"
REPO = "repo"


class Home:
    """A member whose every file can be compared before and after a command."""

    def __init__(self, member: Member) -> None:
        self.member = member

    def files(self) -> dict[str, bytes]:
        """All files below the home and in the clone, by name; a database's log is part of it."""
        return {
            str(p.relative_to(self.member.folder)): p.read_bytes()
            for part in (self.member.home, self.member.claude)
            for p in part.rglob("*")
            if p.is_file() and not p.name.endswith(("-shm", "-wal"))
        }

    def refuses(self, error: type[KarmaError], *args: str, stdin: str | None = None) -> str:
        """Run a command that must fail as that error does, and change nothing; what it said."""
        before = self.files()
        done = self.member.run(*args, check=False, stdin=stdin)
        assert done.code == error.exit_code, done
        assert done.err.startswith("karma-sync: "), done
        assert "Traceback" not in done.err
        assert self.files() == before
        return done.err


@pytest.fixture(scope="module")
def other(town: Town) -> Member:
    """Somebody else, for their pairing code."""
    return town.member("bob")


@pytest.fixture(scope="module")
def alone(town: Town) -> Home:
    """A member in no team; no test of this module changes it."""
    home = Home(town.member("alice"))
    home.member.run("status")  # the databases are made by the first command that needs them
    home.member.run("session", "list")
    return home


@pytest.fixture(scope="module")
def leader(town: Town, other: Member) -> Home:
    """A member who leads a team with another and shares a project; no test changes it."""
    member = town.member("lea")
    member.run("team", "create", TEAM)
    member.run("team", "add", other.code)
    member.run("project", "share", ".", "--yes")
    member.run("status")
    return Home(member)


def test_init_twice_exits_6_and_keeps_the_first_identity(alone: Home) -> None:
    said = alone.refuses(Conflict, "init", "--user", "eve", "--machine", "box")

    assert "alice.box" in said
    assert "try: karma-sync up" in said


@pytest.mark.parametrize("command", ["pair", "team add"])
def test_an_own_code_exits_2(leader: Home, command: str) -> None:
    assert "your own" in leader.refuses(BadInput, *command.split(), leader.member.code)


@pytest.mark.parametrize("command", ["pair", "team add"])
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("typo", "typing mistake"),
        ("cut", "cut off"),
        ("more", "too many"),
        ("none", "code is empty"),
        ("strange", "cannot contain !"),
        ("other", "not a pairing code"),
    ],
)
def test_a_mistyped_code_exits_2_and_says_which_kind_of_mistake(
    leader: Home, other: Member, command: str, mistake: str, said: str
) -> None:
    code = other.code
    wrong = {
        "typo": code[:40] + ("A" if code[40] != "A" else "B") + code[41:],
        "cut": code[:-9],
        "more": code + "AAAA",
        "none": "",
        "strange": "!" + code,
        "other": "hello world hello world",
    }[mistake]

    assert said in leader.refuses(BadInput, *command.split(), stdin=wrong)


def test_a_code_is_read_whatever_a_chat_program_did_to_it(town: Town, other: Member) -> None:
    reader, code = town.member("rea"), other.code
    who = f"bob.box, key {other.json('code')['fingerprint']}"
    for typed in ([code.lower()], code.split("-"), [code.replace("-", " ").replace("O", "0")]):
        assert who in reader.run("pair", *typed).out
    assert who in reader.run("pair", stdin=f"\n {code[:50]}\n{code[50:]}\n").out


def test_accept_before_there_is_an_offer_exits_5_and_names_the_way_to_wait(alone: Home) -> None:
    said = alone.refuses(NotFound, "accept", REPO, "--yes")

    assert f"try: karma-sync accept {REPO} --wait" in said


def test_accept_with_wait_needs_a_daemon(alone: Home) -> None:
    assert "try: karma-sync up -d" in alone.refuses(Conflict, "accept", REPO, "--yes", "--wait")


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_an_unknown_project_exits_5(leader: Home, verb: str) -> None:
    assert "'nothing'" in leader.refuses(NotFound, verb, "nothing")


def test_an_accepted_project_cannot_be_accepted_again(leader: Home) -> None:
    assert "it is accepted" in leader.refuses(Conflict, "accept", REPO, "--yes")


def test_an_unknown_team_exits_5(leader: Home, other: Member) -> None:
    for command in (("accept", REPO, "--team", "x"), ("team", "add", other.code, "--team", "x")):
        assert "no team 'x'" in leader.refuses(NotFound, *command)


def test_a_team_twice_exits_6(leader: Home) -> None:
    assert f"team {TEAM} already" in leader.refuses(Conflict, "team", "create", TEAM)


@pytest.mark.parametrize("name", ["", "Back End", "-x", "a" * 49, "../x", "ü"])
def test_a_bad_team_name_exits_2_with_one_that_is_good(alone: Home, name: str) -> None:
    assert "try: karma-sync team create" in alone.refuses(BadInput, "team", "create", "--", name)


def test_adding_somebody_without_a_team_exits_5(alone: Home, other: Member) -> None:
    assert "try: karma-sync team create" in alone.refuses(NotFound, "team", "add", other.code)


def test_a_directory_that_is_no_repository_exits_5(leader: Home, tmp_path: Path) -> None:
    assert "not in a git repository" in leader.refuses(NotFound, "project", "share", str(tmp_path))


def test_a_repository_without_remote_exits_5_and_names_the_command(leader: Home) -> None:
    place = leader.member.clone(None, "bare")

    said = leader.refuses(NotFound, "project", "share", str(place))
    assert "try: git remote add origin" in said


def test_a_directory_that_is_not_there_exits_5(leader: Home) -> None:
    said = leader.refuses(NotFound, "project", "share", "/nowhere/at/all")

    assert said.startswith("karma-sync: there is no directory /nowhere/at/all")


@pytest.mark.parametrize("command", ["project map /gone", "project alias"])
def test_a_project_that_is_no_name_exits_2_and_says_what_one_looks_like(
    leader: Home, command: str
) -> None:
    said = leader.refuses(BadInput, *command.split(), "not a name")

    assert "'not a name' does not name a repository on a host" in said
    assert "try: for instance github.com/acme/web" in said


def test_a_change_of_nothing_exits_2_and_says_what_could_be_changed(leader: Home) -> None:
    said = leader.refuses(BadInput, "subscription", "change", REPO)

    assert "says what to change" in said
    assert "subscription change example.org/acme/repo --direction receive" in said


@pytest.mark.parametrize("span", ["0m", "soon", "-2h", ""])
def test_a_pause_that_has_no_length_exits_2_and_pauses_nothing(leader: Home, span: str) -> None:
    assert "try: for instance 30m, 2h, 3d" in leader.refuses(BadInput, "pause", "--for", span)


def test_an_unknown_agent_or_member_exits_5_with_what_there_is(leader: Home) -> None:
    assert "try: karma-sync sent" in leader.refuses(NotFound, "session", "unshare", "--agent", "x")
    assert "try: --to bob.box" in leader.refuses(NotFound, "sent", "--to", "nobody.x")


def test_a_name_that_others_have_too_can_be_changed_as_the_message_says(
    leader: Home, tmp_path: Path
) -> None:
    program = Path(leader.member.environ["KARMA_SYNC_SYNCTHING"])
    double = Member(tmp_path, "lea", program).init()
    said = leader.refuses(BadInput, "team", "add", double.code)

    assert "the other machine has the tag lea.box too" in said
    assert "karma-sync rename --machine NAME" in said
    assert "You are lea.attic now" in double.run("rename", "--machine", "attic").out


def test_a_remote_that_is_a_local_path_exits_2_and_names_the_command(leader: Home) -> None:
    place = leader.member.clone("/srv/git/x.git", "local")

    said = leader.refuses(BadInput, "project", "share", str(place))
    assert "try: git remote set-url origin" in said


def test_sharing_a_project_twice_exits_6(leader: Home) -> None:
    assert "already" in leader.refuses(Conflict, "project", "share", ".", "--yes")


def test_sharing_without_a_yes_exits_8_and_shares_nothing(leader: Home) -> None:
    place = leader.member.clone("git@example.org:acme/web.git", "web")

    assert "--yes" in leader.refuses(NeedsConsent, "project", "share", str(place))


@pytest.mark.parametrize("since", ["soon", "2026-13-01", "-3d", "d", "99999999999d"])
def test_a_since_that_is_no_moment_exits_2(leader: Home, since: str) -> None:
    place = leader.member.clone("git@example.org:acme/api.git", f"api{abs(hash(since))}")

    assert "is not a moment" in leader.refuses(
        BadInput, "project", "share", str(place), "--yes", f"--since={since}"
    )


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_an_unknown_invitation_exits_5(alone: Home, verb: str) -> None:
    for wanted in ("abcdefg", ""):
        assert "try: karma-sync inbox" in alone.refuses(NotFound, "invitation", verb, wanted)


def test_an_unknown_session_exits_5(alone: Home) -> None:
    for wanted in ("abcdefg", ""):
        said = alone.refuses(NotFound, "session", "show", wanted)
        assert "try: karma-sync session list" in said


def test_a_command_that_does_not_exist_exits_2(alone: Home) -> None:
    for command in (["frobnicate"], ["session"], ["status", "--colour"], ["accept"]):
        assert alone.member.run(*command, check=False).code == 2
