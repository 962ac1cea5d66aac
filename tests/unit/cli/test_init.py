"""Making an identity: what is proposed, refused and explained; nothing works before it."""

import re
from pathlib import Path

import pytest

from karma_sync.errors import NotInitialised
from tests.support.harness import Member, programs
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one

TEAM = "backend"
REPO = "repo"
# What each command needs to get as far as asking for the identity.
COMMANDS = {
    "up": (),
    "down": (),
    "code": (),
    "pair": ("CODE",),
    "team create": (TEAM,),
    "team add": ("CODE",),
    "inbox": (),
    "invitation accept": ("abc",),
    "invitation decline": ("abc",),
    "project share": (".",),
    "project map": ("/x", "https://example.org/a/b"),
    "subscription list": (),
    "subscription accept": (REPO,),
    "subscription decline": (REPO,),
    "sub list": (),
    "accept": (REPO,),
    "decline": (REPO,),
    "session list": (),
    "session show": ("abc",),
    "status": (),
}


@pytest.fixture(scope="module")
def other(town: Town) -> Member:
    """Somebody else, for their pairing code."""
    return town.member("bob")


@pytest.fixture
def stranger(tmp_path: Path) -> Member:
    """A home without an identity."""
    return Member(tmp_path, "nobody", programs()[0])


@pytest.mark.parametrize("command", COMMANDS)
def test_before_init_a_command_exits_3_and_makes_nothing(
    stranger: Member, other: Member, command: str
) -> None:
    typed = [other.code if part == "CODE" else part for part in COMMANDS[command]]
    done = stranger.run(*command.split(), *typed, check=False)

    assert done.code == NotInitialised.exit_code, done
    assert "try: karma-sync init" in done.err
    assert not stranger.home.exists()


@pytest.mark.parametrize(
    ("option", "typed", "proposed"),
    [("--user", "Al Ice!", "al-ice"), ("--machine", "MacBook Pro.local", "macbook-pro")],
)
def test_init_proposes_a_name_where_one_cannot_be_used(
    stranger: Member, option: str, typed: str, proposed: str
) -> None:
    names = {"--user": "alice", "--machine": "box"} | {option: typed}
    options = [part for pair in names.items() for part in pair]
    done = stranger.run("init", *options, check=False)

    assert done.code == 2
    assert f"try: {option} {proposed}" in done.err.replace("karma-sync init ", "")
    assert not stranger.home.exists()


def test_init_without_discovery_asks_for_an_address(stranger: Member) -> None:
    done = stranger.run("init", "--user", "a", "--machine", "b", "--no-discovery", check=False)

    assert done.code == 2
    assert "--address" in done.err
    assert not stranger.home.exists()


@pytest.mark.parametrize("address", ["no host", "tcp://", "host:99999", "host:0", "::1", "ftp://x"])
def test_init_refuses_what_is_no_address(stranger: Member, address: str) -> None:
    done = stranger.run(
        *("init", "--user", "a", "--machine", "b", "--no-discovery", "--address", address),
        check=False,
    )

    assert done.code == 2, done
    assert not stranger.home.exists()


def test_init_says_what_discovery_and_relays_learn_and_how_to_turn_them_off(
    stranger: Member,
) -> None:
    said = stranger.run("init", "--user", "a", "--machine", "b").out

    assert re.search(
        r"discovery learns .* relays learn .* neither sees content\. To turn them off, ", said
    )
    assert "Next: karma-sync up -d" in said


def test_init_asks_on_a_terminal_and_proposes_login_and_host(stranger: Member) -> None:
    done = stranger.on_terminal("init", answers=["zoe", ""])

    assert done.code == 0, done.out
    assert re.search(r"Your name in teams \[[a-z0-9_-]+\]:", done.out)
    assert re.search(r"You are zoe\.[a-z0-9_-]+, key ", done.out)


def test_init_without_a_syncthing_exits_4_and_names_the_command_to_install_it(
    stranger: Member,
) -> None:
    stranger.environ |= {"KARMA_SYNC_SYNCTHING": str(stranger.folder / "missing")}
    done = stranger.run("init", "--user", "a", "--machine", "b", check=False)

    assert done.code == 4
    assert re.search(r"try: .*install", done.err)
    assert not stranger.paths.settings.exists()


def test_init_remembers_the_agents_directories_whatever_a_later_shell_says(
    stranger: Member,
) -> None:
    homes = [str(stranger.folder / name) for name in ("first", "second")]
    stranger.environ |= {"CLAUDE_CONFIG_DIR": ",".join(homes)}
    stranger.run("init", "--user", "a", "--machine", "b")
    del stranger.environ["CLAUDE_CONFIG_DIR"]

    told = stranger.run("project", "scan")
    assert f"{homes[0]}/projects or {homes[1]}/projects" in told.out
    assert "not searched" not in told.err

    stranger.environ |= {"CLAUDE_CONFIG_DIR": "/elsewhere"}
    for command in (("project", "scan"), ("status",)):
        told = stranger.run(*command)
        assert "CLAUDE_CONFIG_DIR names /elsewhere, which is not searched" in told.err
        assert homes[0] in told.err


def test_a_key_that_a_team_knows_is_not_given_another_name(stranger: Member) -> None:
    """config.toml was deleted; the key and the databases are still there."""
    stranger.run("init", "--user", "a", "--machine", "b")
    stranger.run("team", "create", TEAM)
    stranger.paths.settings.unlink()

    refused = stranger.run("init", "--user", "x", "--machine", "y", check=False)

    assert refused.code == 6
    assert "is a.b in team backend" in refused.err
    assert "try: karma-sync init --user a --machine b" in refused.err
    assert not stranger.paths.settings.exists()
    again = stranger.run("init", "--user", "a", "--machine", "b").out
    assert "The key was here before" in again
    assert "team backend" in stranger.run("status").out
