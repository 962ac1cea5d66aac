"""Encodes and decodes invitation codes, with which one paste joins a team.

Such a code is a bearer secret: whoever has it first may join. It survives chats, mails and
terminals (`code_text.py`).

Its fields: role (1 byte), team ID (17: its 130 bits as a number), device ID of the leader (32),
public key of the leader (32), secret (16), expiry (5: Unix seconds), number of addresses (1), each
address (1 + n). All numbers are big-endian.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from karma_sync.domain.ids import fingerprint
from karma_sync.domain.team.code_text import CodeKind
from karma_sync.domain.team.pairing_code import (
    are_addresses,
    device_bytes,
    device_text,
    put_addresses,
    take_addresses,
)

INVITING = CodeKind(
    "invitation code",
    again="copy it whole, or ask for a new one: karma-sync invite",
    prefix="KSI1",
)
SECRET_BYTES = 16
_TEAM_BYTES, _TEAM_LETTERS = 17, 26
_TEAM_BITS = 130
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_TIME_BYTES = 5
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class Role(StrEnum):
    """The role of whoever joins with a code; the leader's own record of the code decides."""

    MEMBER = "member"
    GUEST = "guest"
    MACHINE = "machine"  # another one of the person who made the code


_ROLES = (Role.MEMBER, Role.GUEST, Role.MACHINE)  # a code has the number of the place


@dataclass(frozen=True)
class InviteCode:
    """The content of an invitation code; `device` in Syncthing's form, `key` in hex.

    `device`, `key` and `addresses` are the leader's who made it. `expires` is in UTC, in whole
    seconds.
    """

    team: str
    device: str
    key: str
    secret: bytes = field(repr=False)
    expires: datetime
    addresses: tuple[str, ...] = ()
    role: Role = Role.MEMBER

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the leader's key."""
        return fingerprint(self.key)

    def encode(self) -> str:
        """The code as text: the prefix, then capital letters and digits in blocks with dashes."""
        return INVITING.write(
            bytes((_ROLES.index(self.role),))
            + _team_number(self.team).to_bytes(_TEAM_BYTES, "big")
            + device_bytes(self.device)
            + bytes.fromhex(self.key)
            + self.secret
            + int(self.expires.timestamp()).to_bytes(_TIME_BYTES, "big")
            + put_addresses(self.addresses)
        )


def is_invite_code(text: str) -> bool:
    """Whether a text looks like an invitation code, mistyped or not."""
    return INVITING.is_meant(text)


def decode_invite(text: str) -> InviteCode:
    """Read an invitation code; its case, dashes, spaces, line breaks and quotes do not matter.

    Raises:
        BadInput: the code is cut off, has extra letters or a typing mistake, or the text is not an
            invitation code; the message states which.
    """
    body = INVITING.read(text)
    parts = []
    for size in (1, _TEAM_BYTES, 32, 32, SECRET_BYTES, _TIME_BYTES):
        part, body = body[:size], body[size:]
        parts.append(part)
    role, team, device, key, secret, expiry = parts
    number, seconds = int.from_bytes(team, "big"), int.from_bytes(expiry, "big")
    is_known = int.from_bytes(role, "big") < len(_ROLES)
    try:
        addresses, rest = take_addresses(body)
    except (IndexError, UnicodeDecodeError):
        raise INVITING.bad("the invitation code is damaged inside") from None
    in_range = is_known and not number >> _TEAM_BITS and seconds <= _LATEST
    if rest or not in_range or not are_addresses(addresses):
        raise INVITING.bad("the invitation code was made by a different program")
    return InviteCode(
        team=_team_letters(number),
        device=device_text(device),
        key=key.hex(),
        secret=secret,
        expires=datetime.fromtimestamp(seconds, UTC),
        addresses=addresses,
        role=_ROLES[role[0]],
    )


def _team_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * len(_ALPHABET) + _ALPHABET.index(letter)
    return number


def _team_letters(number: int) -> str:
    letters = ""
    for _ in range(_TEAM_LETTERS):
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return letters
