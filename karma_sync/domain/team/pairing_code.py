"""Encodes and decodes pairing codes: a member's tag, device ID, key and addresses as text.

The text survives chats, mails and terminals. It is not a secret.

Bytes: version (1), total length (2, big-endian), device ID (32), public key (32), tag (1 + n),
number of addresses (1), each address (1 + n), checksum (4: the first bytes of SHA-256 over
everything before it). The bytes are written as base32, in blocks of seven letters with dashes.

Also converts device IDs between Syncthing's text form and bytes.
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from karma_sync.domain import limits
from karma_sync.domain.ids import fingerprint, is_tag
from karma_sync.errors import BadInput

VERSION = 1
_BLOCK = 7
_CHECKSUM = 4
_FIXED = 1 + 2 + 32 + 32
_LOOKALIKES = str.maketrans("018", "OIB")
_DEVICE_NAME = re.compile(r"(?P<tag>[^ ]+) ks0\.(?P<key>[A-Z2-7]{52})")
_ADDRESS = re.compile(r"(?:tcp|quic)[46]?://[A-Za-z0-9._%:\[\]-]+:(\d{1,5})")
_AGAIN = "ask for the code again: karma-sync code"
# Characters that chats, mails and terminals put between and around letters: every kind of space,
# dash and quote, invisible characters (zero width, byte order mark), marks of quoted or bold text.
_DECORATION = {"Zs", "Zl", "Zp", "Pd", "Pi", "Pf", "Cf"}
_MARKS = frozenset("\t\n\v\f\r\"'`<>*\u2212")
_STRANGE_SHOWN = 10


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
        addresses = [a.encode() for a in self.addresses if is_address(a)][: limits.ADDRESSES]
        tail = b"".join(bytes([len(part)]) + part for part in [self.tag.encode()])
        tail += bytes([len(addresses)]) + b"".join(bytes([len(a)]) + a for a in addresses)
        length = _FIXED + len(tail) + _CHECKSUM
        body = bytes([VERSION]) + length.to_bytes(2, "big")
        body += device_bytes(self.device) + bytes.fromhex(self.key) + tail
        text = base64.b32encode(body + _checksum(body)).decode().rstrip("=")
        return "-".join(text[i : i + _BLOCK] for i in range(0, len(text), _BLOCK))

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
    match = _DEVICE_NAME.fullmatch(name)
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
            code; the message tells which.
    """
    letters = _letters(text)
    usable = len(letters) - (1 if len(letters) % 8 in {1, 3, 6} else 0)
    raw = base64.b32decode(letters[:usable] + "=" * (-usable % 8))
    if len(raw) < 3:
        raise BadInput("this is not a pairing code: it is too short", hint=_AGAIN)
    if raw[0] != VERSION:
        raise BadInput("this is not a pairing code, or its first letters are mistyped", hint=_AGAIN)
    length = int.from_bytes(raw[1:3], "big")
    needed = -(-length * 8 // 5)
    if len(letters) < needed:
        raise BadInput(
            f"the pairing code is cut off: {len(letters)} of {needed} letters", hint=_AGAIN
        )
    if len(letters) > needed:
        more = len(letters) - needed
        plural = "s" if more > 1 else ""
        raise BadInput(f"the pairing code has {more} letter{plural} too many", hint=_AGAIN)
    if base64.b32encode(raw).decode().rstrip("=") != letters:
        raise BadInput("the pairing code has a typing mistake at its end", hint=_AGAIN)
    return _parse(raw[:length])


def _letters(text: str) -> str:
    """The base32 letters of a code, without the characters between and around them."""
    letters = "".join(c for c in text if not _is_decoration(c)).upper().translate(_LOOKALIKES)
    if not letters:
        raise BadInput("the pairing code is empty", hint=_AGAIN)
    strange = sorted(set(re.sub(r"[A-Z2-7]", "", letters)))
    if strange:
        shown = [c if c.isprintable() else f"U+{ord(c):04X}" for c in strange[:_STRANGE_SHOWN]]
        raise BadInput(f"a pairing code cannot contain {' '.join(shown)}", hint=_AGAIN)
    return letters


def _is_decoration(char: str) -> bool:
    return char in _MARKS or unicodedata.category(char) in _DECORATION


def _parse(raw: bytes) -> PairingCode:
    body, checksum = raw[:-_CHECKSUM], raw[-_CHECKSUM:]
    if _checksum(body) != checksum:
        raise BadInput("the pairing code has a typing mistake", hint=_AGAIN)
    rest = body[_FIXED:]
    try:
        tag, rest = _take(rest)
        count, rest = rest[0], rest[1:]
        addresses = []
        for _ in range(count):
            address, rest = _take(rest)
            addresses.append(address)
    except (IndexError, UnicodeDecodeError):
        raise BadInput("the pairing code is damaged inside", hint=_AGAIN) from None
    if rest or not is_tag(tag) or count > limits.ADDRESSES or not all(map(is_address, addresses)):
        raise BadInput("the pairing code was made by a different program", hint=_AGAIN)
    return PairingCode(tag, device_text(body[3:35]), body[35:67].hex(), tuple(addresses))


def _take(rest: bytes) -> tuple[str, bytes]:
    length = rest[0]
    if len(rest) < 1 + length:
        raise IndexError
    return rest[1 : 1 + length].decode(), rest[1 + length :]


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"karma-sync pairing code" + body).digest()[:_CHECKSUM]


def is_address(text: str) -> bool:
    """Whether Syncthing can dial the address: tcp or quic, with a host and a port."""
    match = _ADDRESS.fullmatch(text)
    return len(text) <= limits.ADDRESS_CHARS and match is not None and int(match[1]) <= 65535


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
