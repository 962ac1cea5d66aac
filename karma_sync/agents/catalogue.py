"""Keeps the facts about every session on this machine; reads each line of a transcript once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from karma_sync.agents.claude.gathering import feed, read_new, read_title
from karma_sync.agents.growing_file import is_quiet, last_line, open_source
from karma_sync.agents.read_ahead import MUCH_BYTES, ReadAhead, is_worth_it
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts, PlanNames
from karma_sync.domain.session.profile import TITLE
from karma_sync.domain.session.source_files import ReadFile, SourceFile, SourceSession, Stat

_NO_PLANS = PlanNames()


class Catalogue:
    """The facts about every session on this machine.

    `save` stores how far a file was read, with its facts; `load` returns everything that was
    stored, also before a restart. `load` is called once, when it is first needed.
    """

    def __init__(
        self, load: Callable[[], Iterable[ReadFile]], save: Callable[[ReadFile], None]
    ) -> None:
        self._load = load
        self._save = save
        self._loaded: dict[str, ReadFile] | None = None
        # for files whose last line is incomplete: facts that include this line, valid for this
        # state of the file and as long as it stays quiet, or not quiet
        self._torn: dict[str, tuple[tuple[Stat, bool], Facts]] = {}
        self._ahead: ReadAhead | None = None

    @property
    def _known(self) -> dict[str, ReadFile]:
        if self._loaded is None:
            self._loaded = {file.path: file for file in self._load()}
        return self._loaded

    def plans(self, session: SourceSession) -> PlanNames:
        """The names of the session's plans, as far as its files were read; reads no file."""
        known = (self._known.get(str(f.path)) for f in session.files if f.is_transcript)
        naming = [k.facts for k in known if k and (k.facts.slugs or k.facts.plans)]
        return Facts.plan_names(naming) if naming else _NO_PLANS

    def session_named(self, transcript: Path) -> str:
        """The session that a file named as its own, as far as it was read; "" if none."""
        known = self._known.get(str(transcript))
        return known.facts.session if known else ""

    def transcripts_naming(self, plan: Path) -> list[Path]:
        """The transcripts that name this plan, as far as they were read."""
        return [
            Path(path)
            for path, known in self._known.items()
            if Facts.plan_names([known.facts]).match(plan.name, plan.parent)
        ]

    def facts(self, session: SourceSession) -> Facts:
        """The facts from the transcript, with the directories in which its subagents worked too.

        Reads what is new in the files. Do not change the result: its lists are shared.

        Raises:
            OSError: a file vanished, or cannot be read.
        """
        by_file = [self.of_file(f) for f in session.files if f.is_transcript]
        beside = [self.of_file(f) for f in session.left_out]
        cwds = dict.fromkeys(cwd for facts in (*by_file, *beside) for cwd in facts.cwds)
        titles = [Facts(custom_title=read_title(f)) for f in session.files if f.name == TITLE]
        names = by_file[0].with_names_of([*beside, *titles])
        return names.model_copy(update={"cwds": list(cwds)})

    def read_ahead(self, sessions: Sequence[SourceSession], much: int = MUCH_BYTES) -> None:
        """Let a second process read the new files of these sessions, if they have `much` bytes.

        Call it before `facts` is called for the sessions in this order. It does nothing while the
        process still reads an earlier set. Files that only grew are not read ahead, because they
        grow little; very large files are not either, because `facts` reads them in steps.
        """
        if self._ahead and not self._ahead.has_ended:
            return
        new = self._unknown(sessions)
        if is_worth_it(new, much):  # a command may have read and stored them, to show what leaves
            self._loaded = {file.path: file for file in self._load()} | self._known
            new = self._unknown(sessions)
        if is_worth_it(new, much):
            self.close()
            self._ahead = ReadAhead(new)

    def _unknown(self, sessions: Iterable[SourceSession]) -> list[SourceFile]:
        """The files of these sessions that `read_ahead` may read: never read, and not too large."""
        transcripts = (f for session in sessions for f in session.files if f.is_transcript)
        unknown = (file for file in transcripts if str(file.path) not in self._known)
        return [file for file in unknown if file.stat.size < limits.STEP_BYTES]

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead:
            self._ahead.close()
        self._ahead = None

    def of_file(self, file: SourceFile) -> Facts:
        """The facts from one file; reads what is new in it. Do not change the result.

        Raises:
            OSError: the file vanished, or cannot be read.
        """
        key = str(file.path)
        known = self._known.get(key)
        if known is None and self._ahead and (known := self._ahead.take(file)):
            self._save(known)
        if known is None or not known.position.is_current(file.stat):
            known = read_new(file, known, self._save)
            self._save(known)
        self._known[key] = known
        if known.position.offset < known.position.size:
            return self._with_last_line(file, known)
        self._torn.pop(key, None)
        return known.facts

    def _with_last_line(self, file: SourceFile, known: ReadFile) -> Facts:
        """The facts with those of an incomplete last line, which is not stored: it may change."""
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
