"""Reads what is new in sessions, once, and remembers what it told."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from karma_sync.agents.claude.gathering import feed, read_new
from karma_sync.agents.growing_file import is_quiet, last_line, open_source
from karma_sync.agents.read_ahead import ReadAhead
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts, PlanNames
from karma_sync.domain.session.source_files import ReadFile, SourceFile, SourceSession, Stat

# Below it a second process takes longer to start than it saves.
MUCH_BYTES = 50_000_000
_NO_PLANS = PlanNames()


class Catalogue:
    """What every session on this machine tells of itself.

    `load` gives all that `save` kept, across restarts; it is asked once, when first needed.
    """

    def __init__(
        self, load: Callable[[], Iterable[ReadFile]], save: Callable[[ReadFile], None]
    ) -> None:
        self._load = load
        self._save = save
        self._loaded: dict[str, ReadFile] | None = None
        # with a last line without its end: told by the file as it was, and whether it was quiet
        self._torn: dict[str, tuple[tuple[Stat, bool], Facts]] = {}
        self._ahead: ReadAhead | None = None

    @property
    def _known(self) -> dict[str, ReadFile]:
        if self._loaded is None:
            self._loaded = {file.path: file for file in self._load()}
        return self._loaded

    def plans(self, session: SourceSession) -> PlanNames:
        """How the session names its plans, as far as it was read; reads nothing."""
        known = (self._known.get(str(f.path)) for f in session.files if f.tells)
        naming = [k.facts for k in known if k and (k.facts.slugs or k.facts.plans)]
        return Facts.plan_names(naming) if naming else _NO_PLANS

    def session_named(self, transcript: Path) -> str:
        """The session that a file named as its own, as far as it was read; "" if none."""
        known = self._known.get(str(transcript))
        return known.facts.session if known else ""

    def naming(self, plan: Path) -> list[Path]:
        """The transcripts that name this plan theirs, as far as they were read."""
        return [
            Path(path)
            for path, known in self._known.items()
            if Facts.plan_names([known.facts]).mean(plan.name, plan.parent)
        ]

    def facts(self, session: SourceSession) -> Facts:
        """What the transcript tells, with the directories that its subagents worked in; to read.

        Raises:
            OSError: a file vanished, or cannot be read.
        """
        told = [self._read(f) for f in session.files if f.tells]
        cwds = dict.fromkeys(cwd for facts in told for cwd in facts.cwds)
        return told[0].model_copy(update={"cwds": list(cwds)})

    def read_ahead(self, sessions: Sequence[SourceSession], much: int = MUCH_BYTES) -> None:
        """Have a second process read what is new of these, if it is much: `facts` is asked soon.

        In the order given, one set of sessions at a time. Files that grew are little, and one that
        is large is read in steps.
        """
        if self._ahead and not self._ahead.over:
            return
        new = self._unknown(sessions)
        if _size(new) >= much:  # a command may have read them meanwhile, to show what would leave
            self._loaded = {file.path: file for file in self._load()} | self._known
            new = self._unknown(sessions)
        if _size(new) >= much and (os.cpu_count() or 1) > 1:
            self.close()
            self._ahead = ReadAhead(new)

    def _unknown(self, sessions: Iterable[SourceSession]) -> list[SourceFile]:
        """What `read_ahead` may read of these."""
        telling = (
            f for s in sessions for f in s.files if f.tells and str(f.path) not in self._known
        )
        return [file for file in telling if file.stat.size < limits.STEP_BYTES]

    def close(self) -> None:
        """Read nothing ahead any more."""
        if self._ahead:
            self._ahead.close()
        self._ahead = None

    def _read(self, file: SourceFile) -> Facts:
        key = str(file.path)
        known = self._known.get(key)
        if known is None and self._ahead and (known := self._ahead.take(file)):
            self._save(known)
        if known is None or not known.position.same(file.stat):
            known = read_new(file, known, self._save)
            self._save(known)
        self._known[key] = known
        if known.position.offset < known.position.size:
            return self._with_last_line(file, known)
        self._torn.pop(key, None)
        return known.facts

    def _with_last_line(self, file: SourceFile, known: ReadFile) -> Facts:
        """What a last line without its end tells counts too, but may still change."""
        state = file.stat, is_quiet(file.stat.mtime_ns)
        before = self._torn.get(known.path)
        if before and before[0] == state:
            return before[1]
        with open_source(file) as source:
            line = last_line(source, known.position.offset, file.stat.size)
        facts = known.facts.model_copy(deep=True)
        feed(facts, line)
        self._torn[known.path] = state, facts
        return facts


def _size(files: Iterable[SourceFile]) -> int:
    return sum(file.stat.size for file in files)
