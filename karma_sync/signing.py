"""Signs documents and verifies signed ones: DSSE envelopes with exactly one Ed25519 signature.

The envelope follows the DSSE protocol (secure-systems-lab/dsse, v1.0). The signature covers the
payload type and the payload, so a document of one kind never passes for another kind. The key
always comes from the caller, who knows where a document lies, and never from the envelope. The
payload is parsed only after its signature was verified (`parse`).
"""

import base64
import binascii
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from karma_sync.domain import limits
from karma_sync.errors import KarmaError, NotInitialised, Unverified
from karma_sync.files import PRIVATE_FILE, write_private

# Nobody can make the same key again, and with another key the rest of the home is worthless.
_RESTORE_HINT = (
    "put {0} back from a backup; to start again under another name: move karma-sync's folders"
    " away (README, Install), then karma-sync init --machine NAME"
)


class PayloadType(StrEnum):
    """The kinds of documents; the number grows when a field of a kind changes its meaning."""

    ROSTER = "application/vnd.karma-sync.roster.v1+json"
    MEMBER = "application/vnd.karma-sync.member.v1+json"
    TERM = "application/vnd.karma-sync.term.v1+json"
    REMOVAL = "application/vnd.karma-sync.removal.v1+json"
    ACKNOWLEDGEMENT = "application/vnd.karma-sync.acknowledgement.v1+json"
    RECEIPT = "application/vnd.karma-sync.receipt.v1+json"
    MANIFEST = "application/vnd.karma-sync.manifest.v1+json"
    RETRACTION = "application/vnd.karma-sync.retraction.v1+json"
    OFFER = "application/vnd.karma-sync.offer.v1+json"
    REQUEST = "application/vnd.karma-sync.request.v1+json"
    ANSWER = "application/vnd.karma-sync.answer.v1+json"


class SigningKey:
    """This member's Ed25519 key; `public` is the hex of its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    @classmethod
    def create(cls, path: Path) -> "SigningKey":
        """Make a new key at `path` (PEM, PKCS 8, mode 0600); an existing one is kept."""
        if path.exists():
            return cls.load(path)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(path, pem)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read the key at `path`.

        Raises:
            NotInitialised: the file does not exist.
            KarmaError: the file is not an Ed25519 key, or other users may read it.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise NotInitialised(
                f"the key of this machine is gone: {path}", hint=_RESTORE_HINT.format(path.name)
            ) from None
        with os.fdopen(descriptor, "rb") as source:
            if os.fstat(descriptor).st_mode & 0o077:
                raise KarmaError(f"others can read {path}", hint=f"chmod {PRIVATE_FILE:o} {path}")
            pem = source.read(10_000)
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except ValueError as error:
            raise KarmaError(
                f"{path} is damaged: it holds no key", hint=_RESTORE_HINT.format(path.name)
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KarmaError(f"{path} is not an Ed25519 key", hint=_RESTORE_HINT.format(path.name))
        return cls(key)

    def derived(self, purpose: str) -> bytes:
        """A secret of 32 bytes for one purpose; nothing can be learned from it about the key."""
        return _derive(self._private.private_bytes_raw(), purpose)

    def sign(self, payload_type: PayloadType, payload: bytes) -> bytes:
        """The signed envelope of `payload`: one line of JSON without a line end."""
        signature = self._private.sign(_pre_authentication(payload_type, payload))
        # built without a JSON encoder, because no character needs escaping and a manifest can
        # have megabytes
        return b'{"payloadType":"%b","payload":"%b","signatures":[{"sig":"%b"}]}' % (
            payload_type.value.encode(),
            base64.b64encode(payload),
            base64.b64encode(signature),
        )


def code_keys(secret: bytes) -> tuple[bytes, bytes]:
    """The two keys of an invitation code: the knock key, and the admission key for MACs.

    Nothing can be learned from one about the other, or from both about the secret.
    """
    return _derive(secret, "karma-sync knock"), _derive(secret, "karma-sync admission")


def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret)


def open_envelope(raw: bytes, key: str, payload_type: PayloadType) -> bytes:
    """The payload of an envelope that `key` (hex) signed as `payload_type`.

    Raises:
        Unverified: it is not an envelope, has another type, or is not signed by that key.
    """
    try:
        envelope: Any = strict_json(raw)
        (signed,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(signed["sig"], validate=True)
        stated_type = envelope["payloadType"]
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError):
        raise Unverified("3-envelope", "it is not an envelope with one signature") from None
    if stated_type != payload_type.value:
        raise Unverified("3-type", f"it is signed as {stated_type!r}, not as {payload_type.value}")
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(signature, _pre_authentication(payload_type, payload))
    except (InvalidSignature, ValueError):
        raise Unverified("3-signature", f"the signature is not by key {key[:8]}") from None
    return payload


def strict_json(raw: bytes) -> object:
    """Parse JSON; refuse an object with a key twice, because two parsers may differ on it.

    Raises:
        ValueError: it is not JSON, or an object has a key twice.
    """
    return json.loads(raw, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has a key twice")
    return result


def _pre_authentication(payload_type: PayloadType, payload: bytes) -> bytes:
    kind = payload_type.value.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class Model(Protocol):
    """A class of documents: a pydantic model or a msgspec struct (`domain/value.py`)."""

    @classmethod
    def from_fields(cls, fields: Any, /) -> Self: ...


M = TypeVar("M", bound=Model)


def parse(payload: bytes, model: type[M]) -> M:
    """The document in a payload whose signature was verified.

    Raises:
        Unverified: the payload does not have the model's fields. The message never quotes the
            peer's values.
    """
    try:
        fields = strict_json(payload)
    except (ValueError, RecursionError):
        raise Unverified("3-form", f"it is not a {model.__name__}: not JSON") from None
    try:
        return model.from_fields(fields)
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        # ValueError: pydantic's own, or half an emoji in a text, which no encoding has
        raise Unverified("3-form", f"it is not a {model.__name__}: {_place(error)}") from None


def _place(error: Any) -> str:
    """The field that is wrong, without its value: a peer may have put anything there."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).rpartition(" - at `$")[2].rstrip("`").lstrip(".") or "a field"
    if not callable(getattr(error, "errors", None)):
        return "a field"
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])} ({first['type']})"


def read_accepted(raw: bytes, writer: str, payload_type: PayloadType, model: type[M]) -> M:
    """Read a document that was accepted before; its signature and form are checked again.

    Whether it is the newest is not checked.

    Raises:
        Unverified: see `open_document`.
    """
    return open_document(raw, writer, payload_type, model)


def open_document(raw: bytes, writer: str, payload_type: PayloadType, model: type[M]) -> M:
    """The document in an envelope that `writer` (key in hex) signed.

    Raises:
        Unverified: the envelope is too large, not signed by that key as `payload_type`, or its
            payload has another form than `model`.
    """
    if len(raw) > limits.DOCUMENT_BYTES:
        raise Unverified("2-size", f"it is larger than {limits.DOCUMENT_BYTES} bytes")
    return parse(open_envelope(raw, writer, payload_type), model)
