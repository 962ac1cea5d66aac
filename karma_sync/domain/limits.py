"""The upper limits of what karma-sync accepts from peers and sends itself; names carry units.

Also tells before JSON is parsed whether it has too many values: a few megabytes may need hundreds.
"""

import re

# The largest version, revision or size: every JSON parser and SQLite hold it exactly.
NUMBER = 2**53 - 1
MANIFEST_BYTES = 4_000_000
DOCUMENT_BYTES = 256_000
RETRACTION_BYTES = 8_000
ADDRESSES = 4
ADDRESS_CHARS = 120
MEMBERS = 200
PROJECTS = 500
# Of one team: removed keys, members who may take over, and changes of leadership.
REMOVED = 400
SUCCESSORS = 8
TERMS = 50
NOTICE_CHARS = 2_000  # of the signed notice to a removed member
PROPOSALS = 20
# Items that one member's document names as taken back, of all of its answers.
RETRACTED = 1_000
MACHINES = 20  # other machines of one person, that a member names
ALIASES = 8
IDENTITY_CHARS = 300
CONTACTS = 20
# Of the devices that ask to connect, Syncthing keeps no more than these in its list.
PENDING_DEVICES = 200
# One file in the door of an invitation code, and all files in one door.
DOOR_PAPER_BYTES = 32_000
DOOR_BYTES = 64_000
DOOR_FILES = 8

# A full chunk holds exactly this much redacted content. Only a sealed end is shorter; ends are
# sealed to keep the inline part small (docs/adr/0014-chunk-size.md).
CHUNK_BYTES = 256 * 1024
# A pass that fills chunks also seals an end longer than this. An unsealed end travels inline, and
# every line that is appended later would send it again.
END_BYTES = 32 * 1024
# All ends and small files of one item together, uncompressed.
INLINE_BYTES = 512 * 1024
# Incompressible content grows by the headers of its zstd frame only (RFC 8878, section 3.1).
FRAME_OVERHEAD_BYTES = 1024
ITEM_BYTES = MANIFEST_BYTES + INLINE_BYTES + FRAME_OVERHEAD_BYTES
FILES_PER_ITEM = 10_000
TEXT_FILE_BYTES = 64_000_000
# One record of a transcript. The longest real records, which hold images, have some megabytes.
LINE_BYTES = 32_000_000
TITLE_CHARS = 200
# The text of one observation, in bytes and in characters; a larger one stays where it was made.
OBSERVATION_BYTES = 1_000_000
# One record of an observations item: a character may take six bytes as JSON.
OBSERVATION_LINE_BYTES = 6 * OBSERVATION_BYTES + 10_000
OBSERVATIONS_PER_ITEM = 1_000_000
# About this much of a session is packaged under one revision; a larger session is sent in steps
# (docs/adr/0017-large-sessions-leave-in-steps.md).
STEP_BYTES = 250_000_000

# A Syncthing folder above these limits is paused: a channel (one member's, for one project), and
# a folder of documents: a team's, or that of the notice to a removed member.
CHANNEL_BYTES = 20_000_000_000
METADATA_BYTES = 8_000_000
RECEIPTS_BYTES = 6_000_000  # of all members, within METADATA_BYTES
METADATA_FILES = 1_000

# With less free space than this share of a disk, Syncthing pulls nothing (`minDiskFree`, which
# `syncthing/folder_defaults.py` sets), and nothing is archived.
LEAST_FREE = 0.01

_STRING = rb'(?s)"(?:[^"\\]|\\.)*+"?'  # compiled when it is needed: every command loads this module


def has_too_many_values(json: bytes, most: int) -> bool:
    """Whether JSON holds more than about `most` values; each takes up to 100 bytes of memory."""
    if len(json) <= most or _signs(json) <= most:
        return False
    return _signs(re.sub(_STRING, b"", json)) > most


def _signs(json: bytes) -> int:
    """The number of commas and brackets; no value comes without one."""
    return sum(json.count(sign) for sign in (b",", b"[", b"{"))
