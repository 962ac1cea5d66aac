"""An item as its owner sent it, and whatever an attacker makes of it."""

import json
from pathlib import Path
from typing import Any

from karma_sync.channel.layout import chunk_name
from karma_sync.channel.verify import VerifiedItem, root_of, verify_item
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import join_item, split_item
from karma_sync.errors import Unverified
from tests.support.builders import (
    ALICE,
    BOB,
    PROJECT,
    Desk,
    Swapping,
    channel_of,
    key_of,
    resigned,
    said,
    team_of_all,
)

OTHER = "example.org/acme/tools"
TEAM = team_of_all(ALICE, BOB, projects=(PROJECT, OTHER))
CHANNEL = channel_of(TEAM, ALICE)
A = key_of(ALICE)


class Sent:
    """An item with one full chunk, two small files and an inline part, as Alice sent it."""

    def __init__(self, root: Path) -> None:
        desk = Desk(root, CHANNEL, Swapping({}))
        desk.write(said("x" * limits.CHUNK_BYTES) + said("the end"))
        desk.write(b"a", "s1/tool-results/a.txt")
        desk.write(b"bb", "s1/tool-results/b.txt")
        self.revision = desk.package()
        self.item, self.raw = desk.item(), desk.raw()
        self.manifest = desk.manifest()
        self.fields = json.loads(self.manifest.model_dump_json())
        [[self.sha, self.size]] = self.fields["files"][2]["chunks"]
        self.chunk = (desk.outbox.path / chunk_name(self.sha)).read_bytes()

    def verify(self, raw: bytes, channel: Channel = CHANNEL, last: int = 0) -> VerifiedItem:
        return verify_item(raw, self.item, channel, last)

    def code(self, raw: bytes, channel: Channel = CHANNEL, last: int = 0) -> str:
        """The code of the refusal; `verified` if there is none."""
        try:
            self.verify(raw, channel, last)
        except Unverified as refused:
            return refused.code
        return "verified"

    def with_file(self, at: int = 2, **changes: Any) -> bytes:
        """One file's entry changed, and signed by Alice herself."""
        files = list(self.fields["files"])
        files[at] = files[at] | changes
        return resigned(self.raw, A, files=files)

    def with_chunks(self, *chunks: tuple[str, int]) -> bytes:
        """Other chunks for the transcript, all sums and roots made right again."""
        tail = self.fields["files"][2]["tail"]
        size = sum(size for _, size in chunks) + tail["size"]
        root = root_of([*(sha for sha, _ in chunks), tail["sha256"]])
        return self.with_file(chunks=chunks, size=size, root=root)

    def with_frame(self, frame: bytes) -> bytes:
        return join_item(split_item(self.raw)[0], frame)
