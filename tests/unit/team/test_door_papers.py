"""Papers that pass through a door count by signer, device, team and code alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from karma_sync.domain import limits
from karma_sync.domain.team.invite import Refusal
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, SigningKey, code_keys
from karma_sync.team.documents.door_papers import (
    DoorAnswer,
    DoorOffer,
    DoorRequest,
    request_file,
    request_hash,
    verify_answer,
    verify_offer,
    verify_request,
)
from tests.support.builders import ALICE, BOB, MALLORY, PROJECT, device_of, key_of, team_of_all

TEAM = team_of_all(ALICE)
OTHER_TEAM = team_of_all(ALICE, name="other")
A, B, M = (key_of(tag) for tag in (ALICE, BOB, MALLORY))
_, ADMISSION = code_keys(b"the secret of it")
_, ANOTHER = code_keys(b"another secret !")
REQUEST = DoorRequest(
    team=TEAM.id,
    writer=B.public,
    tag=BOB,
    device=device_of(BOB),
    addresses=("tcp://127.0.0.1:22000",),
    attempt=1,
)


def asked(signer: SigningKey = B, key: bytes = ADMISSION, **changes: Any) -> bytes:
    """Bob's request with some fields changed before it is made, as `signer` signs it."""
    return request_file(REQUEST.model_copy(update=changes), key, signer)


def altered(signer: SigningKey = B, **changes: Any) -> bytes:
    """Bob's request with some fields changed after its MAC was made."""
    _, _, envelope = asked().partition(b"\n")
    made = json.loads(verify_request(asked(), TEAM.id, device_of(BOB)).value.model_dump_json())
    sealed = signer.sign(PayloadType.REQUEST, json.dumps(made | changes).encode())
    assert envelope != sealed
    return signer.public.encode() + b"\n" + sealed


def offered(signer: SigningKey = A, kind: PayloadType = PayloadType.OFFER, **changes: Any) -> bytes:
    offer = DoorOffer(
        team=TEAM.id, device=device_of(BOB), name=TEAM.name, leader=ALICE, projects=(PROJECT,)
    )
    return signer.sign(kind, json.dumps(offer.to_fields() | changes).encode())


def answered(
    signer: SigningKey = A, kind: PayloadType = PayloadType.ANSWER, **changes: Any
) -> bytes:
    answer = DoorAnswer(team=TEAM.id, request=request_hash(asked()))
    return signer.sign(kind, json.dumps(answer.to_fields() | changes).encode())


def refused(check: Callable[..., object], *args: object) -> str:
    """The code of the refusal, or `accepted`."""
    try:
        check(*args)
    except Unverified as error:
        return error.code
    return "accepted"


def test_what_both_sides_say_is_accepted() -> None:
    request = verify_request(asked(), TEAM.id, device_of(BOB)).value
    offer = verify_offer(offered(), A.public, TEAM.id, device_of(BOB)).value
    answer = verify_answer(answered(), A.public, TEAM.id, asked()).value

    assert (request.tag, request.writer, request.addresses) == (BOB, B.public, REQUEST.addresses)
    assert request.has_mac_of(ADMISSION)
    assert (offer.name, offer.leader, offer.projects) == (TEAM.name, ALICE, (PROJECT,))
    assert answer.refused is None


def test_a_request_that_was_made_without_the_code_has_no_mac() -> None:
    for raw in (asked(key=ANOTHER), altered(mac="0" * 64), altered(mac="f" * 64)):
        request = verify_request(raw, TEAM.id, device_of(BOB)).value

        assert not request.has_mac_of(ADMISSION)


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": "bob.other"},
        {"addresses": []},
        {"addresses": ["tcp://127.0.0.1:22001"]},
        {"attempt": 2},
    ],
)
def test_the_mac_covers_every_field(changes: dict[str, Any]) -> None:
    request = verify_request(altered(**changes), TEAM.id, device_of(BOB)).value

    assert not request.has_mac_of(ADMISSION)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "3-envelope"),
        (b"\xff" * 100, "3-envelope"),
        (asked().partition(b"\n")[2], "3-envelope"),
        (asked()[:-40], "3-envelope"),
        (M.public.encode() + b"\n" + asked().partition(b"\n")[2], "3-signature"),
        (asked(signer=M), "3-signature"),
        (altered(signer=M), "4-signer"),
        (B.public.encode() + b"\n" + offered(B), "3-type"),
        (asked(device=device_of(MALLORY)), "4-device"),
        (asked(team=OTHER_TEAM.id), "5-team"),
        (altered(tag="Bob"), "3-form"),
        (altered(addresses=["http://evil.example:1"]), "3-form"),
        (altered(attempt=-1), "3-form"),
        (asked() + b" " * limits.DOOR_PAPER_BYTES, "2-size"),
        (b"\n".join([B.public.encode(), asked(), asked()]), "3-envelope"),
    ],
)
def test_a_forged_request_is_refused(raw: bytes, code: str) -> None:
    assert refused(verify_request, raw, TEAM.id, device_of(BOB)) == code


def test_a_request_from_another_door_is_refused() -> None:
    assert refused(verify_request, asked(), TEAM.id, device_of(MALLORY)) == "4-device"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{}", "3-envelope"),
        (offered(signer=M), "3-signature"),
        (offered(kind=PayloadType.ANSWER), "3-type"),
        (offered(device=device_of(MALLORY)), "4-device"),
        (offered(team=OTHER_TEAM.id), "5-team"),
        (offered(name="x\x1b[2J"), "3-form"),
        (offered(leader="Alice"), "3-form"),
        (offered(projects=["../../etc"]), "3-form"),
        (offered(projects=[PROJECT] * 101), "3-form"),
        (offered(refused="because"), "3-form"),
        (offered() + b" " * limits.DOOR_PAPER_BYTES, "2-size"),
    ],
)
def test_a_forged_offer_is_refused(raw: bytes, code: str) -> None:
    assert refused(verify_offer, raw, A.public, TEAM.id, device_of(BOB)) == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (answered(signer=M), "3-signature"),
        (answered(signer=B), "3-signature"),
        (answered(kind=PayloadType.OFFER), "3-type"),
        (answered(team=OTHER_TEAM.id), "5-team"),
        (answered(request=request_hash(asked(attempt=2))), "6-newer"),
        (answered(free="not a tag"), "3-form"),
        (answered() + b" " * limits.DOOR_PAPER_BYTES, "2-size"),
    ],
)
def test_a_forged_answer_is_refused(raw: bytes, code: str) -> None:
    assert refused(verify_answer, raw, A.public, TEAM.id, asked()) == code


def test_every_reason_for_a_refusal_can_be_told() -> None:
    for why in Refusal:
        raw = answered(refused=why.value, free="bob.tower-2")

        assert verify_answer(raw, A.public, TEAM.id, asked()).value.refused is why
