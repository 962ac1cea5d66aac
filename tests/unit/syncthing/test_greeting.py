"""Greeting another Syncthing: what is told to whom, and that nobody can hold the caller up."""

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from karma_sync.domain.team.pairing_code import device_text
from karma_sync.errors import SyncthingError, SyncthingUnreachable
from karma_sync.syncthing import greeting
from karma_sync.syncthing.certificate import device_id
from karma_sync.syncthing.greeting import can_greet, greet
from karma_sync.syncthing.home import create_key

MAGIC = bytes.fromhex("2ea7d90b")
NAME = "bob.box ks1.PROOF.22000"
UNNAMED = b"\x12\x09syncthing\x28\x07"  # a client's name, and a number

FAREWELL = 24  # bytes of the TLS record that ends a connection

Answer = Callable[[ssl.SSLSocket], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Syncthing home; both sides of a test have the key in it."""
    place = tmp_path_factory.mktemp("syncthing")
    create_key(place)
    return place


def message(body: bytes) -> bytes:
    return MAGIC + len(body).to_bytes(2, "big") + body


@contextmanager
def syncthing(home: Path, answer: Answer) -> Iterator[str]:
    """Something at an address that takes one TLS connection and handles it so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / "cert.pem", home / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def heard(home: Path, first: bytes) -> tuple[bool, bytes]:
    """Whether the name was told to one that begins with these bytes, and what came there."""
    came = []

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(first)
        came.append(connection.recv(4096))

    with syncthing(home, answer) as address:
        told = greet(home, address, device_id(home), NAME)
    return told, came[0]


def test_a_stranger_tells_its_name(home: Path) -> None:
    told, came = heard(home, message(UNNAMED))

    assert told
    assert came.startswith(MAGIC)
    assert bytes([len(NAME)]) + NAME.encode() in came


def test_who_is_known_tells_nothing(home: Path) -> None:
    """Syncthing gives its own name to devices that it knows, and to no others."""
    told, came = heard(home, message(b"\x0a\x05alice" + UNNAMED))

    assert not told
    assert came == b""


def test_a_long_name_arrives_whole(home: Path) -> None:
    came = []

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(message(b""))
        came.append(connection.recv(4096))

    with syncthing(home, answer) as address:
        greet(home, address, device_id(home), "n" * 214)
    assert b"\xd6\x01" + b"n" * 214 in came[0]


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        MAGIC + b"\xff\xff",
        message(b"\x0d\x00\x00\x00\x00"),  # a kind of field that the message does not have
        message(b"\x0a\xff\xff\xff"),  # a length that does not end
        MAGIC + b"\x00\x20short",
        b"",
    ],
)
def test_what_is_no_greeting_is_told_nothing(home: Path, first: bytes) -> None:
    came = []

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(first)
        connection.shutdown(socket.SHUT_WR)
        came.append(connection.recv(4096))  # as it comes, not decrypted

    with syncthing(home, answer) as address, pytest.raises(SyncthingError):
        greet(home, address, device_id(home), NAME)
    assert len(came[0]) <= FAREWELL


def _ignoring_errors(answer: Answer, connection: ssl.SSLSocket) -> None:
    try:
        answer(connection)
    except OSError:
        return  # the other side hung up, as it should


def test_a_device_with_another_key_is_told_nothing(home: Path) -> None:
    came = []

    def answer(connection: ssl.SSLSocket) -> None:
        connection.sendall(message(UNNAMED))
        came.append(connection.recv(4096))

    other = device_text(hashlib.sha256(b"another certificate").digest())
    unlike = pytest.raises(SyncthingUnreachable, match="another device")
    with syncthing(home, lambda c: _ignoring_errors(answer, c)) as address, unlike:
        greet(home, address, other, NAME)
    assert b"".join(came) == b""


def test_one_that_sends_a_byte_at_a_time_is_left(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time is for all of it, and not for each byte."""
    monkeypatch.setattr(greeting, "_WITHIN_S", 0.3)
    left = threading.Event()

    def answer(connection: ssl.SSLSocket) -> None:
        for byte in message(b"\x12\xff\x01" + bytes(255)):
            if left.wait(0.1):
                return
            connection.sendall(bytes([byte]))

    with syncthing(home, lambda c: _ignoring_errors(answer, c)) as address:
        with pytest.raises(SyncthingUnreachable):
            greet(home, address, device_id(home), NAME)
        left.set()


def test_where_nobody_listens_is_unreachable(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"tcp://127.0.0.1:{gone.getsockname()[1]}"

    with pytest.raises(SyncthingUnreachable):
        greet(home, address, device_id(home), NAME)


@pytest.mark.parametrize(
    ("address", "can"),
    [
        ("tcp://127.0.0.1:22000", True),
        ("tcp://[::1]:22000", True),
        ("tcp://desk.example:22000", True),
        ("dynamic", False),
        ("quic://127.0.0.1:22000", False),
        ("tcp://127.0.0.1:70000", False),
    ],
)
def test_only_an_address_of_tcp_can_be_greeted(home: Path, address: str, can: bool) -> None:
    assert can_greet(address) is can
    if not can:
        with pytest.raises(SyncthingUnreachable):
            greet(home, address, device_id(home), NAME)
