"""Where several teams share a project, every hint names the team that the next command needs."""

import pytest

from karma_sync.domain.team.pairing_code import decode
from karma_sync.store import state
from tests.support.builders import BOB, NOW_MS, team_of_all
from tests.support.harness import PROJECT, Member
from tests.support.town import Town

pytestmark = pytest.mark.daemon  # `init` makes Syncthing's key with the real one


@pytest.fixture(scope="module")
def alice(town: Town) -> Member:
    """She shares `repo` with two teams, and `tools` with one."""
    alice = town.member("alice")
    tools = alice.clone("git@example.org:acme/tools.git", "tools")
    for team in ("backend", "home"):
        alice.run("team", "create", team)
        alice.run("project", "share", ".", "--team", team, "--yes")
    alice.run("project", "share", str(tools), "--team", "home", "--yes")
    return alice


def test_a_command_without_the_team_is_told_to_name_it(alice: Member) -> None:
    told = alice.run("subscription", "pause", "repo", check=False)

    assert told.code == 2
    assert "try: --team backend or --team home" in told.err


def test_the_next_step_names_the_team(alice: Member) -> None:
    for verb, follows in {
        "pause": "subscription resume",
        "decline": "subscription reopen",
        "reopen": "accept",
    }.items():
        told = alice.run("subscription", verb, "repo", "--team", "backend").out
        assert f"Next: karma-sync {follows} {PROJECT} --team backend" in told
    assert f"karma-sync accept {PROJECT} --team backend" in alice.run("sub", "list").out


def test_the_next_step_after_a_change_of_a_team_names_it(alice: Member) -> None:
    told = alice.run("team", "rename", "home", "--team", "home").out
    refused = alice.run("team", "take-over", "--team", "home", check=False)

    assert "Next: karma-sync team show --team home\n" in told
    assert "try: karma-sync team show --team home\n" in refused.err


@pytest.mark.parametrize("verb", ["resume", "accept", "reopen"])
def test_the_way_out_of_an_illegal_move_names_the_team(alice: Member, verb: str) -> None:
    told = alice.run("subscription", verb, "repo", "--team", "home", check=False)

    assert told.code == 6
    assert f"try: karma-sync subscription change {PROJECT} --team home" in told.err


def test_a_project_of_one_team_needs_no_team(alice: Member) -> None:
    told = alice.run("subscription", "pause", "tools").out

    assert "Next: karma-sync subscription resume example.org/acme/tools\n" in told


def test_a_name_that_was_changed_by_hand_is_refused_before_anything_is_signed_with_it(
    alice: Member,
) -> None:
    settings = alice.paths.settings
    before = settings.read_text()
    settings.write_text(before.replace("alice.box", "mallory.box"))
    try:
        told = alice.run("up", check=False)
    finally:
        settings.write_text(before)

    assert told.code == 2
    assert "names you mallory.box, but team" in told.err
    assert f'try: tag = "alice.box" in {settings}' in told.err


def test_who_names_no_successor_is_told_to_type_exactly_that(alice: Member) -> None:
    told = alice.run("team", "successors", "--nobody", "--team", "home", check=False)

    assert told.code == 8
    assert "Nobody can take over home." in told.out
    assert "try: karma-sync team successors --nobody --team home --yes" in told.err


def test_a_guest_with_a_clone_accepts_all_projects_to_receive_them(town: Town) -> None:
    gina = town.member("gina")
    gina.write_session("of a guest")
    me = decode(gina.code)
    team = team_of_all(BOB).add(me, NOW_MS, (PROJECT,)).activate(me.key, ())
    store = state.open_state(gina.paths.state_db)
    with store.transaction() as tx:
        state.teams.put(tx, team.seen_by(me.key))
    store.close()

    told = gina.run("accept", "--all", "--yes").out

    assert f"{PROJECT}: received only; you are a guest of backend." in told
    assert "would be sent" not in told
    [mine] = gina.json("subscription", "list")["subscriptions"]
    assert (mine["status"], mine["direction"]) == ("accepted", "receive")
