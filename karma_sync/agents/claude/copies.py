"""Joins the copies of one session that lie in several project directories.

`/cd` moves a transcript and goes on writing a few metadata records under the same ID in the old
directory; work trees and restored backups leave whole copies (docs/agent-files.md, "Sessions").
What a copy says decides what becomes of it, never its time: a stub that is still written would win
over the conversation.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from karma_sync.agents.growing_file import blocks, last_line, open_source
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.source_files import SourceFile, SourceSession, Stat

# Records of these types are the conversation; they count without a uuid too.
_MESSAGES = ("user", "assistant")


class _Line(msgspec.Struct, gc=False):
    type: str | None = None
    uuid: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Copies:
    """Joins copies of sessions; `facts` returns those of a file, and may raise OSError."""

    def __init__(self, facts: Callable[[SourceFile], Facts]) -> None:
        self._facts = facts
        # by the paths of two files: their state when they were compared, and whether the second
        # has content that the first does not have
        self._compared: dict[tuple[str, str], tuple[Stat, Stat, bool]] = {}

    def join(self, copies: Sequence[SourceSession]) -> SourceSession:
        """One session from its copies, of which there is at least one.

        - The transcript is the copy with the most messages.
        - A copy with other content is kept as `copies/N.jsonl`.
        - A copy that adds nothing is only read for the names that its records give the session.
        - The files beside all copies belong to it; of two with the same name, the larger one.
        """
        if len(copies) == 1:
            return copies[0]
        first, *others = sorted(copies, key=self._rank, reverse=True)
        kept: list[SourceFile] = [first.transcript]
        left_out: list[SourceFile] = []
        for other in others:
            says_more = all(self._says_more(file, other.transcript) for file in kept)
            (kept if says_more else left_out).append(other.transcript)
        extra = [replace(f, name=f"copies/{n}.jsonl") for n, f in enumerate(kept[1:], 1)]
        return replace(
            first,
            files=(first.transcript, *extra, *_beside([first, *others])),
            running=any(copy.running for copy in copies),
            closed=tuple(dict.fromkeys(path for copy in copies for path in copy.closed)),
            left_out=tuple(left_out),
        )

    def _rank(self, copy: SourceSession) -> tuple[bool, int, int, str]:
        """The rank of a copy; the copy with the highest rank is the transcript.

        One that cannot be read ranks first: the failure is shown, and nobody takes a stub for all
        that there is.
        """
        path = str(copy.directory)
        try:
            facts = self._facts(copy.transcript)
        except FileNotFoundError:
            return False, -1, 0, path
        except OSError:
            return True, 0, 0, path
        return False, facts.messages, facts.records, path

    def _says_more(self, first: SourceFile, second: SourceFile) -> bool:
        """Whether `second` has a message that `first` does not have."""
        if first.stat == second.stat:
            return False  # one file, under two names
        key = str(first.path), str(second.path)
        before = self._compared.get(key)
        if before is None or not _still_holds(*before, first.stat, second.stat):
            before = self._compared[key] = first.stat, second.stat, self._compare(first, second)
        return before[2]

    def _compare(self, first: SourceFile, second: SourceFile) -> bool:
        try:
            if self._facts(second).messages == 0:
                return False
            known = set(_said(first))
            return any(message not in known for message in _said(second))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # unreadable: carry it, so that the failure is shown


def _still_holds(
    first_before: Stat, second_before: Stat, says_more: bool, first: Stat, second: Stat
) -> bool:
    """Whether the result of a comparison still holds for files that only grew since."""
    if says_more:
        return _grew(first_before, first) and _grew(second_before, second)
    return second == second_before and _grew(first_before, first)


def _grew(before: Stat, now: Stat) -> bool:
    return now.inode == before.inode and now.size >= before.size


def _said(file: SourceFile) -> Iterator[bytes]:
    """The identity of each message of a file: its uuid, or a hash of its line."""
    with open_source(file) as source:
        offset = 0
        for block in blocks(source, 0, file.stat.size):
            offset += len(block)
            yield from _messages(block)
        yield from _messages(last_line(source, offset, file.stat.size))


def _messages(lines: bytes) -> Iterator[bytes]:
    for line in lines.split(b"\n"):
        try:
            record = _decode(line)
        except (msgspec.MsgspecError, ValueError):
            if line.strip():
                yield hashlib.sha256(line).digest()
            continue
        if record.uuid:
            yield record.uuid.encode()
        elif record.type in _MESSAGES:
            yield hashlib.sha256(line).digest()


def _beside(copies: Sequence[SourceSession]) -> list[SourceFile]:
    """The files beside the transcripts, by name; of two with the same name, the larger one."""
    found: dict[str, SourceFile] = {}
    for file in (file for copy in copies for file in copy.files[1:]):
        known = found.get(file.name)
        if known is None or file.stat.size > known.stat.size:
            found[file.name] = file
    return [found[name] for name in sorted(found)]
