"""Verification of what a peer sent, step by step; nothing else makes a `Verified[Manifest]`.

1  name and path are allowed: no `..`, no links, known shapes (the importer opens without links)
2  sizes are within limits, also after decompression
3  the envelope is signed, as a manifest
4  the signer is the roster's member who owns this channel
5  team and project are the channel's, and the item's name is its own
6  the revision is newer than the last accepted one
7  every chunk has the hash and the length the manifest states, taken from this channel only

An error's code begins with the number of the step that failed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from karma_sync.channel.layout import decompress
from karma_sync.domain import limits
from karma_sync.domain.ids import item_id
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import (
    FILE_NAME,
    ItemFile,
    Manifest,
    Retraction,
    Verified,
    split_item,
)
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, open_envelope, parse


@dataclass(frozen=True)
class VerifiedItem:
    """A manifest that passed steps 1 to 6, with the ends of its files (by path), step 7 done."""

    manifest: Verified[Manifest]
    tails: dict[str, bytes]


def verify_item(raw: bytes, item: str, channel: Channel, last_revision: int) -> VerifiedItem:
    """Check an item file against the channel it lies in; `item` is the id its name states.

    Raises:
        Unverified: with the number of the step that failed.
    """
    if len(raw) > limits.ITEM_BYTES:  # 2
        raise Unverified("2-size", f"the item file is larger than {limits.ITEM_BYTES} bytes")
    envelope, frame = split_item(raw)
    if len(envelope) > limits.MANIFEST_BYTES:
        raise Unverified("2-size", f"the manifest is larger than {limits.MANIFEST_BYTES} bytes")
    # 3 and 4: the key is the one that owns this channel, from the roster
    payload = open_envelope(envelope, channel.owner.key, PayloadType.MANIFEST)
    manifest = parse(payload, Manifest)
    _check_place(manifest, item, channel)  # 4 and 5
    if manifest.revision <= last_revision:  # 6
        raise Unverified("6-newer", f"revision {manifest.revision} must be above {last_revision}")
    _check_files(manifest)  # 1 and 2
    inline = decompress(frame, manifest.inline_size)
    return VerifiedItem(Verified(manifest), dict(_tails(manifest, inline)))


def verify_retraction(
    raw: bytes, item: str, channel: Channel, last_revision: int
) -> Verified[Retraction]:
    """Check a retraction against the channel it lies in; `item` is the id its name states.

    The steps are an item's, as far as there is something to check.

    Raises:
        Unverified: with the number of the step that failed.
    """
    if len(raw) > limits.RETRACTION_BYTES:  # 2
        raise Unverified("2-size", f"a retraction is larger than {limits.RETRACTION_BYTES} bytes")
    payload = open_envelope(raw, channel.owner.key, PayloadType.RETRACTION)  # 3 and 4
    retraction = parse(payload, Retraction)
    _check_context(retraction, channel)  # 4 and 5
    if retraction.item != item:
        raise Unverified("5-name", "the retraction is not of the item its file name states")
    if retraction.revision <= last_revision:  # 6
        raise Unverified("6-newer", f"revision {retraction.revision} must be above {last_revision}")
    return Verified(retraction)


def verify_chunk(frame: bytes, sha256: str, size: int) -> None:
    """Step 7 for one chunk: its frame holds exactly the bytes its name and manifest promise.

    Raises:
        Unverified: it does not.
    """
    if hashlib.sha256(decompress(frame, size)).hexdigest() != sha256:
        raise Unverified("7-hash", f"chunk {sha256[:12]} holds other bytes than it should")


def root_of(hashes: list[str]) -> str:
    """The hash over the hashes of a file's pieces, in order."""
    return hashlib.sha256(b"".join(bytes.fromhex(h) for h in hashes)).hexdigest()


def _check_context(signed: Manifest | Retraction, channel: Channel) -> None:
    owner = channel.owner
    if signed.member != owner.tag:
        raise Unverified("4-signer", f"{owner.tag} signed in the name of {signed.member}")
    if (signed.team, signed.project) != (channel.team.id, channel.project):
        raise Unverified("5-place", "it is signed for another team or project")


def _check_place(manifest: Manifest, item: str, channel: Channel) -> None:
    _check_context(manifest, channel)
    place = (manifest.team, manifest.project, channel.owner.key)
    session = manifest.session
    own = item_id(place, session.agent, session.session_id)
    if manifest.item != item or own != item:
        raise Unverified("5-name", "the item is not the one its file name states")


def _check_files(manifest: Manifest) -> None:
    if manifest.inline_size > limits.INLINE_BYTES:
        raise Unverified("2-size", f"the inline part is larger than {limits.INLINE_BYTES} bytes")
    paths = [f.path for f in manifest.files]
    if len(set(paths)) != len(paths):
        raise Unverified("1-path", "the manifest names a file twice")
    sizes: dict[str, int] = {}
    for file in manifest.files:
        _check_file(file)
        for sha, size in file.chunks:
            if sizes.setdefault(sha, size) != size:
                raise Unverified("7-length", f"chunk {sha[:12]} is stated with two lengths")


def _check_file(file: ItemFile) -> None:
    if not FILE_NAME.fullmatch(file.path):  # no name in it begins with a dot: no `..` either
        raise Unverified("1-path", "a file of the item has a name that is not allowed")
    if any(not 0 < size <= limits.CHUNK_BYTES for _, size in file.chunks):
        raise Unverified("2-size", f"a chunk of {file.path} is larger than it may be")
    if file.size != sum(size for _, size in file.chunks) + file.tail.size:
        raise Unverified("7-length", f"the pieces of {file.path} do not add up to its size")
    if file.root != root_of([*(sha for sha, _ in file.chunks), file.tail.sha256]):
        raise Unverified("7-root", f"the root of {file.path} is not that of its pieces")


def _tails(manifest: Manifest, inline: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    for file in manifest.files:
        tail = inline[at : at + file.tail.size]
        at += file.tail.size
        if hashlib.sha256(tail).hexdigest() != file.tail.sha256:
            raise Unverified("7-hash", f"the end of {file.path} holds other bytes than it should")
        yield file.path, tail
