"""Invitation codes survive what chats do to them; a damaged one is refused, and a knock is bound.

What is random prints its seed through hypothesis.
"""

import string
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.team.invite_code import InviteCode, decode_invite, is_invite_code
from karma_sync.domain.team.knock import (
    PROOFS,
    Knock,
    door_of,
    is_proof,
    knocking_name,
    proof,
    read_knock,
    without_knock,
)
from karma_sync.domain.team.pairing_code import decode, device_text
from karma_sync.errors import BadInput
from karma_sync.paths import is_door, is_metadata_folder
from tests.support.builders import code_of, examples
from tests.unit.domain.test_pairing_code import addresses, through_a_chat

LETTERS = string.ascii_uppercase + "234567"

keys = st.binary(min_size=32, max_size=32)
devices = keys.map(device_text)
ports = st.integers(1, 65535)
codes = st.builds(
    InviteCode,
    team=st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26),
    device=devices,
    key=keys.map(bytes.hex),
    secret=st.binary(min_size=16, max_size=16),
    expires=st.integers(0, 2**32).map(lambda s: datetime.fromtimestamp(s, UTC)),
    addresses=st.lists(addresses, max_size=limits.ADDRESSES).map(tuple),
)


@examples(100)
@given(codes, st.randoms(use_true_random=False))
def test_a_code_survives_case_spaces_and_line_breaks(code: InviteCode, random: Random) -> None:
    text = through_a_chat(code.encode(), random)

    assert decode_invite(text) == code
    assert is_invite_code(text)


@examples(100)
@given(codes, st.data())
def test_one_other_letter_anywhere_is_refused(code: InviteCode, data: st.DataObject) -> None:
    text = code.encode()
    place = data.draw(st.integers(0, len(text) - 1).filter(lambda i: text[i] != "-"))
    other = data.draw(st.sampled_from(LETTERS).filter(lambda c: c != text[place]))
    assume(not (text[place] == "1" and other == "I"))  # read as the same letter

    with pytest.raises(BadInput) as refused:
        decode_invite(text[:place] + other + text[place + 1 :])

    assert refused.value.hint.startswith("copy it whole, or ask")


@examples(60)
@given(codes, st.data())
def test_a_code_that_is_cut_off_is_refused(code: InviteCode, data: st.DataObject) -> None:
    text = code.encode()
    with pytest.raises(BadInput, match="cut off|too short|empty|begin with"):
        decode_invite(text[: data.draw(st.integers(0, len(text) - 1))])


def test_the_two_kinds_of_codes_are_told_apart() -> None:
    pairing = code_of("bob.desk").encode()

    assert not is_invite_code(pairing)
    with pytest.raises(BadInput, match="does not begin with KSI1"):
        decode_invite(pairing)
    with pytest.raises(BadInput, match="not a pairing code"):
        decode("KSI1-" + pairing)


@examples(40)
@given(codes)
def test_the_secret_is_in_no_text_that_a_program_prints_of_a_code(code: InviteCode) -> None:
    assume(len(set(code.secret)) > 8)

    assert repr(code.secret) not in repr(code)
    assert code.secret.hex() not in repr(code)


@examples(60)
@given(keys, devices, ports, st.lists(keys, max_size=4))
def test_a_knock_proves_the_code_for_one_device_and_port(
    key: bytes, device: str, port: int, others: list[bytes]
) -> None:
    proofs = [proof(each, device, port) for each in [*others[: PROOFS - 1], key]]
    name = knocking_name("bob.desk ks0.KEY", proofs, port)

    assert read_knock(name) == Knock("bob.desk ks0.KEY", tuple(proofs), port)
    assert without_knock(name) == "bob.desk ks0.KEY"
    assert is_proof(proofs[-1], key, device, port)


@examples(60)
@given(keys, devices, devices, ports, keys)
def test_a_proof_that_somebody_else_read_is_worth_nothing(
    key: bytes, device: str, thief: str, port: int, other: bytes
) -> None:
    assume(device != thief and key != other)
    said = proof(key, device, port)

    assert not is_proof(said, key, thief, port)
    assert not is_proof(said, key, device, port % 65535 + 1)
    assert not is_proof(said, other, device, port)
    assert not is_proof(said[:-1], key, device, port)


@pytest.mark.parametrize(
    "name",
    [
        "bob.desk",
        "bob.desk ks0." + "A" * 52,
        "bob.desk ks1." + "A" * 25 + ".22000",
        "bob.desk ks1." + "A" * 26,
        "bob.desk ks1." + "A" * 26 + ".0",
        "bob.desk ks1." + "A" * 26 + ".65536",
        "bob.desk ks1." + "a" * 26 + ".22000",
        "bob.desk ks1." + ".".join(["A" * 26] * (PROOFS + 1)) + ".22000",
        "bob.desk ks1." + "A" * 26 + ".22000\n",
        " ks1." + "A" * 26 + ".22000",
    ],
)
def test_a_name_of_another_form_is_no_knock(name: str) -> None:
    assert read_knock(name) is None
    assert without_knock(name) == name


def test_a_name_without_a_proof_stays_as_it_is() -> None:
    assert knocking_name("bob.desk", [], 22000) == "bob.desk"


@examples(40)
@given(keys, keys, devices, devices)
def test_a_door_is_one_devices_and_one_codes(
    key: bytes, other: bytes, device: str, stranger: str
) -> None:
    assume(key != other and device != stranger)
    door = door_of(key, device)

    assert is_door(door)
    assert not is_metadata_folder(door)
    assert len({door, door_of(other, device), door_of(key, stranger)}) == 3
