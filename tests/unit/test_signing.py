"""Envelopes cannot be changed without notice; the key that signs them is private."""

import json
from base64 import b64encode
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.errors import KarmaError, NotInitialised, Unverified
from karma_sync.signing import PayloadType, SigningKey, open_envelope
from tests.support.builders import ALICE, MALLORY, examples, key_of, open_umask

A, M = key_of(ALICE), key_of(MALLORY)
ROSTER = PayloadType.ROSTER
PAYLOAD = b'{"some": "payload"}'


def opened(raw: bytes, key: SigningKey = A, kind: PayloadType = ROSTER) -> str | bytes:
    """The payload, or the code of the refusal."""
    try:
        return open_envelope(raw, key.public, kind)
    except Unverified as refused:
        return refused.code


def bent(change: Callable[[dict[str, Any]], object]) -> bytes:
    """An envelope that Alice signed and somebody changed."""
    envelope = json.loads(A.sign(ROSTER, PAYLOAD))
    change(envelope)
    return json.dumps(envelope).encode()


def test_a_signed_payload_can_be_read_again() -> None:
    assert opened(A.sign(ROSTER, PAYLOAD)) == PAYLOAD
    assert b"\n" not in A.sign(ROSTER, b"a\nb")


@pytest.mark.parametrize(("signed", "read"), list(product(PayloadType, PayloadType)))
def test_a_document_of_one_kind_never_passes_for_another(
    signed: PayloadType, read: PayloadType
) -> None:
    raw = A.sign(signed, PAYLOAD)

    assert opened(raw, kind=read) == (PAYLOAD if signed is read else "3-type")
    renamed = raw.replace(signed.value.encode(), read.value.encode())
    assert opened(renamed, kind=read) == (PAYLOAD if signed is read else "3-signature")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (bent(lambda e: e.update(payload=b64encode(PAYLOAD + b" ").decode())), "3-signature"),
        (bent(lambda e: e.update(payload="")), "3-signature"),
        (bent(lambda e: e.update(payload=e["payload"] + "\n")), "3-envelope"),
        (bent(lambda e: e.update(payload=None)), "3-envelope"),
        (bent(lambda e: e["signatures"].append(e["signatures"][0])), "3-envelope"),
        (bent(lambda e: e["signatures"].append({"sig": "AAAA"})), "3-envelope"),
        (bent(lambda e: e["signatures"].clear()), "3-envelope"),
        (bent(lambda e: e.update(signatures={"sig": "AAAA"})), "3-envelope"),
        (bent(lambda e: e["signatures"][0].update(sig="AAAA")), "3-signature"),
        (bent(lambda e: e["signatures"][0].update(sig="~")), "3-envelope"),
        (bent(lambda e: e.pop("payloadType")), "3-envelope"),
        (bent(lambda e: e.update(payloadType=["x"])), "3-type"),
        (A.sign(ROSTER, PAYLOAD)[:-1] + b',"payload":"AAAA"}', "3-envelope"),
        (A.sign(ROSTER, PAYLOAD)[:-1], "3-envelope"),
        (A.sign(ROSTER, PAYLOAD) * 2, "3-envelope"),
        (M.sign(ROSTER, PAYLOAD), "3-signature"),
        (b"", "3-envelope"),
        (b"not JSON", "3-envelope"),
        (b"\xff\xfe", "3-envelope"),
        (b"[]", "3-envelope"),
        (b"7", "3-envelope"),
        (b"[" * 100_000, "3-envelope"),
    ],
)
def test_a_changed_envelope_is_refused(raw: bytes, code: str) -> None:
    assert opened(raw) == code


def test_a_key_that_the_envelope_names_is_ignored() -> None:
    raw = M.sign(ROSTER, PAYLOAD)
    for name, value in (("keyid", A.public), ("publicKey", M.public)):
        envelope = json.loads(raw)
        envelope["signatures"][0][name] = envelope[name] = value
        assert opened(json.dumps(envelope).encode()) == "3-signature"


@examples(200)
@given(st.data())
def test_no_single_byte_can_be_changed(data: st.DataObject) -> None:
    raw = bytearray(A.sign(ROSTER, PAYLOAD))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))

    assert opened(bytes(raw)) in (PAYLOAD, "3-envelope", "3-type", "3-signature")


@examples(100)
@given(st.binary(max_size=100) | st.recursive(st.none(), st.lists).map(str).map(str.encode))
def test_arbitrary_bytes_are_refused_as_unverified(raw: bytes) -> None:
    assert opened(raw) == "3-envelope"


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    with open_umask():
        key = SigningKey.create(tmp_path / "key.pem")

    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert SigningKey.create(tmp_path / "key.pem").public == key.public
    assert opened(SigningKey.load(tmp_path / "key.pem").sign(ROSTER, PAYLOAD), key) == PAYLOAD


def test_an_unusable_key_is_refused_with_a_hint(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    with pytest.raises(NotInitialised) as missing:
        SigningKey.load(pem)
    assert missing.value.hint.startswith("put key.pem back from a backup")

    SigningKey.create(pem)
    pem.chmod(0o640)
    with pytest.raises(KarmaError, match="others can read") as readable:
        SigningKey.load(pem)
    assert readable.value.hint == f"chmod 600 {pem}"

    no_key, other_kind = (
        b"hello",
        X25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    pem.chmod(0o600)
    for content, why in (
        (no_key, "is damaged: it holds no key"),
        (other_kind, "is not an Ed25519 key"),
    ):
        pem.write_bytes(content)
        with pytest.raises(KarmaError, match=why) as damaged:
            SigningKey.load(pem)
        assert damaged.value.hint == missing.value.hint
