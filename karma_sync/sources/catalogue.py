"""Reads what is new in sessions, once, and remembers what it told."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from karma_sync.domain import limits
from karma_sync.domain.facts import Facts, PlanNames
from karma_sync.domain.source import ReadFile, SourceFile, SourceSession, Stat
from karma_sync.sources.growing import blocks, continues, is_quiet, last_line, open_source, position

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

    def _read(self, file: SourceFile) -> Facts:
        key = str(file.path)
        known = self._known.get(key)
        if known is None or not known.position.same(file.stat):
            known = self._read_new(file, known)
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
        facts.feed(line)
        self._torn[known.path] = state, facts
        return facts

    def _read_new(self, file: SourceFile, known: ReadFile | None) -> ReadFile:
        with open_source(file) as source:
            if known and continues(source, known.position):
                facts, offset = known.facts.model_copy(deep=True), known.position.offset
            else:
                facts, offset = Facts(), 0
            saved = offset
            for block in blocks(source, offset, file.stat.size):
                facts.feed(block)
                offset += len(block)
                if offset - saved >= limits.STEP_BYTES:  # a restart goes on from here
                    so_far = position(source, replace(file.stat, size=offset), offset)
                    self._save(ReadFile(path=str(file.path), position=so_far, facts=facts))
                    saved = offset
            reached = position(source, file.stat, offset)
        return ReadFile(path=str(file.path), position=reached, facts=facts)
