"""Receipts: what a member says it has imported, apart from its other document."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from karma_sync.domain import limits
from karma_sync.domain.ids import KEY
from karma_sync.domain.value import Received
from karma_sync.paths import FOLDER_ID
from karma_sync.team.documents.stored import digest_of

_MOST_CHANNELS = limits.PROJECTS * 2
_MOST_REFUSED = 50
_MOST_RETRACTED = 50
NOTHING = hashlib.sha256().hexdigest()
Count = Annotated[int, Meta(ge=0, le=limits.NUMBER)]


class Refused(Received, frozen=True, kw_only=True):
    """An item that was kept out, and the code of the reason."""

    item: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    code: Annotated[str, Meta(pattern=r"\A[0-9a-z-]{1,40}\Z")]


class Retracted(Received, frozen=True, kw_only=True):
    """An item of which nothing is left, and the revision of its retraction."""

    item: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    revision: Count


class ChannelReceipt(Received, frozen=True, kw_only=True):
    """What was imported of one channel.

    `digest` is over the sorted items and their revisions: equal digests mean equal content.
    Nothing of a revision below `oldest` is left, in the library or in the channel's folder; 0 if
    nothing is there at all. `retracted_digest` is over all retractions carried out, by revision;
    `retractions` are the latest of them.
    """

    folder: Annotated[str, Meta(pattern=rf"\A{FOLDER_ID.pattern}\Z")]
    revision: Count
    items: Count
    digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    refused: Annotated[tuple[Refused, ...], Meta(max_length=_MOST_REFUSED)] = ()
    oldest: Count = 0
    retracted_digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] = NOTHING
    retractions: Annotated[tuple[Retracted, ...], Meta(max_length=_MOST_RETRACTED)] = ()

    def confirms(self, mine: Mapping[str, int], before: int = 0) -> int:
        """How many of `mine`, revision by item, it says it has.

        Only equal digests tell exactly. Else it is those up to the revision `before`, at which it
        had everything, or as many as it may have by what it says: never all of them.
        """
        if self.digest == digest_of(mine):
            return len(mine)
        sure = sum(revision <= before for revision in mine.values())
        possible = sum(revision <= self.revision for revision in mine.values())
        return max(sure, min(self.items, possible, len(mine) - 1))

    def carried_out(self, mine: Sequence[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """Which of `mine`, (item, revision) in the order of revisions, it says it carried out."""
        done = {(each.item, each.revision) for each in self.retractions} & set(mine)
        for number, digest in enumerate(_digests(mine)):
            if digest == self.retracted_digest:
                done |= set(mine[:number])
        return frozenset(done)


class Seen(Received, frozen=True, kw_only=True):
    """The newest document of a writer that was accepted: its version, and its envelope's hash."""

    kind: Annotated[str, Meta(pattern=r"\A[a-z]{1,20}\Z")]
    writer: Annotated[str, Meta(pattern=rf"\A{KEY.pattern}\Z")]
    version: Count
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Receipt(Received, frozen=True, kw_only=True):
    """A member's receipts in one team (payload type RECEIPT).

    `seen` lets a writer that lost its counter find it again, and others notice two contents
    under one version. It stands here and not in the member's document, which would make every
    document an answer to every other, for ever.
    """

    format: Literal[1] = 1
    team: str
    writer: Annotated[str, Meta(pattern=rf"\A{KEY.pattern}\Z")]
    version: Count
    channels: Annotated[tuple[ChannelReceipt, ...], Meta(max_length=_MOST_CHANNELS)]
    seen: Annotated[tuple[Seen, ...], Meta(max_length=2 * limits.MEMBERS)] = ()

    def of(self, folder: str) -> ChannelReceipt | None:
        """What it says of one channel; None if nothing."""
        return next((c for c in self.channels if c.folder == folder), None)


@dataclass(frozen=True)
class Imported:
    """What is there of a channel: revision by item, what lingers of older revisions in its folder,
    the retractions carried out in the order of revisions, and (item, code) of what was kept out.
    """

    revisions: Mapping[str, int]
    lingering: Collection[int] = ()
    retracted: Sequence[tuple[str, int]] = ()
    refused: Collection[tuple[str, str]] = ()


def channel_receipt(folder: str, imported: Imported) -> ChannelReceipt:
    """The receipt for one channel."""
    revisions = imported.revisions
    kept_out = [Refused(item=item, code=code) for item, code in sorted(imported.refused)]
    latest = imported.retracted[-_MOST_RETRACTED:]
    *_, digest = _digests(imported.retracted)
    return ChannelReceipt(
        folder=folder,
        revision=max(revisions.values(), default=0),
        items=len(revisions),
        digest=digest_of(revisions),
        refused=tuple(kept_out[:_MOST_REFUSED]),
        oldest=min((*revisions.values(), *imported.lingering), default=0),
        retracted_digest=digest,
        retractions=tuple(Retracted(item=item, revision=revision) for item, revision in latest),
    )


def _digests(retracted: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The digest of the first none, one, two… of them: whoever lacks the last has the others."""
    digest = hashlib.sha256()
    yield digest.hexdigest()
    for item, revision in retracted:
        digest.update(f"{item} {revision}\n".encode())
        yield digest.hexdigest()


def seen(kind: str, writer: str, version: int, envelope: bytes) -> Seen:
    """How an accepted document is named in a receipt."""
    digest = hashlib.sha256(envelope).hexdigest()
    return Seen(kind=kind, writer=writer, version=version, sha256=digest)


REVISION = 1  # of a stray, in a receipt: older than anything
