"""A document is adopted by its signer, the signer's rights, its team and its version alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from karma_sync.domain import limits
from karma_sync.domain.team.member import MemberStatus
from karma_sync.domain.team.subscription import Status
from karma_sync.errors import Unverified
from karma_sync.git.remote import git_identity
from karma_sync.signing import PayloadType, SigningKey
from karma_sync.team.documents.answers import answers_of, member_document
from karma_sync.team.documents.models import RosterProject, roster_of, team_of
from karma_sync.team.documents.receipt import Imported, Receipt, channel_receipt
from karma_sync.team.documents.term import order_of
from karma_sync.team.documents.verify import verify_member, verify_receipt, verify_roster
from tests.support.builders import (
    ALICE,
    BOB,
    MALLORY,
    PROJECT,
    answer,
    key_of,
    member_of,
    team_of_all,
)
from tests.support.builders import code_of as pairing_code_of

TEAM = team_of_all(ALICE, BOB)
A, B, M = (key_of(tag) for tag in (ALICE, BOB, MALLORY))
ROSTER, MEMBER, RECEIPT = PayloadType.ROSTER, PayloadType.MEMBER, PayloadType.RECEIPT
MANIFEST, RETRACTION = PayloadType.MANIFEST, PayloadType.RETRACTION
BOBS = pairing_code_of(BOB)


def signed(signer: SigningKey, kind: PayloadType, document: Any, **changes: Any) -> bytes:
    """A document with some fields changed, as `signer` signs it."""
    return signer.sign(kind, json.dumps(document.to_fields() | changes).encode())


def roster(signer: SigningKey = A, **changes: Any) -> bytes:
    return signed(signer, ROSTER, roster_of(TEAM, version=5), **changes)


def own(signer: SigningKey = B, **changes: Any) -> bytes:
    """Bob's member document."""
    said = [answer(TEAM, BOB)]
    return signed(signer, MEMBER, member_document(TEAM, BOBS, said, 5), **changes)


def receipt(signer: SigningKey = B, **changes: Any) -> bytes:
    mine = Receipt(team=TEAM.id, writer=B.public, version=5, channels=())
    return signed(signer, RECEIPT, mine, **changes)


def code_of(check: Callable[..., object], raw: bytes, place: SigningKey, *known: object) -> str:
    """The code of the refusal, or `adopted`; `place` is the key in the file's name."""
    try:
        check(raw, place.public, *known)
    except Unverified as refused:
        return refused.code
    return "adopted"


def test_what_the_leader_and_a_member_say_is_adopted() -> None:
    assert verify_roster(roster(), A.public, None).value == roster_of(TEAM, 5)
    said = verify_member(own(), B.public, TEAM, 4).value
    assert said == member_document(TEAM, BOBS, [answer(TEAM, BOB)], 5)


def listed(**changes: Any) -> list[Any]:
    """The members as the roster lists them, Bob with changes."""
    [alice, bob] = roster_of(TEAM, 5).to_fields()["members"]
    return [alice, bob | changes]


ALICES_DEVICE = listed()[0]["device"]
SHARED = roster_of(TEAM, 5).to_fields()["projects"]
SAID = member_document(TEAM, BOBS, [answer(TEAM, BOB)], 5).to_fields()["subscriptions"]
CHANNEL = channel_receipt("ks-c-" + "a" * 26, Imported({"0" * 32: 7})).to_fields()


@pytest.mark.parametrize(
    ("raw", "place", "code"),
    [
        (roster(pad="x" * limits.DOCUMENT_BYTES), A, "2-size"),
        (own(), B, "3-type"),
        (roster(B), A, "3-signature"),
        (A.sign(ROSTER, b"{}"), A, "3-form"),
        (A.sign(ROSTER, b"not JSON"), A, "3-form"),
        (A.sign(ROSTER, b'{"team": "a", "team": "b"}'), A, "3-form"),
        (roster(format=2), A, "3-form"),
        (roster(version=-1), A, "3-form"),
        (roster(members=listed(tag="Bob")), A, "3-form"),
        (roster(members=listed(device="P56IOI7")), A, "3-form"),
        (roster(members=listed(key="../../etc")), A, "3-form"),
        (roster(members=listed(addresses=["http://x"])), A, "3-form"),
        (roster(members=listed(addresses=["dynamic"] * 6)), A, "3-form"),
        (roster(projects=[{"identity": "Not/One", "incarnation": 1}]), A, "3-form"),
        (roster(projects=[SHARED[0] | {"identity": "h/../x"}]), A, "3-form"),
        (roster(members=listed() * 101), A, "3-form"),
        # a plain member speaks as leader: of itself, or in the leader's name at its own place
        (roster(B, writer=B.public), B, "4-signer"),
        (roster(B), B, "4-signer"),
        (roster(writer=B.public), A, "4-signer"),
        (roster(members=listed()[1:]), A, "4-signer"),
        (roster(members=listed(tag=ALICE)), A, "4-unique"),
        (roster(members=listed(key=A.public)), A, "4-unique"),
        (roster(members=listed(device=ALICES_DEVICE)), A, "4-unique"),
        (roster(projects=SHARED * 2), A, "4-unique"),
        (roster(projects=[SHARED[0] | {"aliases": [PROJECT]}]), A, "4-unique"),
        (roster(projects=[SHARED[0] | {"aliases": ["h/x"] * 2}]), A, "4-unique"),
        (roster(projects=[SHARED[0] | {"aliases": ["not one"]}]), A, "3-form"),
        (roster(projects=[SHARED[0] | {"aliases": [f"h/{n}" for n in range(9)]}]), A, "3-form"),
        # a team that looks like ours: same name, another founder, and our id
        (roster(M, writer=M.public, founder=M.public), M, "5-team"),
        (roster(nonce="f" * 32), A, "5-team"),
        (roster(founded_as="backenb"), A, "5-team"),
        (roster(team="x" * 26), A, "5-team"),
    ],
)
def test_a_roster_that_breaks_a_rule_is_refused_with_its_step(
    raw: bytes, place: SigningKey, code: str
) -> None:
    assert code_of(verify_roster, raw, place, None) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": 4}, "6-newer"),
        ({"version": 5}, "6-newer"),
        ({"version": 6}, "adopted"),
    ],
)
def test_a_roster_is_never_rolled_back(changes: dict[str, Any], code: str) -> None:
    assert code_of(verify_roster, roster(**changes), A, order_of(roster_of(TEAM, 5))) == code


@pytest.mark.parametrize(
    ("raw", "place", "code"),
    [
        (own(pad="x" * limits.DOCUMENT_BYTES), B, "2-size"),
        (receipt(), B, "3-type"),
        (own(A), B, "3-signature"),
        (own(addresses=["tcp://a b:1"]), B, "3-form"),
        (own(subscriptions=[{"project": "h/o/r", "status": "boss"}]), B, "3-form"),
        (own(M), M, "4-signer"),
        (own(A), A, "4-signer"),
        (own(subscriptions=SAID * 2), B, "4-unique"),
        (own(team="x" * 26), B, "5-team"),
        (own(version=4), B, "6-newer"),
        (own(version=3), B, "6-newer"),
        (own(), B, "adopted"),
    ],
)
def test_a_members_document_that_breaks_a_rule_is_refused_with_its_step(
    raw: bytes, place: SigningKey, code: str
) -> None:
    assert code_of(verify_member, raw, place, TEAM, 4) == code


@pytest.mark.parametrize(
    ("raw", "place", "code"),
    [
        (receipt(pad="x" * limits.DOCUMENT_BYTES), B, "2-size"),
        (own(), B, "3-type"),
        (receipt(A), B, "3-signature"),
        (receipt(channels=[CHANNEL | {"folder": "../../etc"}]), B, "3-form"),
        (receipt(channels=[CHANNEL | {"digest": "0"}]), B, "3-form"),
        (receipt(version="\ud800"), B, "3-form"),  # half an emoji, which no encoding has
        (receipt(channels=[CHANNEL | {"\ud800": 1}]), B, "3-form"),
        (receipt(M), M, "4-signer"),
        (receipt(A), A, "4-signer"),
        (receipt(team="x" * 26), B, "5-team"),
        (receipt(version=4), B, "6-newer"),
        (receipt(channels=[CHANNEL]), B, "adopted"),
    ],
)
def test_a_receipt_that_breaks_a_rule_is_refused_with_its_step(
    raw: bytes, place: SigningKey, code: str
) -> None:
    assert code_of(verify_receipt, raw, place, TEAM, 4) == code


def test_what_a_newer_version_adds_is_left_out_and_the_rest_adopted() -> None:
    newer: dict[str, Any] = {"colour": "green", "seen_by": [1]}
    raw = roster(members=listed(nickname="Bobby"), **newer)

    assert verify_roster(raw, A.public, None).value == roster_of(TEAM, 5)
    said = verify_member(own(**newer), B.public, TEAM, 0).value
    assert said == verify_member(own(), B.public, TEAM, 0).value


DEEP = b'{"x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}"


@pytest.mark.parametrize("kind", [ROSTER, MEMBER, RECEIPT])
def test_a_document_nested_beyond_reason_is_refused(kind: PayloadType) -> None:
    if kind is ROSTER:
        code = code_of(verify_roster, A.sign(kind, DEEP), A, None)
    else:
        check = verify_member if kind is MEMBER else verify_receipt
        code = code_of(check, B.sign(kind, DEEP), B, TEAM, 0)

    assert code == "3-form"


@pytest.mark.parametrize("version", [2**63, 10**30])
def test_a_version_that_the_database_cannot_hold_is_refused(version: int) -> None:
    assert code_of(verify_roster, roster(version=version), A, None) == "3-form"
    assert code_of(verify_member, own(version=version), B, TEAM, 0) == "3-form"
    assert code_of(verify_receipt, receipt(version=version), B, TEAM, 0) == "3-form"


@pytest.mark.parametrize("spell", [str.lower, lambda d: d.replace("-", "")])
def test_a_device_has_one_spelling(spell: Callable[[str], str]) -> None:
    for device in (listed()[1]["device"], ALICES_DEVICE):
        assert code_of(verify_roster, roster(members=listed(device=spell(device))), A, None) == (
            "3-form"
        )


def holds(identity: str) -> bool:
    try:
        RosterProject(identity=identity, incarnation=1)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "remote",
    [
        "git@example.org:acme/repo.git",
        "ssh://git@example.org:2222/group/sub/repo",
        "https://example.org:8443/~alice/re.po+x",
        "http://example.org/acme/repo",
    ],
)
def test_what_git_names_a_project_a_roster_can_hold(remote: str) -> None:
    assert holds(git_identity(remote))


@pytest.mark.parametrize(
    "remote",
    [
        "ssh://git@ssh.example.org:443/acme/repo.git",  # how forges are reached through a firewall
        "git@[::1]:acme/repo.git",
        "ssh://git@[::1]/acme/repo.git",
        "https://example.org/acme/repo.git.git",
    ],
)
def test_what_git_names_a_project_a_roster_can_hold_whatever_the_port(remote: str) -> None:
    assert holds(git_identity(remote))


def test_a_team_is_what_its_roster_says_and_who_was_seen_stays_seen() -> None:
    bob = member_of(BOB, "tcp://10.0.0.2:22000")
    known = TEAM.changed(members=(TEAM.members[0], bob))
    said = roster_of(TEAM, 6)

    assert team_of(said, order_of(said), known) == known
    afresh = team_of(said, order_of(said), None)
    assert [m.status for m in afresh.members] == [MemberStatus.ACTIVE, MemberStatus.ADDED]
    alone = roster_of(team_of_all(ALICE), 7)
    assert team_of(alone, order_of(alone), known).members == (member_of(ALICE),)


def test_a_members_document_says_its_answers_and_nothing_it_did_not_answer() -> None:
    team = team_of_all(ALICE, BOB, projects=("h/o/a", "h/o/b", PROJECT))
    said = [
        answer(team, BOB),
        answer(team, BOB, Status.OFFERED, project="h/o/a"),
        answer(team, BOB, Status.DECLINED, project="h/o/b"),
    ]

    document = member_document(team, BOBS, said, 5)
    assert answers_of(document) == [said[0], said[2]]
    assert member_document(team, BOBS, reversed(said), 5) == document


def test_other_names_of_a_project_travel_on_the_roster() -> None:
    named = TEAM.alias(PROJECT, "example.org/acme/renamed")
    raw = signed(A, ROSTER, roster_of(named, 9))

    roster = verify_roster(raw, A.public, None).value
    read = team_of(roster, order_of(roster), None)
    assert read.aliases == named.aliases == {"example.org/acme/renamed": PROJECT}
