"""Nobody believes a document in the metadata folder that a member writes in another's name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from karma_sync.domain.document import PeerModel
from karma_sync.domain.team.subscription import Status
from karma_sync.signing import PayloadType, SigningKey, open_envelope
from karma_sync.team.documents.models import MemberDocument, Roster, RosterMember
from karma_sync.team.documents.term import Term
from tests.support.evil import Evil
from tests.support.harness import Member, until
from tests.support.town import Town, found_team, share

pytestmark = pytest.mark.memory

MALLORY = RosterMember(
    tag="mallory.box",
    device="P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2",
    key="ab" * 32,
    addresses=("tcp://127.0.0.1:9",),
)


@dataclass(frozen=True)
class Attack:
    """C's forgeries in the team's metadata folder; `refused` is what B noted of them, in order."""

    a: Member
    b: Member
    evil: Evil
    folder: str
    genuine: dict[str, bytes]
    devices_before: set[str]


@pytest.fixture(scope="module")
def attack(town: Town) -> Iterator[Attack]:
    a, b, c = town.members("alice", "bob", "carol")
    found_team(a, b)
    keys = {m.user: SigningKey.load(m.paths.key).public for m in (a, b, c)}
    until(lambda: len(b.folders()) == 1, "the team's metadata folder at B")
    (folder,) = b.folders()
    roster = b.paths.folder(folder) / f"roster/{keys['alice']}.json"
    older = until(lambda: roster.read_bytes() if roster.exists() else b"", "the roster at B")
    c.run("pair", a.code)
    a.run("team", "add", c.code)
    share(a, b, c)
    session = a.write_session("before the attack")
    b.until_readable(session)
    c.until_readable(session)
    genuine = {
        "roster": roster.read_bytes(),
        "member": (b.paths.folder(folder) / f"member/{keys['alice']}.json").read_bytes(),
    }
    devices = {d["deviceID"] for d in b.rest("config/devices")}
    a.down()
    evil = Evil(c)
    for number, (name, content, reason) in enumerate(_forgeries(evil, keys, genuine, older)):
        evil.write(folder, name, content)
        evil.announce(folder)
        until(lambda r=reason: r in _refusals(b), f"refusal {number} of {name}: {reason}")  # type: ignore[misc] # mypy cannot infer a lambda with a default
    yield Attack(a, b, evil, folder, genuine, devices)
    evil.stop()


def _forgeries(
    evil: Evil, keys: dict[str, str], genuine: dict[str, bytes], older: bytes
) -> list[tuple[str, bytes, str]]:
    """Name, content, and with which words it must be refused."""
    alice, carol = keys["alice"], keys["carol"]
    roster = Roster.model_validate_json(open_envelope(genuine["roster"], alice, PayloadType.ROSTER))
    larger = roster.model_copy(
        update={"members": (*roster.members, MALLORY), "version": roster.version + 10**6}
    )
    own = larger.model_copy(update={"writer": carol})
    declined = MemberDocument.model_validate_json(
        open_envelope(genuine["member"], alice, PayloadType.MEMBER)
    )
    declined = declined.model_copy(
        update={
            "version": declined.version + 10**6,
            "subscriptions": tuple(
                s.model_copy(update={"status": Status.DECLINED}) for s in declined.subscriptions
            ),
        }
    )

    def signed(kind: PayloadType, document: PeerModel) -> bytes:
        return evil.key.sign(kind, document.model_dump_json().encode())

    mine = declined.model_copy(update={"writer": carol})
    taking = signed(
        PayloadType.TERM, Term(team=roster.team, writer=carol, term=2, leader=carol)
    ).decode()
    ousting = own.model_copy(update={"members": roster.members[:1]})
    pathless = mine.to_fields() | {"addresses": ["../../etc\x1b[2J" * 800]}

    return [
        (
            f"roster/{alice}.json",
            signed(PayloadType.ROSTER, larger),
            "roster by alice.box in backend",
        ),
        (f"roster/{carol}.json", signed(PayloadType.ROSTER, own), f"key {carol[:8]} does not lead"),
        (
            f"member/{alice}.json",
            signed(PayloadType.MEMBER, declined),
            "document by alice.box",
        ),
        (f"roster/{alice}.json", older, "6-newer"),
        # a take-over, a transfer to itself, and a removal that nobody named it for
        (
            f"roster/{carol}.json",
            signed(PayloadType.ROSTER, own.model_copy(update={"chain": (taking,)})),
            "nobody whom term 1 names signed",
        ),
        (
            f"roster/{carol}.json",
            signed(PayloadType.ROSTER, own.model_copy(update={"handover": taking})),
            f"key {carol[:8]} does not lead",
        ),
        (f"roster/{carol}.json", signed(PayloadType.ROSTER, ousting), "does not lead"),
        # of itself: another team's, one that is too large, two that parsers read in two ways
        (
            f"member/{carol}.json",
            signed(PayloadType.MEMBER, mine.model_copy(update={"team": "x" * 26})),
            "member document by carol.box in backend: 5-team",
        ),
        (f"member/{carol}.json", b"x" * 300_000, "carol.box in backend: 2-size"),
        (
            f"member/{carol}.json",
            evil.key.sign(PayloadType.MEMBER, b'{"team": "a", "team": "b"}'),
            "carol.box in backend: 3-form: it is not a MemberDocument: not JSON",
        ),
        (
            f"member/{carol}.json",
            evil.key.sign(PayloadType.MEMBER, json.dumps(pathless).encode()),
            "carol.box in backend: 3-form: it is not a MemberDocument: addresses",
        ),
        (
            f"member/{carol}.json",
            signed(PayloadType.ROSTER, roster),
            "carol.box in backend: 3-type",
        ),
        (
            f"receipt/{alice}.json",
            signed(PayloadType.RECEIPT, mine),
            "receipt by alice.box in backend: 3-signature",
        ),
        (
            f"member/{MALLORY.key}.json",
            signed(PayloadType.MEMBER, declined),
            f"has no member with key {MALLORY.key[:8]}",
        ),
    ]


def _refusals(member: Member) -> str:
    return "\n".join(li for li in member.run("events").lines if "document refused" in li)


def test_a_forged_roster_adds_nobody(attack: Attack) -> None:
    status = attack.b.json("status")

    assert {p["tag"] for p in status["peers"]} == {"alice.box", "carol.box"}
    assert {d["deviceID"] for d in attack.b.rest("config/devices")} == attack.devices_before
    assert "mallory" not in attack.b.run("subscription", "list").out


def test_a_replayed_roster_removes_nobody(attack: Attack) -> None:
    assert "carol.box" in {p["tag"] for p in attack.b.json("status")["peers"]}


def test_nobody_declines_in_anothers_name(attack: Attack) -> None:
    (found,) = attack.b.json("subscription", "list")["subscriptions"]

    assert "the signature is not by key" in _refusals(attack.b)
    assert found["status"] == "accepted"
    assert {o["member"]: o["status"] for o in found["others"]} == {
        "alice.box": "accepted",
        "carol.box": "accepted",
    }


def test_a_forged_document_of_mine_is_written_over_by_what_i_signed(attack: Attack) -> None:
    key = SigningKey.load(attack.b.paths.key).public
    mine = attack.b.paths.folder(attack.folder) / f"member/{key}.json"
    genuine = mine.read_bytes()
    attack.evil.write(attack.folder, f"member/{key}.json", b"forged")
    attack.evil.announce(attack.folder)
    theirs = attack.evil.member.paths.folder(attack.folder) / f"member/{key}.json"

    until(lambda: _bytes(theirs) == genuine, "B's own document back at C")
    until(lambda: _bytes(mine) == genuine, "B's own document as B signed it")


def test_a_restart_tells_no_refusal_again(attack: Attack) -> None:
    attack.evil.write(attack.folder, "roster/" + "cd" * 32 + ".json", b"garbage")
    attack.evil.announce(attack.folder)
    until(lambda: "roster by key cdcdcdcd" in _refusals(attack.b), "the last of its kind")
    told = _refusals(attack.b)
    for _ in range(2):
        attack.b.down()
        attack.b.up()
        # what it sends, it sends once it has read all documents
        attack.b.until_readable(attack.b.write_session("after a restart"))

    assert _refusals(attack.b) == told
    assert len(set(told.splitlines())) == len(told.splitlines())


def test_the_leaders_roster_is_put_back_for_who_comes_later(attack: Attack) -> None:
    key = SigningKey.load(attack.a.paths.key).public
    roster = attack.b.paths.folder(attack.folder) / f"roster/{key}.json"

    until(
        lambda: roster.exists() and roster.read_bytes() == attack.genuine["roster"],
        "put back",
    )


def test_the_leader_who_comes_back_still_leads(attack: Attack) -> None:
    attack.a.up()
    session = attack.a.write_session("after the attack")
    attack.b.until_readable(session)

    assert {p["tag"] for p in attack.a.json("status")["peers"]} == {"bob.box", "carol.box"}


def _bytes(path: Path) -> bytes | None:
    """A file that Syncthing may be replacing, which it does not do at once."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
