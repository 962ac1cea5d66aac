"""Tells another machine's Syncthing our name, with the first message of its protocol and no more.

A newcomer knocks with it. If its Syncthing dialled, the leader's would refuse the connection, and
1.29 would notice that a second later only (docs/syncthing.md, "Connections").
"""

import hashlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from karma_sync.domain.team.pairing_code import device_text, is_address
from karma_sync.errors import SyncthingError, SyncthingUnreachable

# docs/syncthing.md, "Greeting"
_MAGIC = bytes.fromhex("2ea7d90b")
_PROTOCOL = "bep/1.0"
_NAME, _CLIENT = 1, 2  # the fields of the message
_HEAD = len(_MAGIC) + 2
_MOST_BYTES = 4096  # of the other's message; a device's name is the longest part of it
_WITHIN_S = 3.0  # to connect, to greet, and until the other hangs up; a name is looked up before
_ADDRESS = re.compile(r"tcp://\[?([^\]]+)\]?:([0-9]+)")


def can_greet(address: str) -> bool:
    """Whether a device at this address can be greeted: by TCP, and not by discovery."""
    return is_address(address) and _ADDRESS.fullmatch(address) is not None


def greet(home: Path, address: str, device: str, name: str) -> bool:
    """Tell the Syncthing of `device` at `address` that the device of the home `home` has this name.

    Afterwards it lists us among the devices that ask to connect. Returns False, and sends no name,
    if it knows us already: then a connection of our Syncthing's will do, and one of ours would
    stand in its way.

    Raises:
        SyncthingUnreachable: nobody answers there, or another device.
        SyncthingError: what answers does not speak Syncthing's protocol.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not is_address(address):
        raise SyncthingUnreachable(f"{address} is no address that can be dialled")
    try:
        with (
            socket.create_connection((found[1], int(found[2])), _WITHIN_S) as plain,
            _context(home).wrap_socket(plain) as secure,
        ):
            connection = _Connection(secure, time.monotonic() + _WITHIN_S)
            certificate = secure.getpeercert(binary_form=True) or b""
            if device_text(hashlib.sha256(certificate).digest()) != device:
                raise SyncthingUnreachable(f"another device than {device} answers at {address}")
            # it sends its own name to devices that it knows, and to no others
            if _NAME in dict(_fields(_read_message(connection))):
                return False
            secure.sendall(_message({_NAME: name, _CLIENT: "karma-sync"}))
            connection.wait_until_closed()
    except OSError as error:  # ssl.SSLError is one
        raise SyncthingUnreachable(f"{address} cannot be greeted: {error}") from error
    return True


def _context(home: Path) -> ssl.SSLContext:
    """The TLS context for connections like our Syncthing's; devices compare certificate hashes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([_PROTOCOL])
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    return context


def _message(fields: dict[int, str]) -> bytes:
    body = b"".join(_text_field(number, text.encode()) for number, text in fields.items())
    return _MAGIC + len(body).to_bytes(2, "big") + body


def _text_field(number: int, text: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


class _Connection:
    """Reads what the other sends, however slowly that comes, until a moment (monotonic seconds)."""

    def __init__(self, secure: ssl.SSLSocket, until: float) -> None:
        self._secure = secure
        self._until = until

    def read(self, size: int) -> bytes:
        """Exactly this many bytes."""
        found = b""
        while len(found) < size:
            more = self._some(size - len(found))
            if not more:
                raise SyncthingUnreachable("the other device ended the connection")
            found += more
        return found

    def wait_until_closed(self) -> None:
        """Wait until the other hangs up, as it does on a device that it does not know."""
        with suppress(OSError):  # without a farewell, or not in time: the message was sent
            while self._some(_MOST_BYTES):
                pass

    def _some(self, most: int) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        self._secure.settimeout(left)
        return self._secure.recv(most)


def _read_message(connection: _Connection) -> bytes:
    head = connection.read(_HEAD)
    size = int.from_bytes(head[len(_MAGIC) :], "big")
    if not head.startswith(_MAGIC) or size > _MOST_BYTES:
        raise SyncthingError("the greeting that came is not Syncthing's")
    return connection.read(size)


def _fields(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message in Protocol Buffers that have a text, by number; others are skipped.

    Raises:
        SyncthingError: it is no such message.
    """
    at = 0
    while at < len(body):
        key, at = _read_varint(body, at)
        size, at = _read_varint(body, at)  # of a number, the number itself
        if key & 7 == 2:
            yield key >> 3, body[at : at + size]
            at += size
        elif key & 7:
            raise SyncthingError("the greeting that came is not Syncthing's")


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(body):
        byte = body[at]
        number |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return number, at
    raise SyncthingError("the greeting that came is not Syncthing's")
