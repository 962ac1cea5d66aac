"""The README's story of two machines of one person, typed on terminals, with real daemons."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.scenarios.test_three_commands import LOOPBACK, Blank
from tests.support.harness import each_program, until
from tests.support.town import Town

pytestmark = [pytest.mark.daemon, pytest.mark.slow]


@pytest.fixture(scope="module", params=each_program())
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    found = Town(tmp_path_factory.mktemp("town"), request.param)
    try:
        yield found
    finally:
        found.close()


def test_two_commands_and_a_yes_on_each_side_have_all_projects_on_both(town: Town) -> None:
    box, desk = town.member("alice", kind=Blank), town.member("desk", kind=Blank)
    assert isinstance(box, Blank)
    assert isinstance(desk, Blank)
    sent, back = box.write_session("on the box"), desk.write_session("on the desk")

    invited = box.types("invite", "--me", "--no-wait", *LOOPBACK, answers=["alice.box", "y"])
    code = next(word for word in invited.out.split() if word.startswith("KSI1-"))
    assert "example.org/acme/repo: 1 session of yours would be sent" in invited.out
    with ThreadPoolExecutor(1) as pool:
        yes = pool.submit(_says_yes, box)
        # its own name, both are mine, all of it may be sent
        said = desk.types("join", code, *LOOPBACK, answers=["alice.desk", "y", "y"]).out
        asked = yes.result()
    desk.tag = "alice.desk"
    assert desk.json("code")["fingerprint"] == asked["fingerprint"]

    assert "says that this machine and it are of one person" in said
    assert said.index("Are both yours?") < said.index("Send all of yours there")
    desk.until_readable(sent)
    box.until_readable(back)
    until(lambda: _agreed(box) == ["alice.desk"], "one person for the box")
    until(lambda: _agreed(desk) == ["alice.box"], "one person for the desk")
    went_on = desk.json("session", "continue", sent.id)
    assert (went_on["ahead"], went_on["written"]) == ("there", True)


def _says_yes(member: Blank) -> dict[str, str]:
    """Say yes to who asks; the request."""
    (asked,) = until(lambda: member.json("inbox")["asking"], "the desk asks")
    member.run("invitation", "accept", asked["id"])
    found: dict[str, str] = asked
    return found


def _agreed(member: Blank) -> list[str]:
    return [m["tag"] for m in member.json("machine", "list")["others"] if m["agreed"]]
