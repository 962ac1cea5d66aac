"""Verifies the files of a peer, step by step; nothing else makes a `Verified[Manifest]`.

1  name and path are allowed: no `..`, no links, known shapes (the importer follows no links)
2  sizes are within limits, also after decompression
3  the envelope is signed, with the payload type of a manifest
4  the signer is the member of the roster who owns this channel
5  team and project are those of the channel, and the file name states the item's own id
6  the revision is newer than the last accepted one
7  every chunk has the hash and length that the manifest states; it comes from this channel only
8  each observation is well-formed and within limits, of this channel's project, written by the
   channel's owner, and of no scope but `project`; one that is not is left out, the others count

An item of a kind that this version does not know passes steps 2 to 6 and is set aside. The code of
an error begins with the number of the step that failed.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from karma_sync.agents.growing_file import LineTooLong, whole_lines
from karma_sync.channel.layout import decompress
from karma_sync.domain import limits
from karma_sync.domain.ids import item_id
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import (
    FILE_NAME,
    ItemFile,
    Manifest,
    ManifestPlace,
    Retraction,
    SetAside,
    split_item,
)
from karma_sync.domain.session.observation import (
    OBSERVATIONS,
    PROJECT_SCOPE,
    Observation,
    decoded,
    lines_of,
)
from karma_sync.domain.session.profile import ItemKind
from karma_sync.domain.value import Verified
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, open_envelope, parse, strict_json


@dataclass(frozen=True)
class VerifiedItem:
    """A manifest that passed steps 1 to 6; the ends of its files, by path, passed step 7."""

    manifest: Verified[Manifest]
    tails: dict[str, bytes]


def verify_item(raw: bytes, item: str, channel: Channel, last_revision: int) -> VerifiedItem:
    """Check an item file against the channel in which it lies; its file name states the id `item`.

    Raises:
        Unverified: a step failed; the code begins with its number.
        SetAside: the item is of a kind that this version does not know.
    """
    if len(raw) > limits.ITEM_BYTES:  # 2
        raise Unverified("2-size", f"the item file is larger than {limits.ITEM_BYTES} bytes")
    envelope, frame = split_item(raw)
    if len(envelope) > limits.MANIFEST_BYTES:
        raise Unverified("2-size", f"the manifest is larger than {limits.MANIFEST_BYTES} bytes")
    # 3 and 4: the key is the channel owner's, as the roster states it
    payload = open_envelope(envelope, channel.owner.key, PayloadType.MANIFEST)
    place = parse(payload, ManifestPlace)
    _check_context(place, channel)  # 4 and 5
    if place.kind not in set(ItemKind):
        _set_aside(place, item, last_revision, payload)
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
    """Check a retraction against the channel in which it lies; its file name states the id `item`.

    The steps are those of an item; a retraction has no files, so steps 1 and 7 do not apply.

    Raises:
        Unverified: a step failed; the code begins with its number.
    """
    if len(raw) > limits.RETRACTION_BYTES:  # 2
        raise Unverified("2-size", f"a retraction is larger than {limits.RETRACTION_BYTES} bytes")
    payload = open_envelope(raw, channel.owner.key, PayloadType.RETRACTION)  # 3 and 4
    retraction = parse(payload, Retraction)
    _check_context(retraction, channel)  # 4 and 5
    if retraction.item != item:
        raise Unverified("5-name", "the retraction is for another item than its file name states")
    if retraction.revision <= last_revision:  # 6
        raise Unverified("6-newer", f"revision {retraction.revision} must be above {last_revision}")
    return Verified(retraction)


def verify_chunk(frame: bytes, sha256: str, size: int) -> None:
    """Step 7 for one chunk: its frame holds exactly the bytes that its name and manifest state.

    Raises:
        Unverified: the chunk holds other bytes.
    """
    if hashlib.sha256(decompress(frame, size)).hexdigest() != sha256:
        raise Unverified("7-hash", f"chunk {sha256[:12]} holds other bytes than it should")


@dataclass(frozen=True)
class VerifiedObservations:
    """The observations of an item that passed step 8, and how many did not, by reason code."""

    found: Verified[tuple[Observation, ...]]
    refused: dict[str, int]


def verify_observations(pieces: Iterable[bytes], channel: Channel) -> VerifiedObservations:
    """Step 8: check each record of an observations item; `pieces` are its file, cut anywhere.

    Of two records with one id, the one with the higher version counts.

    Raises:
        Unverified: the file has a line that is too long, or more records than an item may have.
        FileNotFoundError: a piece vanished.
    """
    found: dict[str, Observation] = {}
    refused: dict[str, int] = {}
    for block in _blocks(pieces):
        for line in lines_of(block):
            checked = _checked_observation(line, channel)
            if isinstance(checked, Observation) and checked.id in found:
                if found[checked.id].version < checked.version:
                    found[checked.id] = checked
                checked = "8-repeated"
            if isinstance(checked, str):
                refused[checked] = refused.get(checked, 0) + 1
            else:
                found[checked.id] = checked
        if len(found) > limits.OBSERVATIONS_PER_ITEM:
            raise Unverified("8-count", f"more than {limits.OBSERVATIONS_PER_ITEM} observations")
    return VerifiedObservations(Verified(tuple(found.values())), refused)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from whole_lines(pieces)
    except LineTooLong as error:
        raise Unverified("8-size", str(error)) from None


def _checked_observation(line: bytes, channel: Channel) -> Observation | str:
    """The record on a line if it passes step 8; else the code of the reason."""
    if len(line) > limits.OBSERVATION_LINE_BYTES:
        return "8-size"
    try:
        record = decoded(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "8-form"
    if record.scope != PROJECT_SCOPE:
        return "8-scope"
    if record.author != channel.owner.tag:
        return "8-author"
    if record.project not in ("", channel.project):
        return "8-project"
    if len(record.content.encode(errors="replace")) > limits.OBSERVATION_BYTES:
        return "8-size"
    if record.deleted and (record.title or record.content):
        return "8-form"
    return record


def root_of(hashes: list[str]) -> str:
    """The SHA-256 over the hashes of a file's chunks and its end, in order, as hex."""
    return hashlib.sha256(b"".join(bytes.fromhex(h) for h in hashes)).hexdigest()


def _set_aside(place: ManifestPlace, item: str, last_revision: int, payload: bytes) -> None:
    """Raises SetAside, or Unverified if a step that all kinds share fails."""
    if place.item != item:
        raise Unverified("5-name", "the item is another one than its file name states")
    if place.revision <= last_revision:  # 6
        raise Unverified("6-newer", f"revision {place.revision} must be above {last_revision}")
    raise SetAside(place.kind, place.revision, _chunks_named(payload))


def _chunks_named(payload: bytes) -> frozenset[str]:
    """The hashes of the chunks that a manifest of an unknown kind names, if it names any so."""
    fields: Any = strict_json(payload)
    try:
        chunks = [chunk for file in fields["files"] for chunk in file["chunks"]]
        return frozenset(sha for sha, _ in chunks if isinstance(sha, str))
    except (KeyError, TypeError, ValueError):
        return frozenset()


def _check_context(signed: ManifestPlace | Manifest | Retraction, channel: Channel) -> None:
    owner = channel.owner
    if signed.member != owner.tag:
        raise Unverified("4-signer", f"{owner.tag} signed in the name of {signed.member}")
    if (signed.team, signed.project) != (channel.team.id, channel.project):
        raise Unverified("5-place", "the document is signed for another team or project")


def _check_place(manifest: Manifest, item: str, channel: Channel) -> None:
    _check_context(manifest, channel)
    place = (manifest.team, manifest.project, channel.owner.key)
    session = manifest.session
    own = item_id(place, session.agent, session.session_id)
    if manifest.item != item or own != item:
        raise Unverified("5-name", "the item is another one than its file name states")


def _check_files(manifest: Manifest) -> None:
    if manifest.inline_size > limits.INLINE_BYTES:
        raise Unverified("2-size", f"the inline part is larger than {limits.INLINE_BYTES} bytes")
    paths = [f.path for f in manifest.files]
    if len(set(paths)) != len(paths):
        raise Unverified("1-path", "the manifest names a file twice")
    is_session = manifest.kind is ItemKind.SESSION
    if OBSERVATIONS in paths if is_session else paths != [OBSERVATIONS]:
        raise Unverified("1-path", "the files of the item are not those of its kind")
    sizes: dict[str, int] = {}
    for file in manifest.files:
        _check_file(file)
        for sha, size in file.chunks:
            if sizes.setdefault(sha, size) != size:
                raise Unverified(
                    "7-length", f"the manifest states two lengths for chunk {sha[:12]}"
                )


def _check_file(file: ItemFile) -> None:
    if not FILE_NAME.fullmatch(file.path):  # no part may begin with a dot, which excludes `..`
        raise Unverified("1-path", "a file of the item has a name that is not allowed")
    if any(not 0 < size <= limits.CHUNK_BYTES for _, size in file.chunks):
        raise Unverified(
            "2-size", f"a chunk of {file.path} is empty or larger than {limits.CHUNK_BYTES} bytes"
        )
    if file.size != sum(size for _, size in file.chunks) + file.tail.size:
        raise Unverified("7-length", f"the pieces of {file.path} do not add up to its size")
    if file.root != root_of([*(sha for sha, _ in file.chunks), file.tail.sha256]):
        raise Unverified("7-root", f"the root of {file.path} is not the hash over its pieces")


def _tails(manifest: Manifest, inline: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    for file in manifest.files:
        tail = inline[at : at + file.tail.size]
        at += file.tail.size
        if hashlib.sha256(tail).hexdigest() != file.tail.sha256:
            raise Unverified("7-hash", f"the end of {file.path} holds other bytes than it should")
        yield file.path, tail
