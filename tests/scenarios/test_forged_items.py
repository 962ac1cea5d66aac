"""Files that a member writes into another's channel are kept out, with a readable reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.domain.ids import item_id
from karma_sync.signing import SigningKey
from tests.support.evil import Evil, flipped, forged, item_file, manifest_of
from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

REASONS = {
    "signed by itself": "3-signature: the signature is not by key",
    "in the owner's name": "3-signature: the signature is not by key",
    "its own genuine item": "3-signature: the signature is not by key",
    "a flipped letter": "3-signature: the signature is not by key",
    "garbage": "2-size: the item file has no line end after its envelope",
    "no envelope": "3-envelope: it is not an envelope",
    "a link": "1-path: ",
    "an older one": "6-newer: revision ",
    "renamed": "5-name: the item is another one than its file name states",
}
FOREIGN = ("evil.txt", "items/readme.txt", "items/deep/a.ks", "chunks/zz.zst", ".hidden", "x/y.ks")


@dataclass(frozen=True)
class Attack:
    """The changes that C made to A's channel while A was away; B's answer is there."""

    a: Member
    b: Member
    evil: Evil
    channel: str
    items: dict[str, str]
    refused: dict[str, str]
    victim: Session
    long: Session
    own: Session


@pytest.fixture(scope="module")
def attack(town: Town) -> Iterator[Attack]:
    a, b, c = town.members("alice", "bob", "carol")
    found_team(a, b, c)
    share(a, b, c)
    victim, long = a.write_session("to be replayed"), a.write_session("x" * 900_000)
    own = c.write_session("C's own")
    for reader in (b, c):
        reader.until_readable(victim, long)
    b.until_readable(own)
    (outbox,) = a.outboxes()
    key = SigningKey.load(a.paths.key).public
    old = item_file(outbox, victim.id, key).read_bytes()
    victim.append("the newest")
    for reader in (b, c):
        reader.until_readable(victim)
    (own_box,) = c.outboxes()
    own_item = item_file(own_box, own.id, SigningKey.load(c.paths.key).public)
    a.down()
    evil = Evil(c)
    evil.take_over(outbox.name)
    items = _forge(evil, outbox, key, (old, own_item))
    for name in FOREIGN:
        evil.write(outbox.name, name, b"foreign")
    _spoil(evil, outbox, item_file(outbox, long.id, key))
    evil.announce(outbox.name)

    def refused() -> dict[str, str]:
        (project,) = b.json("status")["projects"]
        found: dict[str, str] = project["refused"]
        return found if found.keys() >= set(items.values()) else {}

    reasons = until(refused, f"all of {items} refused at B")
    yield Attack(a, b, evil, outbox.name, items, reasons, victim, long, own)
    evil.stop()


def _forge(evil: Evil, outbox: Path, key: str, what: tuple[bytes, Path]) -> dict[str, str]:
    """Write one item file for each kind of forgery; its item id by kind."""
    old, own = what
    manifest = manifest_of(old, key)
    facts = manifest.session.model_copy(update={"session_id": "made-up"})
    place = manifest.team, PROJECT
    theirs = item_id((*place, key), facts.agent, facts.session_id)
    mine = item_id((*place, evil.key.public), facts.agent, facts.session_id)
    link = "0" * 32
    files = {
        "signed by itself": (
            mine,
            forged(old, key, evil.key, member=evil.member.tag, session=facts, item=mine),
        ),
        "in the owner's name": (theirs, forged(old, key, evil.key, session=facts, item=theirs)),
        "its own genuine item": (own.stem, own.read_bytes()),
        "a flipped letter": ("1" * 32, flipped(old)),
        "garbage": ("2" * 32, b"\x00" * 5000),
        "no envelope": ("3" * 32, b'{"hello": "world"}\n'),
        "an older one": (manifest.item, old),
        "renamed": ("4" * 32, old),
    }
    for item, content in files.values():
        evil.write(outbox.name, f"items/{item}.ks", content)
    evil.link(outbox.name, f"items/{link}.ks", Path("/etc/hostname"))
    return {kind: item for kind, (item, _) in files.items()} | {"a link": link}


def _spoil(evil: Evil, outbox: Path, item: Path) -> None:
    """Overwrite every chunk of the channel, and delete an item that is fine."""
    for chunk in (outbox / "chunks").glob("*/*.zst"):
        evil.write(outbox.name, str(chunk.relative_to(outbox)), b"spoilt")
    evil.remove(outbox.name, str(item.relative_to(outbox)))


@pytest.mark.parametrize("kind", REASONS)
def test_a_forged_item_is_refused_with_its_reason(attack: Attack, kind: str) -> None:
    item = attack.items[kind]

    assert attack.refused[item].startswith(REASONS[kind])
    assert f": {attack.refused[item]}\n" in attack.b.run("status").out


def test_a_refusal_is_an_event(attack: Attack) -> None:
    events = attack.b.run("events").out

    assert all(item in events for item in attack.items.values())


def test_a_restart_tells_nothing_again(attack: Attack) -> None:
    attack.evil.write(attack.channel, f"retracted/{'5' * 32}.json", b"garbage")
    attack.evil.announce(attack.channel)
    until(lambda: "retraction refused" in attack.b.run("events").out, "the refusal")
    attack.evil.write(attack.channel, f"items/{'6' * 32}.ks", b"garbage")
    attack.evil.announce(attack.channel)
    until(lambda: "6" * 32 in attack.b.run("events").out, "a later one, of the same member")
    told = attack.b.run("events").lines
    for _ in range(2):
        attack.b.down()
        attack.b.up()
        # what it sends, it sends once it has looked into all channels
        attack.b.until_readable(attack.b.write_session("after a restart"))

    lines = attack.b.run("events").lines
    packaged = [line for line in lines[len(told) :] if " packaged: " in line]
    assert len(packaged) == 2, "one for each session that was written"
    assert lines == told + packaged


def test_the_library_is_as_it_was(attack: Attack) -> None:
    found = {s["id"]: s["author"] for s in attack.b.sessions() if s["author"] != "bob.box"}

    assert found == {
        attack.victim.id: "alice.box",
        attack.long.id: "alice.box",
        attack.own.id: "carol.box",
    }


def test_a_replayed_item_does_not_take_the_newest_back(attack: Attack) -> None:
    assert attack.b.raw(attack.victim.id) == attack.victim.content


def test_content_survives_that_a_member_spoils_chunks_and_deletes_items(attack: Attack) -> None:
    inbox = attack.b.paths.folder(attack.channel)

    def spoilt() -> bool:
        chunks = list((inbox / "chunks").glob("*/*.zst"))
        return bool(chunks) and all(c.read_bytes() == b"spoilt" for c in chunks)

    until(spoilt, "the spoilt chunks at B")
    assert attack.b.raw(attack.long.id) == attack.long.content


def test_foreign_names_are_not_even_pulled(attack: Attack) -> None:
    inbox = attack.b.paths.folder(attack.channel)
    here = {str(p.relative_to(inbox)) for p in inbox.rglob("*")}

    assert here & set(FOREIGN) == set()


def test_the_owners_next_revision_clears_what_was_replayed(attack: Attack) -> None:
    attack.a.up()
    attack.victim.append("after the attack")
    new = attack.a.write_session("after the attack")
    attack.b.until_readable(new, attack.victim)

    (project,) = attack.b.json("status")["projects"]
    assert attack.items["an older one"] not in project["refused"]
