"""A member alters what another one sends: its owner takes it back, at everybody, and says so."""

from dataclasses import dataclass

import pytest

from tests.support.evil import Evil
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory


@dataclass(frozen=True)
class Attack:
    """C's Syncthing altered, deleted and added files in A's channel; B and A were there."""

    a: Member
    b: Member
    folder: str
    before: dict[str, bytes]
    sessions: list[Session]

    def files(self, member: Member) -> dict[str, bytes]:
        """The items of A's channel as they lie at a member."""
        items = member.paths.folder(self.folder) / "items"
        found: dict[str, bytes] = {}
        for path in items.iterdir():
            try:
                found[path.name] = path.read_bytes()
            except FileNotFoundError:
                continue  # just being replaced
        return found

    def told(self) -> list[str]:
        return [line for line in self.a.run("events").lines if "changed by others" in line]


@pytest.fixture(scope="module")
def attack(town: Town) -> Attack:
    a, b, c = town.members("alice", "bob", "carol")
    found_team(a, b, c)
    share(a, b, c)
    sessions = [a.write_session(f"number {n}") for n in range(3)]
    for member in (b, c):
        member.until_readable(*sessions)
    (outbox,) = a.outboxes()
    before = {path.name: path.read_bytes() for path in (outbox / "items").iterdir()}
    altered, deleted, *_ = sorted(before)
    evil = Evil(c)
    evil.take_over(outbox.name)
    evil.write(outbox.name, f"items/{altered}", b"this is not what A wrote")
    evil.remove(outbox.name, f"items/{deleted}")
    evil.write(outbox.name, f"items/{'ab' * 16}.ks", b"nor this")
    evil.announce(outbox.name)
    found = Attack(a, b, outbox.name, before, sessions)
    until(found.told, "A to notice")
    return found


def test_everybody_has_again_what_the_owner_wrote(attack: Attack) -> None:
    until(lambda: attack.files(attack.a) == attack.before, "A's outbox as it was")
    until(lambda: attack.files(attack.b) == attack.before, "B to have that, and nothing else")
    attack.b.until_readable(*attack.sessions)


def test_the_event_names_who_is_said_to_have_done_it_and_that_this_is_no_proof(
    attack: Attack,
) -> None:
    (first, *_) = attack.told()

    assert "changed by others: carol.box: items/" in first
    assert "A claim, not proof" in first


def test_sessions_go_on_arriving_afterwards(attack: Attack) -> None:
    new = attack.a.write_session("after the attack")

    attack.b.until_readable(new)
    until(lambda: not attack.b.json("status")["projects"][0]["refused"], "nothing refused at B")
