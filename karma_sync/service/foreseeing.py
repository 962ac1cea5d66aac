"""What a text or rules of the person's would cut from what has left, looked up before they do."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from karma_sync.library.reader import Library
from karma_sync.redact.redactor import Redactor
from karma_sync.service.cuts import cuts_by_rule
from karma_sync.store.ledger import Departed
from karma_sync.store.library import Readable, one

Progress = Callable[[int, int], None]
"""(so many are done, of so many)"""


@dataclass(frozen=True)
class Holding:
    """A session that has left and holds something that would be cut; its title is redacted."""

    session: str
    project: str
    title: str
    cuts: Mapping[str, int]


@dataclass(frozen=True)
class Foreseen:
    """Sessions that hold it, of `looked` that have left; `unread` are not in the library here."""

    holding: Sequence[Holding]
    looked: int
    unread: int

    @property
    def cuts(self) -> Mapping[str, int]:
        """By rule, in all of them."""
        return dict(sum((Counter(each.cuts) for each in self.holding), Counter()))


def foresee(
    redactor: Redactor,
    rules: Collection[str],
    left: Sequence[Departed],
    library: Library,
    progress: Progress,
) -> Foreseen:
    """Count what these rules of the redactor would cut of what `left`, as the peers have it now.

    Raises:
        RedactionFailed: then what failed would not be packaged anew either.
        KarmaError: the library is damaged.
    """
    with library.store.reading() as tx:
        kept = [one(tx, row.folder, row.item) for row in left]
    found = [each for each in kept if each]
    holding: dict[tuple[str, str], Holding] = {}  # what went to two teams is shown once
    for done, readable in enumerate(found):
        progress(done, len(found))
        facts, project = readable.manifest.session, readable.manifest.project
        cuts = _would_cut(redactor, library, readable)
        counted = {rule: count for rule, count in sorted(cuts.items()) if rule in rules}
        if counted:
            title = redactor.string(facts.title)[0]
            place = facts.session_id, project
            holding[place] = Holding(facts.session_id, project, title, counted)
    sessions = {(r.manifest.session.session_id, r.manifest.project) for r in found}
    return Foreseen(list(holding.values()), len(sessions), len(kept) - len(found))


def _would_cut(redactor: Redactor, library: Library, readable: Readable) -> Counter[str]:
    manifest = readable.manifest
    cuts: Counter[str] = Counter()
    for text in (manifest.session.title, *manifest.session.branches):
        cuts.update(redactor.string(text)[1])
    for file in manifest.files:
        cuts.update(redactor.string(file.path)[1])
        cuts.update(cuts_by_rule(redactor, file.path, library.content(readable, file.path)))
    return cuts
