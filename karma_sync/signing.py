"""Signed documents: DSSE envelopes with exactly one Ed25519 signature.

The envelope is the one of the DSSE protocol (secure-systems-lab/dsse, v1.0): the signature
covers the payload type and the payload, so no document can stand for one of another kind. The
key always comes from the caller, who knows the place a document lies at, never from the
envelope; the payload is parsed (`form`) only after it verified.
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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from karma_sync.domain import limits
from karma_sync.errors import KarmaError, NotInitialised, Unverified
from karma_sync.files import PRIVATE_FILE, write_private

# nothing can make the same key again, and beside another one the rest of the home is nobody's
_BACK = (
    "put {0} back from a backup; to begin anew, under another name: move karma-sync's folders"
    " away (README, Install), then karma-sync init --machine NAME"
)
# A key as PKCS 8 has it (RFC 8410): these bytes, then its 32. Read and written by hand, as every
# command reads it, and `cryptography`'s own way loads all kinds of keys that it knows.
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
_BEGIN, _END = b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----"


class PayloadType(StrEnum):
    """One per kind of document; the number changes when a field changes its meaning."""

    ROSTER = "application/vnd.karma-sync.roster.v1+json"
    MEMBER = "application/vnd.karma-sync.member.v1+json"
    RECEIPT = "application/vnd.karma-sync.receipt.v1+json"
    MANIFEST = "application/vnd.karma-sync.manifest.v1+json"
    RETRACTION = "application/vnd.karma-sync.retraction.v1+json"


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
        inside = base64.b64encode(_PKCS8 + key.private_bytes_raw())
        write_private(path, b"%b\n%b\n%b\n" % (_BEGIN, inside, _END))
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read the key at `path`.

        Raises:
            NotInitialised: there is none.
            KarmaError: the file is no Ed25519 key, or others may read it.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise NotInitialised(
                f"the key of this machine is gone: {path}", hint=_BACK.format(path.name)
            ) from None
        with os.fdopen(descriptor, "rb") as source:
            if os.fstat(descriptor).st_mode & 0o077:
                raise KarmaError(f"others can read {path}", hint=f"chmod {PRIVATE_FILE:o} {path}")
            pem = source.read(10_000)
        try:
            der = _inside(pem)
        except ValueError as error:
            raise KarmaError(
                f"{path} is damaged: there is no key in it", hint=_BACK.format(path.name)
            ) from error
        if len(der) != len(_PKCS8) + 32 or not der.startswith(_PKCS8):
            raise KarmaError(f"{path} is not an Ed25519 key", hint=_BACK.format(path.name))
        return cls(Ed25519PrivateKey.from_private_bytes(der[len(_PKCS8) :]))

    def sign(self, payload_type: PayloadType, payload: bytes) -> bytes:
        """The envelope around `payload`, as one line of JSON without a line end."""
        signature = self._private.sign(_pre_authentication(payload_type, payload))
        # put together by hand, as nothing in it is to be escaped: a manifest has megabytes
        return b'{"payloadType":"%b","payload":"%b","signatures":[{"sig":"%b"}]}' % (
            payload_type.value.encode(),
            base64.b64encode(payload),
            base64.b64encode(signature),
        )


def open_envelope(raw: bytes, key: str, payload_type: PayloadType) -> bytes:
    """The payload of an envelope that `key` (hex) signed as `payload_type`.

    Raises:
        Unverified: it is no envelope, of another type, or not signed by that key.
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


def _inside(pem: bytes) -> bytes:
    """What a PEM file has between its first line and its last.

    Raises:
        ValueError: it is none with a private key in it.
    """
    text = pem.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise ValueError("there is no private key")
    return base64.b64decode(b"".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)


def strict_json(raw: bytes) -> object:
    """Parse JSON, refusing an object that names a key twice (two readers may differ on it).

    Raises:
        ValueError: it is not JSON, or has a key twice.
    """
    return json.loads(raw, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _pre_authentication(payload_type: PayloadType, payload: bytes) -> bytes:
    kind = payload_type.value.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class Model(Protocol):
    """What can be made of a payload: pydantic's, or msgspec's where it is short."""

    @classmethod
    def from_fields(cls, fields: Any, /) -> Self: ...


M = TypeVar("M", bound=Model)


def parse(payload: bytes, model: type[M]) -> M:
    """A model from a payload that verified.

    Raises:
        Unverified: its form is not that of the model; values of a peer's are not quoted.
    """
    try:
        fields = strict_json(payload)
    except (ValueError, RecursionError):
        raise Unverified("3-form", f"it is not a {model.__name__}: not JSON") from None
    try:
        return model.from_fields(fields)
    except (ValueError, msgspec.ValidationError) as error:
        raise Unverified("3-form", f"it is not a {model.__name__}: {_place(error)}") from None


def _place(error: Any) -> str:
    """Where the form is another: nothing that stands there, which may be anything."""
    if isinstance(error, msgspec.ValidationError):
        return str(error).rpartition(" - at `$")[2].rstrip("`").lstrip(".") or "a field"
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])} ({first['type']})"


def accepted(raw: bytes, writer: str, payload_type: PayloadType, model: type[M]) -> M:
    """Read a document back that was accepted before: signature and form, not its newness."""
    return opened(raw, writer, payload_type, model)


def opened(raw: bytes, writer: str, payload_type: PayloadType, model: type[M]) -> M:
    """What an envelope by `writer` says.

    Raises:
        Unverified: it is too large, not signed by that key as this, or of another form.
    """
    if len(raw) > limits.DOCUMENT_BYTES:
        raise Unverified("2-size", f"it is larger than {limits.DOCUMENT_BYTES} bytes")
    return parse(open_envelope(raw, writer, payload_type), model)
