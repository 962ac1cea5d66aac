"""Reads what is to be indexed in a second process, while the first one writes the index.

Python runs one thread at a time; half of the work of indexing is to find out what the records say,
which the second process does on another core (docs/adr/0056-a-process-extracts-what-is-indexed.md).
It decides nothing and writes nothing.
"""

import fcntl
import gc
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import msgspec

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.growing_file import lines_before_too_long
from karma_sync.channel.kept_content import KeptContent
from karma_sync.domain.session.manifest import Manifest
from karma_sync.domain.session.profile import ItemKind
from karma_sync.errors import KarmaError, Unverified
from karma_sync.runtime.second_process import MOST_REQUESTS, SecondProcess, serve
from karma_sync.store import library, search_index
from karma_sync.store.read_only import reading_only
from karma_sync.store.search_index import Extracted

# The size of the pipe: the second process goes on while the first one commits.
_PIPE_BYTES = 1 << 20
_MODULE = "karma_sync.receiving.index_ahead"
_LENGTH_BYTES = 4


class _Request(msgspec.Struct):
    """An item that is to be read."""

    root: str
    database: str
    folder: str
    item: str


class _Answer(msgspec.Struct, tag=True):
    """Begins the answer to a request; `revision` is 0 if the item cannot be read."""

    revision: int


class _Piece(msgspec.Struct, tag=True):
    """The indexed content of a block of lines; without `found`, the file at `path` ends."""

    path: str
    found: Extracted | None = None


class _End(msgspec.Struct, tag=True):
    """The end of an item's files, or of those that could be read."""


_Message = _Answer | _Piece | _End


class AheadEnded(Exception):
    """The second process died."""


class AheadFailed(Exception):
    """The second process could not read all of an item that it had begun."""


class IndexAhead:
    """Reads items of the library while its caller does other work.

    `root` is the library's directory, `database` its database. The second process ends after
    `close`, or when this process ends.
    """

    def __init__(self, root: Path, database: Path) -> None:
        self._root = root
        self._database = database
        self._waiting: deque[tuple[str, str]] = deque()
        self._asked: deque[tuple[str, str]] = deque()
        self._in_item = False
        self._process = SecondProcess(_MODULE)
        with suppress(AttributeError, OSError):  # not on macOS, nor beyond the user's limit
            fcntl.fcntl(self._process.answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._decode = msgspec.msgpack.Decoder(_Message).decode

    def request(self, items: Iterable[tuple[str, str]]) -> None:
        """Have these items, (folder, item), read in this order.

        Raises:
            AheadEnded: the process died.
        """
        self._waiting.extend(items)
        self._ask()

    def begin(self, folder: str, item: str, revision: int) -> bool:
        """Whether this revision of an item is read ahead: then `pieces` gives its files.

        Waits for the answer if the item is among the next that were requested.

        Raises:
            AheadEnded: the process died.
        """
        if self._in_item:  # the caller left it
            self._skip_pieces()
        if (folder, item) not in self._asked:
            return False
        while self._asked[0] != (folder, item):  # the caller indexed it, or it is gone
            self._next()
            self._skip_pieces()
        if self._next() == revision:
            return True
        self._skip_pieces()
        return False

    def pieces(self, path: str) -> Iterator[Extracted]:
        """Yield the indexed content of one file of the current item.

        The files come in the manifest's order.

        Raises:
            AheadEnded: the process died.
            AheadFailed: the process could not read the file.
        """
        while True:
            piece = self._receive()
            if not isinstance(piece, _Piece) or piece.path != path:
                self._in_item = not isinstance(piece, _End)
                raise AheadFailed(path)
            if piece.found is None:
                return
            yield piece.found

    def close(self) -> None:
        """End the process."""
        self._waiting.clear()
        self._asked.clear()
        self._process.close()

    def _ask(self) -> None:
        while self._waiting and len(self._asked) < MOST_REQUESTS:
            folder, item = self._waiting.popleft()
            self._asked.append((folder, item))
            request = _Request(str(self._root), str(self._database), folder, item)
            try:
                self._process.request(msgspec.json.encode(request))
            except BrokenPipeError:
                raise AheadEnded from None

    def _next(self) -> int:
        """Begin the next answer; the revision that it is about."""
        answer = self._receive()
        if not isinstance(answer, _Answer):
            raise AheadEnded
        self._asked.popleft()
        self._in_item = True
        self._ask()
        return answer.revision

    def _skip_pieces(self) -> None:
        while not isinstance(self._receive(), _End):
            continue
        self._in_item = False

    def _receive(self) -> _Message:
        read = self._process.answers.read
        length = read(_LENGTH_BYTES)
        content = read(int.from_bytes(length)) if len(length) == _LENGTH_BYTES else b""
        if not content or len(content) < int.from_bytes(length):
            raise AheadEnded
        message: _Message = self._decode(content)
        return message


def answers(request: bytes) -> Iterator[_Message]:
    """The answer to a request in pieces."""
    asked = msgspec.json.decode(request, type=_Request)
    try:
        with reading_only(Path(asked.database)) as tx:
            body = library.kept_body(tx, asked.folder, asked.item)
        manifest = Manifest.model_validate_json(body) if body else None
        if manifest is None or manifest.kind is not ItemKind.SESSION:
            raise FileNotFoundError(asked.item)
        kept = KeptContent(Path(asked.root), asked.folder, manifest)
        tails = kept.tails()
    except (OSError, ValueError, KarmaError):  # the first process finds the fault
        yield _Answer(0)
        yield _End()
        return
    yield _Answer(manifest.revision)
    extractor = EXTRACTORS.get(manifest.session.agent)
    with suppress(OSError, Unverified):  # here too: the file does not end then
        for file in manifest.files:
            if extractor and extractor.reads(file.path):
                chunks = (kept.chunk(sha, size) for sha, size in file.chunks)
                blocks = lines_before_too_long(chain(chunks, [tails[file.path]]))
                for found in search_index.extracted(extractor, blocks, 0):
                    yield _Piece(file.path, found)
                yield _Piece(file.path)
    yield _End()


def main() -> None:
    """Answer requests until the first process ends."""
    gc.set_threshold(100_000, 10, 10)  # it makes millions of objects, and hardly a cycle
    encode = msgspec.msgpack.Encoder().encode

    def framed(request: bytes) -> Iterator[bytes]:
        for each in answers(request):
            content = encode(each)
            yield len(content).to_bytes(_LENGTH_BYTES) + content

    serve(framed)


if __name__ == "__main__":
    main()
