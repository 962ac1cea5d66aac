"""A home that is a repository: to share it takes all of home, which is said and asked by name."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, wait_for_offer

pytestmark = pytest.mark.memory

DOTFILES = "example.org/alice/dotfiles"
NAMED = ("--whole-home", DOTFILES)


@dataclass(frozen=True)
class Home:
    """A's home is a clone of dotfiles; a session worked in a clone that was deleted since."""

    a: Member
    b: Member
    place: Path


@pytest.fixture(scope="module")
def home(town: Town) -> Home:
    a, b = town.pair()
    place = Path(a.environ["HOME"])
    for member in (a, b):
        house = Path(member.environ["HOME"])
        member.git(house, "init", "--quiet")
        member.git(house, "remote", "add", "origin", f"https://{DOTFILES}")
    a.write_session("about dotfiles", cwd=place)
    client = place / "src" / "client"
    client.mkdir(parents=True)
    a.write_session("for a client", cwd=client)
    shutil.rmtree(client)
    return Home(a, b, place)


def test_it_says_that_all_of_home_is_taken_and_a_yes_is_not_enough(home: Home) -> None:
    refused = home.a.run("project", "share", str(home.place), "--yes", check=False)

    assert refused.code == 8
    assert f"takes:       all of your home, {home.place}" in refused.out
    assert f"from {home.place / 'src' / 'client'}\n" in refused.out
    assert f"try: --whole-home {DOTFILES}" in refused.err
    assert _answer(home.a) is None


def test_another_name_is_a_no(home: Home) -> None:
    for wrong in ("dotfiles", "yes", ""):
        named = ("--whole-home", wrong, "--yes")
        assert home.a.run("project", "share", str(home.place), *named, check=False).code == 8
    done = home.a.on_terminal("project", "share", str(home.place), answers=["y"])
    assert done.code == 8
    assert "type the project's name" in done.out
    assert _answer(home.a) is None


def test_its_name_and_a_yes_share_it(home: Home) -> None:
    assert home.a.run("project", "share", str(home.place), *NAMED, check=False).code == 8
    home.a.run("project", "share", str(home.place), *NAMED, "--yes")

    assert _answer(home.a) == "accepted"


def test_accepting_it_asks_in_the_same_way_unless_nothing_is_sent(home: Home) -> None:
    wait_for_offer(home.b, "dotfiles")
    refused = home.b.run("accept", DOTFILES, "--yes", check=False)
    assert refused.code == 8
    assert "takes:       all of your home" in refused.out

    home.b.run("accept", DOTFILES, "--direction", "receive")
    until(lambda: _answer(home.b) == "accepted", "B to receive it")
    wider = home.b.run(
        "subscription", "change", DOTFILES, "--direction", "both", "--yes", check=False
    )
    assert wider.code == 8
    assert "takes:       all of your home" in wider.out


def _answer(member: Member) -> str | None:
    found = member.json("subscription", "list")["subscriptions"]
    return next((str(s["status"]) for s in found if s["project"] == DOTFILES), None)
