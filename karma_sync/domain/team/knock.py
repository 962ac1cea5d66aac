"""The knock at a leader's door: what a device's name proves, and the door's folder ID.

Whoever has an invitation code can make both, for its own device alone: Syncthing vouches for a
device ID, so a proof that somebody else read is worth nothing. Nothing of the secret can be learned
from them.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from karma_sync.domain.team.pairing_code import device_bytes
from karma_sync.paths import door_folder

PROOFS = 3  # in one name: as many invitation codes can be used at once
_PROOF_BYTES, _PROOF_LETTERS = 16, 26
_KNOCK = re.compile(
    rf"(?P<who>.+) ks1\.(?P<proofs>[A-Z2-7]{{{_PROOF_LETTERS}}}"
    rf"(?:\.[A-Z2-7]{{{_PROOF_LETTERS}}}){{0,{PROOFS - 1}}})\.(?P<port>[1-9][0-9]{{0,4}})"
)


@dataclass(frozen=True)
class Knock:
    """The parts of a device's name: the name without the knock, the proofs, and the port."""

    who: str
    proofs: tuple[str, ...]
    port: int


def proof(knock_key: bytes, device: str, port: int) -> str:
    """The proof that a device, which listens on this port, has an invitation code."""
    said = b"proof" + device_bytes(device) + port.to_bytes(2, "big")
    digest = hmac.digest(knock_key, said, hashlib.sha256)[:_PROOF_BYTES]
    return base64.b32encode(digest).decode().rstrip("=")


def is_proof(said: str, knock_key: bytes, device: str, port: int) -> bool:
    """Whether a proof is that of this device and port."""
    return hmac.compare_digest(said, proof(knock_key, device, port))


def door_of(knock_key: bytes, device: str) -> str:
    """The ID of the folder through which a device asks to join."""
    digest = hmac.digest(knock_key, b"door" + device_bytes(device), hashlib.sha256)
    return door_folder(digest.hex())


def knocking_name(name: str, proofs: Sequence[str], port: int) -> str:
    """The name of a device that knocks: its usual name, the first proofs, and its port."""
    return f"{name} ks1.{'.'.join(proofs[:PROOFS])}.{port}" if proofs else name


def read_knock(name: str) -> Knock | None:
    """The parts of a device's name that has the form of a knock; anybody can claim one."""
    match = _KNOCK.fullmatch(name)
    if match is None or int(match["port"]) > 65535:
        return None
    return Knock(match["who"], tuple(match["proofs"].split(".")), int(match["port"]))


def without_knock(name: str) -> str:
    """A device's name without the knock, if it has one."""
    knock = read_knock(name)
    return knock.who if knock else name
