"""Reads new transcripts in a second process, before the first process needs their facts.

Python runs one thread at a time, and a first pass over many sessions spends a third of its time
on collecting facts, which the second process does on another core
(docs/adr/0022-a-process-reads-ahead.md).
"""

import json
import os
import select
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path

from karma_sync.agents.claude.gathering import read_new
from karma_sync.domain.session.source_files import ReadFile, SourceFile, Stat
from karma_sync.runtime.second_process import MOST_REQUESTS, SecondProcess, serve

# For less than this, starting a second process takes longer than it saves.
MUCH_BYTES = 50_000_000
_UNREADABLE = b"null"
_PIECE_BYTES = 1 << 16
_MODULE = "karma_sync.agents.read_ahead"


def is_worth_it(files: Collection[SourceFile], much: int = MUCH_BYTES) -> bool:
    """Whether a second process that reads these files saves time: they have `much` bytes."""
    return sum(file.stat.size for file in files) >= much and (os.cpu_count() or 1) > 1


class ReadAhead:
    """Reads files that were never read before, in this order, while its caller does other work.

    The second process ends after the last file, after `close`, or when this process ends. If it
    dies, the caller reads the remaining files itself.
    """

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self._waiting = deque(files)
        self._asked: deque[str] = deque()
        self._read: dict[str, ReadFile] = {}
        self._passed: set[str] = set()
        self._process = SecondProcess(_MODULE)
        self._ready = select.poll()
        self._ready.register(self._process.answers, select.POLLIN | select.POLLHUP)
        self._arrived = bytearray()  # the beginning of an answer whose end has not arrived yet
        self.has_started = False  # whether the process has answered a request
        self._ask()

    def take(self, file: SourceFile) -> ReadFile | None:
        """Return the content read of this file, perhaps before it grew; None if nothing was read.

        Waits for the answer if the file was requested and the process has started to answer.
        """
        key = str(file.path)
        while (self.has_started and key in self._asked) or self._ready.poll(0):
            self._receive()
        self._passed.add(key)
        return self._read.pop(key, None)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended, so that nothing more is read ahead."""
        return self._process.has_ended

    def close(self) -> None:
        """End the process, and forget the answers that nobody took."""
        self._end()
        self._read.clear()

    def _ask(self) -> None:
        while self._waiting and len(self._asked) < MOST_REQUESTS:
            file = self._waiting.popleft()
            if str(file.path) not in self._passed:
                self._asked.append(str(file.path))
                self._send(file)
        if not self._asked:
            self._end()

    def _send(self, file: SourceFile) -> None:
        question = {"name": file.name, "path": str(file.path), "stat": asdict(file.stat)}
        try:
            self._process.request(json.dumps(question).encode())
        except BrokenPipeError:
            self._end()  # the process died

    def _receive(self) -> None:
        """Wait until more of an answer arrives."""
        arrived = os.read(self._process.answers.fileno(), _PIECE_BYTES)
        if not arrived:
            self._end()  # the process died
            return
        *answers, self._arrived = (self._arrived + arrived).split(b"\n")
        for found in answers:
            self._keep(self._asked.popleft(), bytes(found))
        self._ask()

    def _keep(self, key: str, found: bytes) -> None:
        self.has_started = True
        if found != _UNREADABLE and key not in self._passed:
            self._read[key] = ReadFile.from_json(found)

    def _end(self) -> None:
        if self.has_ended:
            return
        self._waiting.clear()
        self._asked.clear()
        self._ready.unregister(self._process.answers)
        self._process.close()


def answer(question: bytes) -> bytes:
    """The answer to a request: a ReadFile as one line of JSON; `null` if the file is unreadable."""
    request = json.loads(question)
    file = SourceFile(request["name"], Path(request["path"]), Stat(**request["stat"]))
    try:
        return read_new(file, None, lambda _: None).to_json().encode()
    except (OSError, ValueError):  # the first process reads the file itself and reports the error
        return _UNREADABLE


if __name__ == "__main__":
    serve(lambda question: [answer(question) + b"\n"])
