"""The models of receipts: what a member has imported, and what it has removed.

docs/format.md describes their JSON.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from karma_sync.domain import limits
from karma_sync.domain.ids import KEY
from karma_sync.domain.value import Received
from karma_sync.paths import FOLDER_ID
from karma_sync.team.documents.stored import digest_of

STRAY_REVISION = 1  # reported for chunks that no item names: older than any revision

_MOST_CHANNELS = limits.PROJECTS * 2
_MOST_REFUSED = 50
_MOST_RETRACTED = 50
# At most, of a receipt without its lists, and of one entry in `seen`.
_FRAME_BYTES = 1_000
_SEEN_BYTES = 220
NOTHING = hashlib.sha256().hexdigest()
Count = Annotated[int, Meta(ge=0, le=limits.NUMBER)]


class Refused(Received, frozen=True, kw_only=True):
    """An item that was refused, and the code of the reason."""

    item: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    code: Annotated[str, Meta(pattern=r"\A[0-9a-z-]{1,40}\Z")]


class SetAsideItem(Received, frozen=True, kw_only=True):
    """An item that was not understood or not wanted: kept in its folder, not imported."""

    item: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    revision: Count


class Retracted(Received, frozen=True, kw_only=True):
    """An item that was removed completely, and the revision of its retraction."""

    item: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    revision: Count


class ChannelReceipt(Received, frozen=True, kw_only=True, omit_defaults=True):
    """The receipt of a member for one channel: the content that it has imported.

    `digest` is over the sorted items and their revisions: equal digests mean equal content.
    `oldest` is the lowest revision of which something is left in the library or in the channel's
    folder; 0 if nothing is there. `retracted_digest` is over all retractions carried out, in the
    order of their revisions; `retractions` are the latest of them. `set_aside` are items that the
    member has and does not import; they are not in `items` and `digest`. Fields with their default
    are not written: a receipt lists every channel.
    """

    folder: Annotated[str, Meta(pattern=rf"\A{FOLDER_ID.pattern}\Z")]
    revision: Count
    items: Count
    digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    refused: Annotated[tuple[Refused, ...], Meta(max_length=_MOST_REFUSED)] = ()
    set_aside: Annotated[tuple[SetAsideItem, ...], Meta(max_length=_MOST_REFUSED)] = ()
    oldest: Count = 0
    retracted_digest: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] = NOTHING
    retractions: Annotated[tuple[Retracted, ...], Meta(max_length=_MOST_RETRACTED)] = ()

    def has_all(self, mine: Mapping[str, int]) -> bool:
        """Whether the member has exactly my items (`mine`: revision by item).

        An item that it set aside in my newest revision counts as had.
        """
        aside = {(each.item, each.revision) for each in self.set_aside}
        return self.digest == digest_of({i: r for i, r in mine.items() if (i, r) not in aside})

    def confirms(self, mine: Mapping[str, int], before: int = 0) -> int:
        """The number of my items (`mine`: revision by item) that the member confirms.

        Equal digests confirm all items. Otherwise this is an estimate, below the number of all
        items: at least those up to the revision `before`, at which the member had everything, and
        at most as many as the receipt allows.
        """
        if self.has_all(mine):
            return len(mine)
        sure = sum(revision <= before for revision in mine.values())
        possible = sum(revision <= self.revision for revision in mine.values())
        return max(sure, min(self.items, possible, len(mine) - 1))

    def carried_out(self, mine: Sequence[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """The retractions among `mine` that the member has carried out.

        `mine` and the result hold (item, revision); `mine` is in the order of revisions.
        """
        done = {(each.item, each.revision) for each in self.retractions} & set(mine)
        for number, digest in enumerate(_digests(mine)):
            if digest == self.retracted_digest:
                done |= set(mine[:number])
        return frozenset(done)


class Seen(Received, frozen=True, kw_only=True):
    """The newest document of a writer that a member accepted: version, and hash of the envelope."""

    kind: Annotated[str, Meta(pattern=r"\A[a-z]{1,20}\Z")]
    writer: Annotated[str, Meta(pattern=rf"\A{KEY.pattern}\Z")]
    version: Count
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Receipt(Received, frozen=True, kw_only=True):
    """A member's receipts for all channels of one team (payload type RECEIPT).

    `seen` lets a writer that lost its version counter find it again, and lets others notice two
    contents under one version. It is not in the member document: there, each new document would
    cause a new document of every other member, without end.
    """

    format: Literal[1] = 1
    team: str
    writer: Annotated[str, Meta(pattern=rf"\A{KEY.pattern}\Z")]
    version: Count
    channels: Annotated[tuple[ChannelReceipt, ...], Meta(max_length=_MOST_CHANNELS)]
    seen: Annotated[tuple[Seen, ...], Meta(max_length=2 * limits.MEMBERS)] = ()

    def of(self, folder: str) -> ChannelReceipt | None:
        """The receipt for one channel; None if there is none."""
        return next((c for c in self.channels if c.folder == folder), None)


@dataclass(frozen=True)
class Imported:
    """The content of one channel that this machine has.

    `revisions` are by item. `lingering` are older revisions of which files are still in the folder.
    `retracted` are the retractions carried out, (item, revision) in the order of revisions.
    `refused` holds (item, code of the reason), `set_aside` (item, revision).
    """

    revisions: Mapping[str, int]
    lingering: Collection[int] = ()
    retracted: Sequence[tuple[str, int]] = ()
    refused: Collection[tuple[str, str]] = ()
    set_aside: Collection[tuple[str, int]] = ()


def channel_receipt(folder: str, imported: Imported) -> ChannelReceipt:
    """The receipt for one channel."""
    revisions = imported.revisions
    refused = [Refused(item=item, code=code) for item, code in sorted(imported.refused)]
    latest = imported.retracted[-_MOST_RETRACTED:]
    *_, digest = _digests(imported.retracted)
    return ChannelReceipt(
        folder=folder,
        revision=max(revisions.values(), default=0),
        items=len(revisions),
        digest=digest_of(revisions),
        refused=tuple(refused[:_MOST_REFUSED]),
        set_aside=tuple(
            SetAsideItem(item=item, revision=revision)
            for item, revision in sorted(imported.set_aside)[:_MOST_REFUSED]
        ),
        oldest=min((*revisions.values(), *imported.lingering), default=0),
        # the very text: msgspec leaves a default out only if it is the same object
        retracted_digest=digest if imported.retracted else NOTHING,
        retractions=tuple(Retracted(item=item, revision=revision) for item, revision in latest),
    )


def fitting(
    channels: Iterable[ChannelReceipt], seen_documents: int, members: int
) -> tuple[ChannelReceipt, ...]:
    """As many of these as a receipt may list besides the documents seen, sorted by folder.

    The receipts of all members together leave room for the other documents in the folder. Of
    channels that do not fit, nothing is confirmed; those that changed last come first.
    """
    most = min(limits.RECEIPTS_BYTES // max(1, members), limits.DOCUMENT_BYTES)
    left = most * 3 // 4 - _FRAME_BYTES - seen_documents * _SEEN_BYTES  # signed in base64
    found = []
    for each in sorted(channels, key=lambda c: (-c.revision, c.folder))[:_MOST_CHANNELS]:
        left -= len(each.to_json()) + 1
        if left >= 0:
            found.append(each)
    return tuple(sorted(found, key=lambda c: c.folder))


def _digests(retracted: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The digests over the first 0, 1, 2, … retractions.

    So a receipt with the digest of the first n confirms those n, even if it lacks later ones.
    """
    digest = hashlib.sha256()
    yield digest.hexdigest()
    for item, revision in retracted:
        digest.update(f"{item} {revision}\n".encode())
        yield digest.hexdigest()


def seen(kind: str, writer: str, version: int, envelope: bytes) -> Seen:
    """The entry for an accepted document in a receipt."""
    digest = hashlib.sha256(envelope).hexdigest()
    return Seen(kind=kind, writer=writer, version=version, sha256=digest)
