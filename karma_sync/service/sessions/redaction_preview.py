"""Finds what the redactor would cut: counts it for many sessions, and lists it for one session.

It also finds what new texts or rules of the person would cut from sessions that have left, before
they are cut there.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from karma_sync.agents.growing_file import blocks, last_line, open_source, whole_lines
from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.domain import limits
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.session.source_files import SourceFile, SourceSession, is_lines
from karma_sync.library.reader import LibraryView
from karma_sync.redact.redactor import Redacted, Redactor
from karma_sync.redact.spans import MARKER
from karma_sync.sending.packaging.file_selection import sendable
from karma_sync.sending.packaging.outgoing import Outgoing, OutgoingPart
from karma_sync.store.ledger import Departed

_AROUND = 40  # bytes on either side of a marker: enough to recognise the place

Progress = Callable[[int, int], None]
"""Called with how many sessions are done, and how many there are."""


@dataclass(frozen=True)
class Cut:
    """One cut: its rule, its file, its line in what leaves, and the text around it.

    `around` has the marker in it, and none of the text that is cut.
    """

    rule: str
    file: str
    line: int
    around: str


@dataclass(frozen=True)
class LeavingFile:
    """A file as it would leave: its name, its size in bytes, and all cuts in order.

    `withheld` are the records that stay here. `outputs` are the names of files in `tool-results/`
    that stay because they hold what karma-sync gave the agent.
    """

    name: str
    size: int
    cuts: Sequence[Cut]
    withheld: WithheldRecords
    outputs: Collection[str] = ()


@dataclass(frozen=True)
class Counted:
    """The cuts of each rule in the first `searched` of `all` sessions; no others were read.

    `withheld` are the records of these sessions that stay here.
    """

    cuts: Mapping[str, int]
    withheld: WithheldRecords
    searched: int
    all: int


def count_cuts(
    redactor: Redactor,
    sessions: Sequence[SourceSession],
    profile: Profile,
    go_on: Callable[[int], bool],
) -> Counted:
    """Count cuts until all sessions are read, or until `go_on` returns False.

    `go_on` is called about once per megabyte, with the number of sessions that are read.

    Raises:
        RedactionFailed: a session cannot be redacted, so it would not leave.
    """
    cuts: Counter[str] = Counter()
    withheld = WithheldRecords()
    for number, session in enumerate(sessions):
        here: Counter[str] = Counter()
        stays = WithheldRecords()
        for part in _parts(redactor, session, profile):
            if not go_on(number):
                return Counted(dict(cuts), withheld, number, len(sessions))
            here.update(part.cuts)
            stays.add(part.withheld)
        cuts.update(here)
        withheld.add(stays)
    return Counted(dict(cuts), withheld, len(sessions), len(sessions))


def _parts(redactor: Redactor, session: SourceSession, profile: Profile) -> Iterator[OutgoingPart]:
    outgoing = Outgoing(redactor, session.agent, profile)
    for file in sendable(session, profile, redactor):
        leaving = outgoing.file(file.name)
        try:
            yield from map(leaving.part, _pieces(file))
        except FileNotFoundError:
            continue  # it disappeared meanwhile, so it would not leave either


def cuts_by_rule(redactor: Redactor, name: str, pieces: Iterable[bytes]) -> Mapping[str, int]:
    """The number of cuts of each rule in a file that was packaged before, by its name and content.

    Raises:
        RedactionFailed: the file cannot be redacted, so it would not be packaged again either.
        LineTooLong: the same holds.
    """
    cuts: Counter[str] = Counter()
    for block in whole_lines(pieces) if is_lines(name) else [b"".join(pieces)]:
        cuts.update(_redacted(redactor, name, block).cuts)
    return cuts


def look_through(outgoing: Outgoing, file: SourceFile, outputs: Iterable[str] = ()) -> LeavingFile:
    """One file as it would leave, with its cuts; `outputs` are those that other files name.

    Raises:
        OSError: the file cannot be read.
        RedactionFailed: it cannot be redacted, so the session would not leave.
    """
    leaving = outgoing.file(file.name, outputs=outputs)
    line, size, cuts, withheld = 1, 0, list[Cut](), WithheldRecords()
    for raw in _pieces(file):
        part = leaving.part(raw)
        size += len(part.data)
        withheld.add(part.withheld)
        if part.cuts:
            cuts += _cuts_of(file.name, line, raw, part.data)
        line += part.data.count(b"\n")
    return LeavingFile(file.name, size, cuts, withheld, leaving.outputs)


def as_it_leaves(outgoing: Outgoing, file: SourceFile) -> Iterator[bytes]:
    """The bytes that would leave of one file; raises as `look_through` does."""
    leaving = outgoing.file(file.name)
    return (leaving.part(raw).data for raw in _pieces(file))


def _redacted(redactor: Redactor, name: str, raw: bytes) -> Redacted:
    return redactor.lines(raw) if is_lines(name) else redactor.text(raw)


def _pieces(file: SourceFile) -> Iterator[bytes]:
    """The content in the pieces that the packager redacts: whole lines, or a whole text."""
    with open_source(file) as source:
        if not file.is_lines:
            yield source.read(min(file.stat.size, limits.TEXT_FILE_BYTES))
            return
        at = 0
        for raw in blocks(source, 0, file.stat.size):
            yield raw
            at += len(raw)
        yield last_line(source, at, file.stat.size)


def _cuts_of(name: str, line: int, raw: bytes, redacted: bytes) -> Iterator[Cut]:
    """The markers that this redaction made; others were in the text before it."""
    before = Counter(_around(raw, m.start(), m.end()) for m in MARKER.finditer(raw))
    for marker in MARKER.finditer(redacted):
        around = _around(redacted, marker.start(), marker.end())
        if before[around]:
            before[around] -= 1
            continue
        rule = marker[0].decode().removeprefix("[REDACTED:").removesuffix("]")
        at = line + redacted.count(b"\n", 0, marker.start())
        yield Cut(rule, name, at, around.decode(errors="replace"))


def _around(text: bytes, start: int, end: int) -> bytes:
    return text[max(0, start - _AROUND) : end + _AROUND]


@dataclass(frozen=True)
class Holding:
    """A session that has left and has text that would be cut; `title` is redacted."""

    session: str
    project: str
    title: str
    cuts: Mapping[str, int]


@dataclass(frozen=True)
class Foreseen:
    """The cuts that would be made in sessions that have left.

    `holding` are the sessions with such text, `searched` is how many were searched, and `unread`
    how many could not be searched, because the library here does not have them.
    """

    holding: Sequence[Holding]
    searched: int
    unread: int

    @property
    def cuts(self) -> Mapping[str, int]:
        """The number of cuts of each rule, in all sessions."""
        return dict(sum((Counter(each.cuts) for each in self.holding), Counter()))


def foresee(
    redactor: Redactor,
    rules: Collection[str],
    left: Sequence[Departed],
    view: LibraryView,
    progress: Progress,
) -> Foreseen:
    """Count what these rules would cut from the items in `left`, as the peers have them now.

    Raises:
        RedactionFailed: an item cannot be redacted, so it would not be packaged again either.
        KarmaError: the library is damaged.
    """
    kept = [view.item(row.folder, row.item) for row in left]
    found = [each for each in kept if each]
    holding: dict[tuple[str, str], Holding] = {}  # an item that went to two teams is shown once
    for done, readable in enumerate(found):
        progress(done, len(found))
        facts, project = readable.manifest.session, readable.manifest.project
        cuts = _would_cut(redactor, view, readable)
        counted = {rule: count for rule, count in sorted(cuts.items()) if rule in rules}
        if counted:
            title = redactor.string(facts.title)[0]
            place = facts.session_id, project
            holding[place] = Holding(facts.session_id, project, title, counted)
    sessions = {(r.manifest.session.session_id, r.manifest.project) for r in found}
    return Foreseen(list(holding.values()), len(sessions), len(kept) - len(found))


def _would_cut(redactor: Redactor, view: LibraryView, readable: Readable) -> Counter[str]:
    manifest = readable.manifest
    cuts: Counter[str] = Counter()
    for text in (manifest.session.title, *manifest.session.branches):
        cuts.update(redactor.string(text)[1])
    for file in manifest.files:
        cuts.update(redactor.string(file.path)[1])
        cuts.update(cuts_by_rule(redactor, file.path, view.content(readable, file.path)))
    return cuts
