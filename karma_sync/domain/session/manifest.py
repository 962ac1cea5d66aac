"""What a channel carries: items, their manifests, and how an item's file is laid out."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.errors import Unverified

FORMAT: Literal[1] = 1
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=limits.TITLE_CHARS)]
Size = Annotated[int, Field(ge=0, le=limits.NUMBER)]

# Names inside an item are labels, never paths on disk; these shapes keep them readable.
_NAME = r"[^/\\\x00-\x1f\x7f.][^/\\\x00-\x1f\x7f]{0,199}"
_FOLDERS = "subagents|tool-results|workflows|todos|tasks|plans|file-history|debug"
FILE_NAME = re.compile(rf"transcript\.jsonl|(?:{_FOLDERS})(?:/{_NAME}){{1,6}}")

_CLOCKS_DIFFER_S = 300
_OPEN_S = 1800
_WRITTEN_S = 300


class ItemKind(StrEnum):
    SESSION = "session"


class Piece(PeerModel):
    """Content by hash: SHA-256 of the uncompressed bytes, and how many they are."""

    sha256: Hash
    size: Size


class ItemFile(PeerModel):
    """One file of an item: full chunks, then the end that lies in the inline part.

    `root` is the SHA-256 over the raw hashes of all pieces in order, the end's last.
    """

    path: str
    size: Size
    root: Hash
    chunks: tuple[tuple[Hash, Size], ...]
    tail: Piece


class Tokens(PeerModel):
    """What the API counted, each response once."""

    input: Size = 0
    output: Size = 0
    cache_read: Size = 0
    cache_creation: Size = 0


class SessionFacts(PeerModel):
    """What a list shows without opening the session; every text was redacted first.

    `agent_name` is empty where the agent has none of its own. `running` is what its program said
    when this was packaged: open, closed (False), or nothing (None).
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
        """Who wrote it: the program, and the agent where it has a name: `claude-code/reviewer`."""
        return f"{self.agent}/{self.agent_name}" if self.agent_name else self.agent

    def is_live(self, now: datetime) -> bool:
        """Whether somebody is at it at `now`, as far as a reader can honestly say.

        A program that has a session open says so once; it may have died with its machine since.
        So a session is live if it was written to within the last half hour by a program that has
        it open, or within five minutes where no program ever said. Clocks of two machines differ.
        """
        if self.running is False or self.last_activity is None:
            return False
        idle = (now - self.last_activity).total_seconds()
        return -_CLOCKS_DIFFER_S < idle < (_OPEN_S if self.running else _WRITTEN_S)


class Manifest(PeerModel):
    """An item's signed description (payload type MANIFEST)."""

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
        """Bytes of content, uncompressed."""
        return sum(f.size for f in self.files)

    @property
    def inline_size(self) -> int:
        """Bytes of the inline part, uncompressed: all ends in the order of the files."""
        return sum(f.tail.size for f in self.files)

    def chunks(self) -> dict[str, int]:
        """Size by hash of every full chunk the item names."""
        return {sha: size for f in self.files for sha, size in f.chunks}


def join_item(envelope: bytes, inline_frame: bytes) -> bytes:
    """The bytes of an item file: the envelope on one line, then the inline part's frame."""
    return envelope + b"\n" + inline_frame


def split_item(raw: bytes) -> tuple[bytes, bytes]:
    """Envelope and inline frame of an item file.

    Raises:
        Unverified: there is no line end where the envelope should stop.
    """
    envelope, newline, frame = raw.partition(b"\n")
    if not newline:
        raise Unverified("2-size", "the item file has no end of its envelope")
    return envelope, frame


class Retraction(PeerModel):
    """What stands in `retracted/ITEM.json` (payload type RETRACTION).

    `revision` is from the same counter as the channel's manifests: a retraction beats every
    manifest below it, and an item that was packaged again later beats the retraction.
    """

    format: Literal[1]
    team: str
    project: str
    member: str
    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    revision: Annotated[int, Field(ge=1, le=limits.NUMBER)]


T = TypeVar("T")


@dataclass(frozen=True)
class Verified(Generic[T]):
    """A value whose signature, signer, place and version were checked.

    Made in `team/documents/verify.py` and `channel/verify.py` alone (a test holds that).
    """

    value: T
