"""Encodes and decodes pairing codes: a member's tag, device ID, key and addresses as text.

The text survives chats, mails and terminals (`code_text.py`). It is not a secret.

Its fields: device ID (32 bytes), public key (32), tag (1 + n), number of addresses (1), each
address (1 + n).

Also converts device IDs between Syncthing's text form and bytes.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from karma_sync.domain import limits
from karma_sync.domain.ids import fingerprint, is_tag
from karma_sync.domain.team.code_text import CodeKind, put_text, take_text
from karma_sync.errors import BadInput

PAIRING = CodeKind("pairing code", again="ask for the code again: karma-sync code")
_KEY_PLACE = re.compile(r"(?P<tag>[^ ]+) ks0\.(?P<key>[A-Z2-7]{52})")
_ADDRESS = re.compile(r"(?:tcp|quic)[46]?://[A-Za-z0-9._%:\[\]-]+:(\d{1,5})")


@dataclass(frozen=True)
class PairingCode:
    """The content of a pairing code; `device` in Syncthing's form with dashes, `key` in hex.

    `addresses` may include `dynamic`; the text holds only addresses that can be dialled.
    """

    tag: str
    device: str
    key: str
    addresses: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.key)

    def encode(self) -> str:
        """The code as text: capital letters and digits, in blocks with dashes between them."""
        fields = device_bytes(self.device) + bytes.fromhex(self.key) + put_text(self.tag)
        return PAIRING.write(fields + put_addresses(self.addresses))

    @property
    def device_name(self) -> str:
        """The name that Syncthing tells to the devices that we connect to: tag and public key.

        So whoever got our request to connect can add us without another message. Syncthing vouches
        for the device ID alone; tag and key are what we say.
        """
        key = base64.b32encode(bytes.fromhex(self.key)).decode().rstrip("=")
        return f"{self.tag} ks0.{key}"


def read_device_name(name: str) -> tuple[str, str]:
    """The tag and the key (hex) in a device's name; the name itself and "" if it has another form.

    Anybody can give a device any name: both are claims.
    """
    match = _KEY_PLACE.fullmatch(name)
    if match is None or not is_tag(match["tag"]):
        return name, ""
    key = base64.b32decode(f"{match['key']}====").hex()
    # the last letter may have bits that belong to no byte
    is_exact = PairingCode(match["tag"], "", key).device_name == name
    return (match["tag"], key) if is_exact else (name, "")


def decode(text: str) -> PairingCode:
    """Read a code; its case, dashes, spaces, line breaks and quotes do not matter.

    Raises:
        BadInput: the code is cut off, has extra letters or a typing mistake, or the text is not a
            code; the message states which.
    """
    body = PAIRING.read(text)
    try:
        tag, rest = take_text(body[64:])
        addresses, rest = take_addresses(rest)
    except (IndexError, UnicodeDecodeError):
        raise PAIRING.bad("the pairing code is damaged inside") from None
    if rest or not is_tag(tag) or not are_addresses(addresses):
        raise PAIRING.bad("the pairing code was made by a different program")
    return PairingCode(tag, device_text(body[:32]), body[32:64].hex(), addresses)


def put_addresses(addresses: Sequence[str]) -> bytes:
    """The number of addresses, and each with its length; those that cannot be dialled are left out.

    At most as many as a code may hold.
    """
    dialled = [a for a in addresses if is_address(a)][: limits.ADDRESSES]
    return bytes([len(dialled)]) + b"".join(map(put_text, dialled))


def take_addresses(rest: bytes) -> tuple[tuple[str, ...], bytes]:
    """The addresses that `put_addresses` wrote, and the bytes after them.

    Raises: as `take_text` does.
    """
    count, rest = rest[0], rest[1:]
    addresses = []
    for _ in range(count):
        address, rest = take_text(rest)
        addresses.append(address)
    return tuple(addresses), rest


def are_addresses(addresses: Sequence[str]) -> bool:
    """Whether a code may hold these: not too many, and each can be dialled."""
    return len(addresses) <= limits.ADDRESSES and all(map(is_address, addresses))


def is_address(text: str) -> bool:
    """Whether Syncthing can dial the address: tcp or quic, with a host and a port."""
    match = _ADDRESS.fullmatch(text)
    return len(text) <= limits.ADDRESS_CHARS and match is not None and int(match[1]) <= 65535


@lru_cache(maxsize=1024)  # asked for every member in each cycle
def device_text(raw: bytes) -> str:
    """A device ID in Syncthing's text form: 32 bytes as eight groups of seven letters.

    It is base32 in four parts of 13 letters, each followed by a check letter (docs/syncthing.md).
    """
    letters = base64.b32encode(raw).decode().rstrip("=")
    checked = "".join(
        part + _luhn32(part) for part in (letters[i : i + 13] for i in range(0, 52, 13))
    )
    return "-".join(checked[i : i + 7] for i in range(0, 56, 7))


def device_bytes(text: str) -> bytes:
    """The 32 bytes of a device ID in text form.

    Raises:
        BadInput: the text is not a device ID, or one of its check letters is wrong.
    """
    letters = text.replace("-", "").upper()
    if re.fullmatch(r"[A-Z2-7]{56}", letters):
        plain = "".join(letters[i : i + 13] for i in range(0, 56, 14))
        raw = base64.b32decode(plain + "====")
        if device_text(raw).replace("-", "") == letters:
            return raw
    raise BadInput(f"{text!r} is not a Syncthing device ID")


def _luhn32(part: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    total = 0
    for index, letter in enumerate(part):
        addend = alphabet.index(letter) * (1 + index % 2)
        total += addend // 32 + addend % 32
    return alphabet[(32 - total % 32) % 32]
