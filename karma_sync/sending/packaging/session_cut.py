"""Cuts the files of one session as they leave: one step, which is all of a small session."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.channel.own_items import OutboxFiles, PreviousItem
from karma_sync.domain import limits
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.manifest import ItemFile
from karma_sync.domain.session.observation import OBSERVATIONS
from karma_sync.domain.session.profile import (
    MAY_BE_GIVEN,
    TRANSCRIPT,
    TRANSCRIPTS,
    ItemKind,
    kind_of,
    takes,
)
from karma_sync.domain.session.source_files import PackedFile, PackedItem, SourceFile, SourceSession
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.packaging.chunker import (
    CutFile,
    CutFiles,
    Put,
    cut_again,
    cut_file,
    withheld_of,
)
from karma_sync.sending.packaging.file_selection import may_be_named, running, sendable
from karma_sync.sending.packaging.outgoing import Outgoing, OutgoingFile


@dataclass(frozen=True)
class CutStart:
    """The state from which a step begins.

    `before` is the item as the outbox holds it, `packed` the state after it was written; None if
    all must be cut afresh.
    """

    channel: Channel
    session: SourceSession
    item: str
    before: PreviousItem | None
    packed: PackedItem | None


@dataclass(frozen=True)
class CutSession:
    """A session that one step redacted and cut; its chunks are staged in the outbox.

    `version` is that of `Outgoing`. `held` are the files that stay here because they hold what
    karma-sync gave the agent. `left` is the number of bytes still to be packaged.
    """

    start: CutStart
    version: str
    files: Sequence[CutFile]
    held: Sequence[SourceFile]
    left: int
    kind: ItemKind = ItemKind.SESSION

    @property
    def running(self) -> bool | None:
        """Whether the agent has the session open; None if the agent never recorded it."""
        return running(self.start.packed, self.start.session)

    @property
    def records(self) -> int:
        """The number of lines of the transcript that leave, or of observations."""
        return sum(file.records for file in self.files if file.name in (TRANSCRIPT, OBSERVATIONS))

    @property
    def redactions(self) -> Counter[str]:
        """The number of redactions by rule."""
        found: Counter[str] = Counter()
        for file in self.files:
            found.update(file.cuts)
        is_session = self.kind is ItemKind.SESSION
        if self.start.before and not self.start.session.files and is_session:
            found.update(self.start.before.manifest.redactions)  # they are still in it
        return found

    @property
    def withheld(self) -> WithheldRecords:
        """The records that stay here."""
        found = WithheldRecords()
        for file in self.files:
            found.add(file.withheld)
        return found


class SessionCut:
    """One step of cutting: about `limits.STEP_BYTES`, however large the session is.

    `put` takes a chunk, and `done` gets how many bytes it was given in this step.
    """

    def __init__(
        self,
        start: CutStart,
        outgoing: Outgoing,
        redactor: Redactor,
        put: Put,
        done: Callable[[], int],
    ) -> None:
        self._start = start
        self._before = start.before
        self._states: Mapping[str, PackedFile] = start.packed.files if start.packed else {}
        self._outgoing = outgoing
        self._redactor = redactor
        self._put = put
        self._done = done
        self._files = CutFiles(put)
        self._held: list[SourceFile] = []
        profile = start.channel.profile
        known = start.before.manifest.files if start.before else ()
        self._entries: dict[str, ItemFile] = {
            file.path: file
            for file in known
            if takes(profile, kind_of(file.path)) and may_be_named(file.path, redactor)
        }

    def run(self, outbox: OutboxFiles) -> CutSession:
        """Cut what is new, and keep what the agent deleted.

        Raises:
            RedactionFailed: nothing of the session may leave.
            OSError: a file vanished or cannot be read.
        """
        session = self._start.session
        found = sendable(session, self._start.channel.profile, self._redactor)
        # transcripts first: they tell which other files hold what karma-sync gave the agent
        for source in sorted(found, key=lambda file: not file.is_transcript):
            if self._is_answer(source):
                self._held.append(source)
                self._entries.pop(source.name, None)
            else:
                self._take(source)
        self._keep_deleted(outbox)
        left = self._files.left
        return CutSession(
            self._start, self._outgoing.version, self._files.finish(), self._held, left
        )

    def _take(self, source: SourceFile) -> None:
        name, files = source.name, self._files
        state, entry = self._states.get(name), self._entries.get(name)
        is_full = files.left > 0 or self._done() >= limits.STEP_BYTES
        # a file that must be cut afresh cannot wait: receivers would lose it
        is_later = is_full and (state is not None or entry is None)
        before = self._before
        if before and state and entry and (is_later or state.position.is_current(source.stat)):
            files.add(_unchanged(before, entry, state))
        elif not is_later:
            files.add(cut_file(source, state, entry, self._put, self._leave))
        if is_later:
            files.postpone(source.stat.size - (state.position.offset if state else 0))

    def _keep_deleted(self, outbox: OutboxFiles) -> None:
        """Add the files that the agent deleted: they stay in the item."""
        if self._before is None:
            return
        missing = self._entries.keys() - self._files.files.keys()
        for name in sorted(missing, key=lambda name: (kind_of(name) not in TRANSCRIPTS, name)):
            entry = self._entries[name]
            if name in self._states:
                self._files.add(_unchanged(self._before, entry, self._states[name]))
            elif not self._is_named_answer(name):
                content = self._before.content(entry, outbox)
                self._files.add(cut_again(name, content, self._put, self._leave))

    def _leave(self, name: str, before: PackedFile | None) -> OutgoingFile:
        """A file as it leaves, by all that the transcripts tell so far."""
        told = [*self._files.transcripts(), *self._states.values()]
        return self._outgoing.file(name, before, {name for each in told for name in each.outputs})

    def _is_answer(self, file: SourceFile) -> bool:
        """Whether a file holds what karma-sync gave the agent, as far as the transcripts show.

        While a call of a reading command has no result yet, any new file may hold it.
        """
        if file.kind not in MAY_BE_GIVEN:
            return False
        waits = any(not all(each.answers.values()) for each in self._files.transcripts())
        return (waits and file.name not in self._states) or self._is_named_answer(file.name)

    def _is_named_answer(self, name: str) -> bool:
        return kind_of(name) in MAY_BE_GIVEN and any(
            name.partition("/")[2] in each.outputs for each in self._files.transcripts()
        )


def _unchanged(before: PreviousItem, entry: ItemFile, state: PackedFile) -> CutFile:
    tail, withheld = before.tails[entry.path], withheld_of(state)
    return CutFile(
        entry.path, entry.chunks, tail, state, state.cuts, state.records, withheld, known=entry
    )
