"""Reads what is new in sessions, once, and remembers what it told."""

from collections.abc import Callable

from karma_sync.domain.facts import Facts
from karma_sync.domain.source import ReadFile, SourceFile, SourceSession
from karma_sync.sources.growing import blocks, continues, last_line, open_source, position


class Catalogue:
    """What every session on this machine tells of itself.

    `load` and `save` keep what was read across restarts.
    """

    def __init__(
        self, load: Callable[[str], ReadFile | None], save: Callable[[ReadFile], None]
    ) -> None:
        self._load = load
        self._save = save
        self._known: dict[str, ReadFile] = {}

    def facts(self, session: SourceSession) -> Facts:
        """What the transcript tells, with the directories that its subagents worked in.

        Raises:
            OSError: a file vanished, or cannot be read.
        """
        told = [self._read(f) for f in session.files if f.is_lines]
        facts = told[0].model_copy(deep=True)
        for other in told[1:]:
            facts.cwds += [cwd for cwd in other.cwds if cwd not in facts.cwds]
        return facts

    def _read(self, file: SourceFile) -> Facts:
        key = str(file.path)
        known = self._known.get(key) or self._load(key)
        if known is None or not known.position.same(file.stat):
            known = self._read_new(file, known)
            self._save(known)
        self._known[key] = known
        if known.position.offset < known.position.size:
            return _with_last_line(file, known)
        return known.facts

    def _read_new(self, file: SourceFile, known: ReadFile | None) -> ReadFile:
        with open_source(file) as source:
            if known and continues(source, known.position):
                facts, offset = known.facts.model_copy(deep=True), known.position.offset
            else:
                facts, offset = Facts(), 0
            for block in blocks(source, offset, file.stat.size):
                facts.feed(block)
                offset += len(block)
            reached = position(source, file.stat, offset)
        return ReadFile(path=str(file.path), position=reached, facts=facts)


def _with_last_line(file: SourceFile, known: ReadFile) -> Facts:
    """What a last line without its end tells counts too, but may still change."""
    with open_source(file) as source:
        line = last_line(source, known.position.offset, file.stat.size)
    facts = known.facts.model_copy(deep=True)
    facts.feed(line)
    return facts
