"""Pairing codes survive what chats do to them; a damaged code is refused with the reason."""

import base64
import string
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.ids import TAG_PART
from karma_sync.domain.team.pairing_code import (
    PairingCode,
    decode,
    device_bytes,
    device_text,
    is_address,
    read_device_name,
)
from karma_sync.errors import BadInput
from tests.support.builders import ALICE, code_of, examples

BASE32 = string.ascii_uppercase + "234567"

# A device ID and the SHA-256 of the certificate it belongs to, both told by others: the first from
# Syncthing's own tests (lib/protocol/deviceid_test.go), the second printed by Syncthing 1.19.2 and
# by `openssl x509 -outform DER | sha256sum` for a certificate made for this test.
VECTORS = [
    (
        "P56IOI7-MZJNU2Y-IQGDREY-DM2MGTI-MGL3BXN-PQ6W5BM-TBBZ4TJ-XZWICQ2",
        base64.b32decode("P56IOI7MZJNU2IQGDREYDM2MGTMGL3BXNPQ6W5BTBBZ4TJXZWICQ====").hex(),
    ),
    (
        "HBHRUKD-YJUKPRG-E7SYYVC-HQKOUGG-ZF42W3J-QVUOBL4-JMPNPKO-D5PZJQJ",
        "384f1a28784d14f893f2c62a23c14ea1b25e6adb4c2b47056963daf5387d7e53",
    ),
]

parts = st.from_regex(TAG_PART, fullmatch=True)
addresses = st.builds(
    "{}:{}".format,
    st.from_regex(r"(tcp|quic)[46]?://[a-z0-9.:\[\]-]{1,30}", fullmatch=True),
    st.integers(0, 65535),
)
codes = st.builds(
    PairingCode,
    tag=st.builds("{}.{}".format, parts, parts),
    device=st.binary(min_size=32, max_size=32).map(device_text),
    key=st.binary(min_size=32, max_size=32).map(bytes.hex),
    addresses=st.lists(addresses, max_size=limits.ADDRESSES).map(tuple),
)


def through_a_chat(text: str, random: Random) -> str:
    """The same code with another case, and other line breaks, spaces and dashes, or none."""
    gaps = ["", "", "", " ", "-", "\n", "\r\n", " \t", "\u00a0", "- -", "\n> ", "\u2011", "\u200b"]
    letters = (random.choice([c.lower(), c]) + random.choice(gaps) for c in text)
    text = "".join(letters)
    return text if random.random() < 0.5 else text.replace("-", "")


@examples(100)
@given(codes, st.randoms(use_true_random=False))
def test_a_code_survives_case_spaces_and_line_breaks(code: PairingCode, random: Random) -> None:
    assert decode(through_a_chat(code.encode(), random)) == code


@examples(60)
@given(codes, st.data())
def test_a_code_may_be_pasted_in_several_pieces(code: PairingCode, data: st.DataObject) -> None:
    text = code.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    assert decode("".join(pieces)) == decode(" ".join(pieces)) == decode("\n".join(pieces)) == code


@examples(60)
@given(codes)
def test_a_code_is_made_of_blocks_that_chat_programs_leave_alone(code: PairingCode) -> None:
    *blocks, last = code.encode().split("-")

    assert {len(block) for block in blocks} == {7}
    assert 0 < len(last) <= 7
    assert set("".join([*blocks, last])) <= set(BASE32)


@pytest.mark.parametrize(
    "around",
    [
        '"{}"',
        "'{}'",
        "`{}`",
        "```\n{}\n```",
        "<{}>",
        "**{}**",
        "\u201c{}\u201d",
        "\u00ab{}\u00bb",
        "> {}\n",
    ]
    + ["\ufeff{}", "\u200b{}\u200e", "{}\r\n"],
)
def test_characters_that_a_chat_adds_around_a_code_do_not_matter(around: str) -> None:
    assert decode(around.format(code_of(ALICE).encode())) == code_of(ALICE)


@pytest.mark.parametrize("dash", ["\u2010", "\u2011", "\u2013", "\u2014", "\u2212", "\u00ad", ""])
def test_the_kind_of_dashes_in_a_code_does_not_matter(dash: str) -> None:
    assert decode(code_of(ALICE).encode().replace("-", dash)) == code_of(ALICE)


def test_digits_that_look_like_letters_are_read_as_letters() -> None:
    text = code_of(ALICE).encode()

    assert decode(text.translate(str.maketrans("OIB", "018"))) == code_of(ALICE)


@examples(150)
@given(codes, st.data())
def test_every_single_letter_typo_is_refused(code: PairingCode, data: st.DataObject) -> None:
    text = code.encode()
    letters = [at for at, letter in enumerate(text) if letter != "-"]
    # the last letter carries bits that mean nothing: the next test is about it
    at = data.draw(st.sampled_from(letters[:-1]))
    wrong = data.draw(st.sampled_from(BASE32))
    assume(wrong != text[at])

    with pytest.raises(BadInput, match="pairing code") as refused:
        decode(text[:at] + wrong + text[at + 1 :])
    assert refused.value.hint == "ask for the code again: karma-sync code"


@pytest.mark.parametrize("wrong", BASE32)
def test_a_typo_in_the_last_letter_never_gives_another_member(wrong: str) -> None:
    text = code_of(ALICE).encode()

    try:
        assert decode(text[:-1] + wrong) == code_of(ALICE)
    except BadInput as refused:
        assert "typing mistake" in str(refused)


def test_a_typo_in_the_last_letter_is_refused() -> None:
    text = code_of(ALICE).encode()

    for wrong in set(BASE32) - {text[-1]}:
        with pytest.raises(BadInput):
            decode(text[:-1] + wrong)


@examples(60)
@given(codes, st.data())
def test_two_swapped_letters_are_refused(code: PairingCode, data: st.DataObject) -> None:
    text = code.encode().replace("-", "")
    at = data.draw(st.integers(0, len(text) - 3))
    assume(text[at] != text[at + 1])

    with pytest.raises(BadInput):
        decode(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


@examples(60)
@given(codes, st.data())
def test_the_error_for_a_cut_off_code_counts_letters(
    code: PairingCode, data: st.DataObject
) -> None:
    text = code.encode().replace("-", "")
    kept = data.draw(st.integers(0, len(text) - 1))

    wanted = f"cut off: {kept} of {len(text)} letters" if kept >= 5 else "too short|empty"
    with pytest.raises(BadInput, match=wanted):
        decode(text[:kept])


@examples(60)
@given(codes, st.text(alphabet=BASE32, min_size=1, max_size=40))
def test_the_error_for_extra_letters_tells_how_many(code: PairingCode, more: str) -> None:
    with pytest.raises(BadInput, match=rf"{len(more)} letters? too many"):
        decode(code.encode() + more)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "code is empty"),
        ("   \n", "code is empty"),
        ("AEAF", "too short"),
        ("hello there", "not a pairing code"),
        ("karma-sync pair", "not a pairing code"),
        (VECTORS[0][0], "not a pairing code"),
        ("https://example.org/", "cannot contain . / :"),
        ("AEAF\u00b7FFH", "cannot contain \u00b7"),
        ("\x1b[2J", r"cannot contain U\+001B \["),
        ("".join(map(chr, range(0x4E00, 0x4E20))), r"cannot contain .( .){9}$"),
    ],
)
def test_other_text_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        decode(text)


@examples(150)
@given(st.text(max_size=200) | st.text(alphabet=BASE32, max_size=200))
def test_any_text_is_a_code_or_is_refused_with_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match=r"pairing code"):
        decode(text)


@pytest.mark.parametrize(
    "forged",
    [
        replace(code_of(ALICE), tag="no tag"),
        replace(code_of(ALICE), tag=""),
        replace(code_of(ALICE), tag="a.b\x1b[2J"),
    ],
)
def test_a_code_with_a_valid_checksum_and_invalid_content_is_refused(forged: PairingCode) -> None:
    with pytest.raises(BadInput, match="made by a different program"):
        decode(forged.encode())


def test_a_code_holds_only_addresses_that_can_be_dialled() -> None:
    many = [f"tcp://10.0.0.{n}:22000" for n in range(9)]
    code = code_of(ALICE, "dynamic", "tcp://x", *many)

    assert decode(code.encode()).addresses == tuple(many[: limits.ADDRESSES])


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("tcp://10.0.0.1:22000", True),
        ("tcp6://[::1]:22000", True),
        ("quic://nas.local:22000", True),
        ("dynamic", False),
        ("http://10.0.0.1:80", False),
        ("tcp://10.0.0.1", False),
        ("tcp://10.0.0.1:22000/x", False),
        ("tcp://a b:1", False),
        ("tcp://a:1\n", False),
        ("tcp://" + "a" * 120 + ":1", False),
    ],
)
def test_an_address_has_a_scheme_a_host_and_a_port(text: str, can: bool) -> None:
    assert is_address(text) is can


@pytest.mark.parametrize("text", ["tcp://\x1b[2J:1", "tcp://a\x00b:1", "tcp://a:99999"])
def test_an_address_has_only_characters_that_syncthing_keeps(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(("text", "digest"), VECTORS)
def test_a_device_id_is_the_one_syncthing_prints(text: str, digest: str) -> None:
    assert device_text(bytes.fromhex(digest)) == text
    assert device_bytes(text) == bytes.fromhex(digest)


@pytest.mark.parametrize("at", [n for n, c in enumerate(VECTORS[0][0]) if c != "-"])
def test_a_device_id_with_a_letter_mistyped_is_refused(at: int) -> None:
    text = VECTORS[0][0]
    for wrong in set(BASE32) - {text[at]}:
        with pytest.raises(BadInput, match="is not a Syncthing device ID"):
            device_bytes(text[:at] + wrong + text[at + 1 :])


@examples(60)
@given(st.binary(min_size=32, max_size=32))
def test_a_device_id_can_be_converted_to_bytes_and_back(raw: bytes) -> None:
    assert device_bytes(device_text(raw)) == raw


def test_a_device_name_tells_tag_and_key() -> None:
    code = code_of(ALICE)

    assert read_device_name(code.device_name) == (ALICE, code.key)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "bob's laptop",
        f"{ALICE} ks0.",
        f"{ALICE} ks0.{'A' * 51}",
        f"{ALICE} ks0.{'a' * 52}",
        f"no tag ks0.{'A' * 52}",
        f"ALICE.MBP ks0.{'A' * 52}",
        f"{ALICE} ks0.{'A' * 51}B",
        f"{ALICE} ks0.{'A' * 52} and more",
    ],
)
def test_any_other_device_name_tells_no_key(name: str) -> None:
    assert read_device_name(name) == (name, "")
