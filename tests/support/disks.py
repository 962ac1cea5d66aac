"""Searching whole disks: every file as it lies there, unpacked and decoded."""

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def places_of(needles: Iterable[bytes], folder: Path) -> list[tuple[str, bytes]]:
    """The files below a folder that hold any needle, compressed, in base64 or plain; with it."""
    wanted = list(needles)
    return [
        (str(path), needle)
        for path in folder.rglob("*")
        if path.is_file()
        for content in _readings(_bytes(path))
        for needle in wanted
        if needle in content
    ]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""  # a daemon at work: it was there a moment ago


def _readings(raw: bytes) -> Iterator[bytes]:
    """A file as it lies there, with every zstd frame in it unpacked, and all base64 decoded."""
    yield raw
    for match in re.finditer(re.escape(ZSTD_MAGIC), raw):
        try:
            yield zstandard.ZstdDecompressor().decompressobj().decompress(raw[match.start() :])
        except zstandard.ZstdError:
            continue
    for match in re.finditer(rb"[A-Za-z0-9+/]{40,}={0,2}", raw):
        text = match[0]
        yield base64.b64decode(text[: len(text) // 4 * 4])
