"""Receipts: what a member says it has imported, apart from its other document."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.ids import KEY
from karma_sync.paths import FOLDER_ID

_MOST_CHANNELS = limits.PROJECTS * 2
_MOST_REFUSED = 50
Count = Annotated[int, Field(ge=0, le=limits.NUMBER)]


class _Received(BaseModel):
    # peers may run a newer version: fields we do not know are left out, not refused
    model_config = ConfigDict(frozen=True, extra="ignore")


class Refused(_Received):
    """An item that was kept out, and the code of the reason."""

    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    code: Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,40}$")]


class ChannelReceipt(_Received):
    """What was imported of one channel.

    `digest` is over the sorted items and their revisions: equal digests mean equal content.
    """

    folder: Annotated[str, StringConstraints(pattern=f"^{FOLDER_ID.pattern}$")]
    revision: Count
    items: Count
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    refused: Annotated[tuple[Refused, ...], Field(max_length=_MOST_REFUSED)] = ()


class Seen(_Received):
    """The newest document of a writer that was accepted: its version, and its envelope's hash."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
    writer: Annotated[str, StringConstraints(pattern=f"^{KEY.pattern}$")]
    version: Count
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Receipt(_Received):
    """A member's receipts in one team (payload type RECEIPT).

    `seen` lets a writer that lost its counter find it again, and others notice two contents
    under one version. It stands here and not in the member's document, which would make every
    document an answer to every other, for ever.
    """

    format: Literal[1] = 1
    team: str
    writer: Annotated[str, StringConstraints(pattern=f"^{KEY.pattern}$")]
    version: Count
    channels: Annotated[tuple[ChannelReceipt, ...], Field(max_length=_MOST_CHANNELS)]
    seen: Annotated[tuple[Seen, ...], Field(max_length=2 * limits.MEMBERS)] = ()

    def of(self, folder: str) -> ChannelReceipt | None:
        """What it says of one channel; None if nothing."""
        return next((c for c in self.channels if c.folder == folder), None)


def channel_receipt(
    folder: str, revisions: Mapping[str, int], refused: Iterable[tuple[str, str]] = ()
) -> ChannelReceipt:
    """The receipt for items by revision, and for (item, code) of those kept out."""
    lines = "".join(f"{item} {revision}\n" for item, revision in sorted(revisions.items()))
    kept_out = [Refused(item=item, code=code) for item, code in sorted(refused)]
    return ChannelReceipt(
        folder=folder,
        revision=max(revisions.values(), default=0),
        items=len(revisions),
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        refused=tuple(kept_out[:_MOST_REFUSED]),
    )


def seen(kind: str, writer: str, version: int, envelope: bytes) -> Seen:
    """How an accepted document is named in a receipt."""
    digest = hashlib.sha256(envelope).hexdigest()
    return Seen(kind=kind, writer=writer, version=version, sha256=digest)
