"""Reads what is new in one file, for what it tells of its session."""

from collections.abc import Callable
from dataclasses import replace

from karma_sync.agents.growing_file import blocks, continues, open_source, position
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.source_files import ReadFile, SourceFile


def read_new(
    file: SourceFile, known: ReadFile | None, save: Callable[[ReadFile], None]
) -> ReadFile:
    """The file as far as it was there when it was found, read on from where it is `known`.

    Of a large one `save` gets how far it came, now and then: a restart goes on from there.

    Raises:
        OSError: it vanished, or cannot be read.
    """
    with open_source(file) as source:
        if known and continues(source, known.position):
            facts, offset = known.facts.model_copy(deep=True), known.position.offset
        else:
            facts, offset = Facts(), 0
        saved = offset
        for block in blocks(source, offset, file.stat.size):
            facts.feed(block)
            offset += len(block)
            if offset - saved >= limits.STEP_BYTES:
                so_far = position(source, replace(file.stat, size=offset), offset)
                save(ReadFile(path=str(file.path), position=so_far, facts=facts))
                saved = offset
        reached = position(source, file.stat, offset)
    return ReadFile(path=str(file.path), position=reached, facts=facts)
