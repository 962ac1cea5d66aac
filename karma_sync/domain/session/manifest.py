"""Defines the signed descriptions in a channel: manifests of items, and retractions.

Also joins and splits item files, which hold a manifest's envelope and the item's inline part.
docs/format.md describes all fields for other implementations.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.domain.session.profile import ItemKind
from karma_sync.errors import Unverified

FORMAT: Literal[1] = 1
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=limits.TITLE_CHARS)]
Size = Annotated[int, Field(ge=0, le=limits.NUMBER)]

# Names of files inside an item are labels, never paths on disk. These patterns keep them readable.
_NAME = r"[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,199}"
_FOLDERS = "copies|subagents|tool-results|workflows|todos|tasks|plans|file-history|debug"
FILE_NAME = re.compile(
    rf"transcript\.jsonl|custom-title\.json|observations\.jsonl|(?:{_FOLDERS})(?:/{_NAME}){{1,6}}"
)

# The clocks of two machines may differ by this much.
_CLOCKS_DIFFER_S = 300
# A session is live for this long after its last activity, if its program has it open, or if no
# program reports which sessions it has open.
_OPEN_S = 1800
_WRITTEN_S = 300


class Piece(PeerModel):
    """A piece of content: the SHA-256 of its uncompressed bytes, and their number."""

    sha256: Hash
    size: Size


class ItemFile(PeerModel):
    """One file of an item: full chunks, then an end (`tail`) that lies in the inline part.

    `chunks` are (hash, size in bytes) in the order of the content. `root` is the SHA-256 over the
    raw hashes of all pieces in order; the end's hash comes last.
    """

    path: str
    size: Size
    root: Hash
    chunks: tuple[tuple[Hash, Size], ...]
    tail: Piece


class Tokens(PeerModel):
    """The tokens that the API reported; each response is counted once."""

    input: Size = 0
    output: Size = 0
    cache_read: Size = 0
    cache_creation: Size = 0


class SessionFacts(PeerModel):
    """The facts that a list shows without opening the session; every text was redacted.

    `agent` is the program; `agent_name` is "" if the agent has no name of its own. `running` tells
    whether the program had the session open when it was packaged; None if the program does not
    report that.
    """

    agent: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    session_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,127}$")]
    agent_name: Text = ""
    title: Text = ""
    branches: tuple[Text, ...] = ()
    models: tuple[Text, ...] = ()
    first_activity: datetime | None = None
    last_activity: datetime | None = None
    records: Size = 0
    prompts: Size = 0
    tokens: Tokens = Tokens()
    running: bool | None = None

    @property
    def wrote(self) -> str:
        """The agent that wrote the session, with its name if it has one: `claude-code/reviewer`."""
        return f"{self.agent}/{self.agent_name}" if self.agent_name else self.agent

    def is_live(self, now: datetime) -> bool:
        """Whether somebody is probably working in the session at `now` (UTC).

        A program reports an open session once, and may have died with its machine since. So a
        session is live if its last activity is less than half an hour ago and its program has it
        open, or less than five minutes ago if no program reported either way. A last activity up
        to five minutes in the future counts too, because the clocks of two machines differ.
        """
        if self.running is False or self.last_activity is None:
            return False
        idle = (now - self.last_activity).total_seconds()
        return -_CLOCKS_DIFFER_S < idle < (_OPEN_S if self.running else _WRITTEN_S)


class ManifestPlace(PeerModel):
    """The part of a manifest that every kind of item has, also kinds of newer versions."""

    format: Literal[1]
    team: str
    project: str
    member: str
    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,39}$")]
    revision: Annotated[int, Field(ge=1, le=limits.NUMBER)]


class Manifest(PeerModel):
    """An item's signed description (payload type MANIFEST).

    An observations item fills two fields of `session`: `agent` is the source, and `session_id` the
    source's id. Then the rules for all items, such as the item's id, are those of sessions.
    """

    format: Literal[1]
    team: str
    project: str
    member: str
    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    kind: ItemKind
    revision: Annotated[int, Field(ge=1, le=limits.NUMBER)]
    session: SessionFacts
    files: Annotated[tuple[ItemFile, ...], Field(max_length=limits.FILES_PER_ITEM)]
    redactions: dict[str, Size]
    redactor: str

    @property
    def size(self) -> int:
        """The size of all files, in bytes before compression."""
        return sum(f.size for f in self.files)

    @property
    def inline_size(self) -> int:
        """The size of the inline part (the ends of all files), in bytes before compression."""
        return sum(f.tail.size for f in self.files)

    def chunks(self) -> dict[str, int]:
        """The size in bytes of every full chunk that the item names, by hash."""
        return {sha: size for f in self.files for sha, size in f.chunks}


class SetAside(Exception):
    """Not an error: the item is kept in its folder and not imported.

    Its kind is one of a newer version, or one that the reader does not want. `hashes` are the
    chunks that it names, as far as its files are described as those of other kinds.
    """

    def __init__(self, kind: str, revision: int, hashes: frozenset[str]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.revision = revision
        self.hashes = hashes


def join_item(envelope: bytes, inline_frame: bytes) -> bytes:
    """The bytes of an item file: the envelope on one line, then the inline part's zstd frame."""
    return envelope + b"\n" + inline_frame


def split_item(raw: bytes) -> tuple[bytes, bytes]:
    """The envelope and the inline frame of an item file.

    Raises:
        Unverified: the file has no line end, so the end of the envelope is unknown.
    """
    envelope, newline, frame = raw.partition(b"\n")
    if not newline:
        raise Unverified("2-size", "the item file has no line end after its envelope")
    return envelope, frame


class Retraction(PeerModel):
    """The owner's signed statement that an item is withdrawn (payload type RETRACTION).

    It lies in `retracted/ITEM.json`. `revision` comes from the same counter as the revisions of
    the channel's manifests: a retraction overrides every manifest with a lower revision, and an
    item that is packaged again later overrides the retraction.
    """

    format: Literal[1]
    team: str
    project: str
    member: str
    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    revision: Annotated[int, Field(ge=1, le=limits.NUMBER)]
