"""Defines names, allow-list and compression of a channel's folder, for its writer and its readers.

The format is described in docs/format.md.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import zstandard

from karma_sync.domain import limits
from karma_sync.domain.session.manifest import FORMAT
from karma_sync.errors import Unverified

FORMAT_FILE = "format.json"
FORMAT_BYTES = b'{"format": %d}\n' % FORMAT
ITEMS = "items"
CHUNKS = "chunks"
RETRACTED = "retracted"
ITEM_NAME = re.compile(r"([0-9a-f]{32})\.ks")
RETRACTION_NAME = re.compile(rf"{RETRACTED}/([0-9a-f]{{32}})\.json")
# the file name of a chunk, or of the temporary file of one (see `remove_unfinished`)
CHUNK_FILE = re.compile(r"(\.syncthing\.)?([0-9a-f]{64})\.zst(?(1)\.tmp)")
CHUNK_NAME = re.compile(r"chunks/([0-9a-f]{2})/(\1[0-9a-f]{62})\.zst")

# Allows our own names, then ignores all others: Syncthing neither pulls foreign files nor passes
# them on.
IGNORES = f"""!/{FORMAT_FILE}
!/{ITEMS}/*.ks
/{ITEMS}/**
!/{ITEMS}
!/{CHUNKS}/??/*.zst
/{CHUNKS}/??/**
!/{CHUNKS}/??
/{CHUNKS}/**
!/{CHUNKS}
!/{RETRACTED}/*.json
/{RETRACTED}/**
!/{RETRACTED}
*
"""
# Level 3: 6.0 times smaller at 536 MB/s on real transcripts (docs/agent-files.md, "Compression")
_LEVEL = 3


def item_name(item: str) -> str:
    """The name of an item's file inside the folder."""
    return f"{ITEMS}/{item}.ks"


def retraction_name(item: str) -> str:
    """The name of an item's retraction inside the folder."""
    return f"{RETRACTED}/{item}.json"


def remove_unfinished(folder: Path, names: Iterable[str]) -> None:
    """Delete the temporary files of `names`, which were deleted before Syncthing had all of them.

    Syncthing itself keeps such a temporary file, `.syncthing.NAME.tmp`, for a day.
    """
    for name in names:
        place = folder / name
        place.with_name(f".syncthing.{place.name}.tmp").unlink(missing_ok=True)


def chunk_name(sha256: str) -> str:
    """The name of a chunk's file inside the folder."""
    return f"{CHUNKS}/{sha256[:2]}/{sha256}.zst"


def is_ours(name: str) -> bool:
    """Whether a name inside the folder is the name of an item, a retraction or a chunk."""
    item = ITEM_NAME.fullmatch(name.removeprefix(f"{ITEMS}/"))
    if item and name.startswith(f"{ITEMS}/"):
        return True
    return any(pattern.fullmatch(name) for pattern in (CHUNK_NAME, RETRACTION_NAME))


def compress(content: bytes) -> bytes:
    """Compress into one zstd frame that states its content size; empty content stays empty."""
    if not content:
        return b""
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(content)


def decompress(frame: bytes, size: int) -> bytes:
    """The content of exactly one zstd frame that states `size` bytes, with nothing after it.

    Raises:
        Unverified: the frame is anything else; at most `size` bytes were unpacked.
    """
    if size == 0 and not frame:
        return b""
    if len(frame) > size + size // 128 + limits.FRAME_OVERHEAD_BYTES:
        raise Unverified("2-size", f"a frame of {len(frame)} bytes is too long for {size} bytes")
    try:
        if size == 0 or zstandard.frame_content_size(frame) != size:
            raise Unverified("2-size", f"a frame does not state the {size} bytes it should hold")
        # one call into a buffer of exactly this size, so a false frame cannot fill the memory
        content = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Unverified(
            "2-frame", f"a frame is damaged, or other bytes follow it: {error}"
        ) from None
    if len(content) != size:
        raise Unverified("2-size", f"a frame holds {len(content)} bytes instead of {size}")
    return content


def kept_item(root: Path, folder: str, item: str, revision: int) -> Path:
    """The path at which the library at `root` keeps one revision of an item's file."""
    return root / ITEMS / folder / f"{item}.{revision}.ks"
