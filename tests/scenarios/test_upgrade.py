"""karma-sync is upgraded while its daemon runs: the daemon goes on as the new program.

The two versions differ as they may: what one writes into intent.json, the other cannot read.
"""

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town, found_team, up, wait_for_offer
from tests.support.upgradable import Upgradable

pytestmark = pytest.mark.slow  # the daemon looks at its program every ten seconds

_FIELD = "    withdrawn: int = 0\n"
_MAIN = "def main() -> None:\n"


@pytest.fixture(scope="module")
def both(town: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Member, Upgradable]:
    """Alice leads a team and shares a project with Bob, who has not answered."""
    a, bob = town.member("alice"), Upgradable(town, tmp_path_factory.mktemp("installed"))
    up(a, bob.member)
    found_team(a, bob.member)
    a.run("project", "share", str(a.repo), "--yes")
    wait_for_offer(bob.member, "repo")
    return a, bob


def test_what_the_new_program_writes_pauses_nothing_and_is_followed(
    both: tuple[Member, Upgradable],
) -> None:
    a, bob = both
    b, pid = bob.member, bob.member.daemon_pid
    bob.edit("store/intent.py", _FIELD, f"{_FIELD}    of_the_next_version: int = 1\n")
    b.run("accept", "repo", "--yes")

    until(lambda: bob.starts == 2, "the daemon to start again")
    b.until_readable(a.write_session("by alice"))
    a.until_readable(b.write_session("by bob"))
    assert b.daemon_pid == pid
    assert b.json("status")["paused"] is None
    assert "of_the_next_version" in b.paths.intent.read_text()
    assert not b.paths.intent.with_name("intent.json.broken").exists()
    assert '"limited"' not in b.run("events", "--json").out


def test_a_new_program_that_cannot_start_leaves_the_daemon_as_it_is(
    both: tuple[Member, Upgradable],
) -> None:
    a, bob = both
    b, pid = bob.member, bob.member.daemon_pid
    bob.edit("__main__.py", _MAIN, f"{_MAIN}    raise SystemExit('half an upgrade')\n")
    until(lambda: "cannot be started" in bob.log, "the daemon to have tried the new program")

    session = b.write_session("while the upgrade was broken")
    a.until_readable(session)
    assert (b.daemon_pid, bob.starts) == (pid, 2)
    bob.edit("__main__.py", "    raise SystemExit('half an upgrade')\n", "")
    until(lambda: bob.starts == 3, "the daemon to start again")
    session.append("and after it was mended")
    a.until_readable(session)
    assert b.daemon_pid == pid
