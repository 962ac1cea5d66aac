"""The sizes nothing from a peer may pass, in one table; units are in the names."""

# Versions, revisions and sizes: what JSON readers everywhere and SQLite hold exactly.
NUMBER = 2**53 - 1
MANIFEST_BYTES = 4_000_000
DOCUMENT_BYTES = 256_000
RETRACTION_BYTES = 8_000
ADDRESSES = 4
ADDRESS_CHARS = 120
MEMBERS = 200
PROJECTS = 500
ALIASES = 8
IDENTITY_CHARS = 300
CONTACTS = 20

# Full chunks hold exactly this much redacted content; only an end that was sealed is shorter, to
# keep the inline part small (docs/adr/0014-chunk-size.md).
CHUNK_BYTES = 256 * 1024
# A pass that fills chunks seals a longer end too: every line appended later would send it again.
END_BYTES = 32 * 1024
# All ends and small files of one item together, uncompressed.
INLINE_BYTES = 512 * 1024
# A frame that does not shrink grows by its headers only; see RFC 8878 section 3.1.
FRAME_OVERHEAD_BYTES = 1024
ITEM_BYTES = MANIFEST_BYTES + INLINE_BYTES + FRAME_OVERHEAD_BYTES
FILES_PER_ITEM = 10_000
TEXT_FILE_BYTES = 64_000_000
# One record of a transcript: the longest real one, with images in it, has some megabytes.
LINE_BYTES = 32_000_000
TITLE_CHARS = 200
# So much of a session is packaged under one revision, a line more or less: a larger one leaves in
# steps (docs/adr/0017-large-sessions-leave-in-steps.md).
STEP_BYTES = 250_000_000

# What is beyond is paused. A channel is one member's, for one project; documents are a team's.
CHANNEL_BYTES = 20_000_000_000
METADATA_BYTES = 8_000_000
METADATA_FILES = 1_000
