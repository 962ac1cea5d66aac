"""The layout of a channel's folder: its names, and frames; only valid frames are decompressed."""

import hashlib
import re
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.channel.layout import (
    CHUNK_NAME,
    ITEM_NAME,
    chunk_name,
    compress,
    decompress,
    item_name,
)
from karma_sync.errors import Unverified
from tests.support.builders import bomb, examples

CONTENT = b"".join(b"line %d\n" % n for n in range(5_000))


@examples()
@given(st.binary(max_size=2_000) | st.integers(0, 300_000).map(bytes))
def test_decompressing_gives_back_what_was_compressed(content: bytes) -> None:
    assert decompress(compress(content), len(content)) == content


def test_random_bytes_survive_compression() -> None:
    noise = b"".join(hash_of(n) for n in range(20_000))

    assert len(compress(noise)) > len(noise)
    assert decompress(compress(noise), len(noise)) == noise


def hash_of(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "a bomb that says so": lambda content: bomb(100_000_000),
    "a bomb that lies": lambda content: bomb(len(content)),
    "no content size": lambda c: zstandard.ZstdCompressor(write_content_size=False).compress(c),
    "something behind it": lambda content: compress(content) + b"x",
    "a frame behind it": lambda content: compress(content) + compress(b"more"),
    "a skippable frame behind it": lambda c: compress(c) + b"\x50\x2a\x4d\x18\x01\x00\x00\x00x",
    "a skippable frame before it": lambda c: b"\x50\x2a\x4d\x18\x01\x00\x00\x00x" + compress(c),
    "much behind it": lambda content: compress(content) + bytes(100_000),
    "cut off": lambda content: compress(content)[:-1],
    "one byte more": lambda content: compress(content + b"x"),
    "one byte less": lambda content: compress(content[:-1]),
    "nothing": lambda content: b"",
    "no zstd": lambda content: content,
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_only_one_whole_frame_of_exactly_the_stated_size_is_decompressed(
    make: Callable[[bytes], bytes],
) -> None:
    with pytest.raises(Unverified) as refused:
        decompress(make(CONTENT), len(CONTENT))

    assert refused.value.code in {"2-size", "2-frame"}


@pytest.mark.parametrize("stated", [100_000_000, len(CONTENT)])
def test_a_bomb_takes_no_more_memory_than_was_stated(stated: int) -> None:
    frame = bomb(stated)
    tracemalloc.start()
    try:
        with pytest.raises(Unverified):
            decompress(frame, len(CONTENT))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


@pytest.mark.parametrize("frame", [compress(b"x"), b"x", zstandard.compress(b"")])
def test_empty_content_has_an_empty_frame(frame: bytes) -> None:
    assert compress(b"") == b""
    with pytest.raises(Unverified):
        decompress(frame, 0)


def test_a_name_is_read_back_as_it_was_built() -> None:
    item, sha = "0123456789abcdef" * 2, "fedcba9876543210" * 4

    found = ITEM_NAME.fullmatch(item_name(item).removeprefix("items/"))
    assert found is not None
    assert found[1] == item
    found = CHUNK_NAME.fullmatch(chunk_name(sha))
    assert found is not None
    assert found[2] == sha


@pytest.mark.parametrize(
    "name",
    [
        "chunks/ab/" + "cd" * 32 + ".zst",  # in a directory that is not its own
        "chunks/ab/../" + "ab" * 32 + ".zst",
        "chunks/ab/" + "ab" * 31 + ".zst",
        "chunks/AB/" + "AB" * 32 + ".zst",
        "chunks/ab/" + "ab" * 32 + ".zst.tmp",
        "chunks/ab/" + "ab" * 32 + ".zst\n",
        "items/" + "ab" * 16 + ".ks",
    ],
)
def test_a_name_that_only_resembles_a_chunk_is_none(name: str) -> None:
    assert not re.fullmatch(CHUNK_NAME, name)
