"""Writes bytes as a code that people paste, and reads it back: letters, dashes and a checksum.

Bytes: version (1), total length (2, big-endian), the fields, checksum (4: the first bytes of
SHA-256 over everything before it). They are written as base32, in blocks of seven letters with
dashes, so that chats, mails and terminals leave them alone.
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass

from karma_sync.errors import BadInput

VERSION = 1
_BLOCK = 7
_HEAD = 1 + 2
_CHECKSUM = 4
_LOOKALIKES = str.maketrans("018", "OIB")
# Characters that chats, mails and terminals put between and around letters: every kind of space,
# dash and quote, invisible characters (zero width, byte order mark), marks of quoted or bold text.
_DECORATION = {"Zs", "Zl", "Zp", "Pd", "Pi", "Pf", "Cf"}
_MARKS = frozenset("\t\n\v\f\r\"'`<>*\u2212")
_STRANGE_SHOWN = 10


@dataclass(frozen=True)
class CodeKind:
    """A kind of code, by the name that people know.

    `prefix` is the first block, which distinguishes this kind from others. `again` is what to type
    for another code.
    """

    name: str
    again: str
    prefix: str = ""

    @property
    def a_name(self) -> str:
        """The name with its article."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    @property
    def _prefix_letters(self) -> str:
        return self.prefix.translate(_LOOKALIKES)

    def is_meant(self, text: str) -> bool:
        """Whether a text begins with the prefix of this kind, as people may write it."""
        return bool(self.prefix) and _plain(text).startswith(self._prefix_letters)

    def write(self, fields: bytes) -> str:
        """The code that holds these fields."""
        length = _HEAD + len(fields) + _CHECKSUM
        body = bytes([VERSION]) + length.to_bytes(2, "big") + fields
        text = base64.b32encode(body + self._checksum(body)).decode().rstrip("=")
        blocks = [text[i : i + _BLOCK] for i in range(0, len(text), _BLOCK)]
        return "-".join([self.prefix, *blocks] if self.prefix else blocks)

    def read(self, text: str) -> bytes:
        """The fields of a code; its case, dashes, spaces, line breaks and quotes do not matter.

        Raises:
            BadInput: the code is cut off, has extra letters or a typing mistake, or the text is not
                a code of this kind; the message states which.
        """
        letters = self._letters(text)
        usable = len(letters) - (1 if len(letters) % 8 in {1, 3, 6} else 0)
        raw = base64.b32decode(letters[:usable] + "=" * (-usable % 8))
        if len(raw) < _HEAD:
            raise self.bad(f"this is not {self.a_name}: it is too short")
        if raw[0] != VERSION:
            raise self.bad(f"this is not {self.a_name}, or its first letters are mistyped")
        length = int.from_bytes(raw[1:_HEAD], "big")
        needed = -(-length * 8 // 5)
        if len(letters) < needed:
            raise self.bad(f"the {self.name} is cut off: {len(letters)} of {needed} letters")
        if len(letters) > needed:
            more = len(letters) - needed
            plural = "s" if more > 1 else ""
            raise self.bad(f"the {self.name} has {more} letter{plural} too many")
        if base64.b32encode(raw).decode().rstrip("=") != letters:
            raise self.bad(f"the {self.name} has a typing mistake at its end")
        body, checksum = raw[: length - _CHECKSUM], raw[length - _CHECKSUM : length]
        if self._checksum(body) != checksum:
            raise self.bad(f"the {self.name} has a typing mistake")
        return body[_HEAD:]

    def bad(self, message: str) -> BadInput:
        """The error for a code of this kind that cannot be used."""
        return BadInput(message, hint=self.again)

    def _letters(self, text: str) -> str:
        """The base32 letters of a code, without the prefix, and without anything between them."""
        letters = _plain(text)
        if not letters:
            raise self.bad(f"the {self.name} is empty")
        strange = sorted(set(re.sub(r"[A-Z2-7]", "", letters)))
        if strange:
            shown = [c if c.isprintable() else f"U+{ord(c):04X}" for c in strange[:_STRANGE_SHOWN]]
            raise self.bad(f"{self.a_name} cannot contain {' '.join(shown)}")
        if not letters.startswith(self._prefix_letters):
            raise self.bad(f"this is not {self.a_name}: it does not begin with {self.prefix}")
        return letters.removeprefix(self._prefix_letters)

    def _checksum(self, body: bytes) -> bytes:
        return hashlib.sha256(f"karma-sync {self.name}".encode() + body).digest()[:_CHECKSUM]


def _plain(text: str) -> str:
    """The text without decoration, in capital letters, look-alikes replaced."""
    return "".join(c for c in text if not _is_decoration(c)).upper().translate(_LOOKALIKES)


def _is_decoration(char: str) -> bool:
    return char in _MARKS or unicodedata.category(char) in _DECORATION


def take_text(rest: bytes) -> tuple[str, bytes]:
    """A text and the bytes after it; a byte before the text has its length.

    Raises:
        IndexError: the bytes end before the text does.
        UnicodeDecodeError: the text is not UTF-8.
    """
    length = rest[0]
    if len(rest) < 1 + length:
        raise IndexError
    return rest[1 : 1 + length].decode(), rest[1 + length :]


def put_text(text: str) -> bytes:
    """A text as `take_text` reads it."""
    raw = text.encode()
    return bytes([len(raw)]) + raw
