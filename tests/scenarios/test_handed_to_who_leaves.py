"""A leader hands a team to a member that leaves it at the same moment: a successor mends that."""

import json

import pytest

from karma_sync.errors import NotFound
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share

pytestmark = pytest.mark.memory


def test_a_leadership_that_passes_to_who_leaves_can_be_taken_over(town: Town) -> None:
    a, b, c = members = town.members("alice", "bob", "carol")
    found_team(*members)
    share(*members)
    a.run("team", "successors", b.tag, "--yes")
    for member in members:
        until(lambda m=member: _roles(m).get(b.tag) == "successor 1", f"{member.tag} to know")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    a.run("team", "transfer", c.tag, "--yes")
    c.run("team", "leave", "--yes")
    until(lambda: _roles(a).get(c.tag) == _roles(b).get(c.tag) == "leader", "A and B follow C")
    b.run("team", "take-over", "--yes")

    until(lambda: not _roles(c), "C out")
    for member in (a, b):
        until(lambda m=member: set(_roles(m)) == {a.tag, b.tag}, f"C gone at {member.tag}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    assert _roles(a)[b.tag] == "leader"
    for author, reader in ((a, b), (b, a)):
        reader.until_readable(author.write_session(f"by {author.user}"))


def _roles(member: Member) -> dict[str, str]:
    shown = member.run("team", "show", "--json", check=False)
    if shown.code == NotFound.exit_code:
        return {}  # it is in no team
    assert shown.code == 0, shown
    return {m["tag"]: m["role"] for m in json.loads(shown.out)["members"]}
