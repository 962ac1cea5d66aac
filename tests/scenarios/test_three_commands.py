"""The README's story: from nothing to shared sessions with three commands and seven answers."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from karma_sync.domain.team.invite_code import decode_invite
from karma_sync.redact.examples import fill
from tests.support.harness import Member, Result, each_program, until
from tests.support.town import Town
from tests.support.transcripts import Session

pytestmark = pytest.mark.daemon

LOOPBACK = ("--no-discovery", "--address", "127.0.0.1")  # a real first command has none of these
TOKEN = fill("ghp_{alnum:36}", "three commands")


class Blank(Member):
    """A machine with nothing but the program and the agent's sessions; it counts what is typed."""

    def __init__(self, folder: Path, user: str, program: Path) -> None:
        super().__init__(folder, user, program)
        self.commands = 0
        self.answers = 0

    def init(self) -> "Blank":
        return self

    def types(self, *args: str, answers: list[str]) -> Result:
        """Type a command, and answer what it asks; each question gets an answer."""
        done = self.on_terminal(*args, answers=answers)
        self.commands += 1
        self.answers += len(answers)
        assert len(re.findall(r"\[[^\]\n]+\]:", done.out)) == len(answers), done
        return done


@dataclass
class Story:
    """The commands that both typed, and their output."""

    a: Blank
    b: Blank
    sent: Session
    back: Session
    said: dict[str, Result] = field(default_factory=dict)


@pytest.fixture(scope="module", params=each_program())
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    found = Town(tmp_path_factory.mktemp("town"), request.param)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def story(town: Town) -> Story:
    a, b = town.member("alice", kind=Blank), town.member("bob", kind=Blank)
    assert isinstance(a, Blank)
    assert isinstance(b, Blank)
    story = Story(a, b, a.write_session("by alice"), b.write_session(f"by bob, with {TOKEN}"))
    share = ("project", "share", ".", *LOOPBACK)
    story.said["share"] = a.types(*share, answers=["alice.box", "backend", "y"])
    story.said["invite"] = a.types("invite", "--no-wait", answers=["y"])
    story.said["join"] = b.types(
        "join", _code(story.said["invite"]), *LOOPBACK, answers=["bob.box", "", "y"]
    )
    return story


def _code(printed: Result) -> str:
    return next(word for word in printed.out.split() if word.startswith("KSI1-"))


def test_three_commands_and_seven_answers_lead_to_sessions_on_both_sides(story: Story) -> None:
    assert [done.code for done in story.said.values()] == [0, 0, 0], story.said
    assert story.a.commands + story.b.commands == 3
    assert story.a.answers + story.b.answers == 7
    story.b.until_readable(story.sent)
    until(lambda: story.a.peek(story.back.id), "the newcomer's session at the leader")
    assert TOKEN.encode() not in (story.a.peek(story.back.id) or b"")


def test_the_leader_sees_what_leaves_and_what_the_code_is(story: Story) -> None:
    shared, invited = story.said["share"].out, story.said["invite"].out

    assert "You are alice.box, key " in shared
    assert "You lead team backend." in shared
    assert "sends now:   1 session" in shared
    assert "Next: karma-sync invite" in shared
    assert "whoever joins" in invited
    assert "Invitation to backend, good for a day, for one person. Send this:" in invited


def test_the_newcomer_sees_who_invites_and_what_would_be_sent_before_it_says_yes(
    story: Story,
) -> None:
    said = story.said["join"].out
    key = story.a.json("code")["fingerprint"]

    assert f"backend, led by alice.box (key {key}), invites you." in said
    assert "It shares: example.org/acme/repo." in said
    assert said.index("invites you") < said.index("Join? [Y/n]")
    told = "example.org/acme/repo: 1 session of yours would be sent (2 redactions), to alice.box."
    assert told in said
    assert said.index(told) < said.index("Share yours too? [y/N/?]")
    assert "Readable: sessions by alice.box." in said


def test_the_code_is_in_no_process_that_asks_or_waits(story: Story) -> None:
    """`join` executes itself again without the code before it starts anything."""
    secret = _code(story.said["invite"])
    for member in (story.a, story.b):
        for process in member.processes():
            assert secret not in " ".join(process.cmdline())


@pytest.mark.slow
def test_an_invite_that_waits_draws_the_code_asks_and_tells_who_joined(
    story: Story, town: Town
) -> None:
    erin = town.member("erin", kind=Blank)
    joins: list[subprocess.Popen[str]] = []

    def paste_once_it_waits(seen: str) -> None:
        if not joins and "Waiting for somebody to use it" in seen:
            code = next(word for word in seen.split() if word.startswith("KSI1-"))
            names = ("--user", "erin", "--machine", "box")
            joins.append(erin.start("join", code, "--yes", *names, *LOOPBACK))

    waited = story.a.on_terminal(
        "invite", "--qr", "--confirm", answers=["y", "y"], read=paste_once_it_waits
    )
    said = erin.finish(joins[0])

    assert (waited.code, said.code) == (0, 0), (waited, said)
    assert waited.out.index("▄▄▄▄▄") < waited.out.index("  karma-sync join KSI1-")
    key = erin.json("code")["fingerprint"]
    assert f"erin.box, key {key}, asks to join backend. Compare the key." in waited.out
    assert waited.out.index("Let it join? [y/N]") < waited.out.index(f"erin.box joined, key {key}.")
    assert waited.out.rstrip().endswith("The invitation is used.")
    assert "You are in team backend." in said.out


@pytest.mark.slow
def test_a_join_that_waits_shows_its_code_to_nobody(story: Story, town: Town) -> None:
    dora = town.member("dora").up()
    code = _code(story.a.run("invite", "--no-wait", "--yes"))
    story.a.down()
    started = dora.start("join", code, "--yes")
    try:
        process = psutil.Process(started.pid)
        until(lambda: "--code-from" in process.cmdline(), "join without its code")

        assert code not in " ".join(process.cmdline())
        assert decode_invite(code).secret.hex() not in str(process.environ())
        until(lambda: dora.json("inbox")["joining"], "the code in use")
        assert code not in " ".join(process.cmdline())
    finally:
        started.kill()
        started.communicate()


@pytest.mark.slow
def test_a_no_to_the_team_joins_nothing_and_a_no_to_sending_sends_nothing(
    story: Story, town: Town
) -> None:
    story.a.run("up", "-d")
    code = _code(story.a.run("invite", "--no-wait", "--yes"))
    carol = town.member("carol", kind=Blank)
    carol.write_session("it stays here")

    no = carol.on_terminal("join", code, *LOOPBACK, answers=["carol.box", "n"])
    assert (no.code, "you joined no team" in no.out) == (8, True)
    assert carol.json("subscription", "list")["subscriptions"] == []

    receives = carol.on_terminal("join", code, answers=["", "?", ""])
    assert receives.code == 0, receives
    assert "sends now:   1 session" in receives.out
    (answer,) = carol.json("subscription", "list")["subscriptions"]
    assert (answer["status"], answer["direction"]) == ("accepted", "receive")
    carol.until_readable(story.sent)
