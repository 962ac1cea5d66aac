"""Use case of `session export`: writes a session in the layout of the agent that wrote it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from karma_sync.agents.claude.layout import place_of
from karma_sync.agents.claude.records import directories_of, parse_lines
from karma_sync.agents.claude.source import AGENT
from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.manifest import FILE_NAME
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import BadInput, Conflict, KarmaError
from karma_sync.files import PRIVATE_DIR, PRIVATE_FILE
from karma_sync.service.sessions.reading import ReadableSessions

_NO_DIRECTORY = "/unknown"  # stands for the directory of a session that names none


@dataclass(frozen=True)
class Exported:
    """The result of an export: the files, the transcript first, and their size in bytes."""

    files: list[Path]
    size: int


@dataclass(frozen=True)
class Exporter:
    """Writes sessions into directories; never into one of `kept_out`: the agents' own."""

    sessions: ReadableSessions
    kept_out: Iterable[Path]

    def original(self, scope: AccessScope, found: Readable, to: Path) -> Exported:
        """Write all files of a session below `to`, as the agent has them below its directory.

        Raises:
            BadInput: an agent reads its sessions there, or this version does not know the layout.
            Conflict: one of the files exists already; nothing was written.
            KarmaError: the session was replaced meanwhile, or the library is damaged.
        """
        facts = found.manifest.session
        if facts.agent != AGENT:
            raise BadInput(
                f"this version does not know how {facts.agent} lays out its files",
                hint=f"karma-sync session show {facts.session_id} --raw > session.jsonl",
            )
        self._require_elsewhere(to)
        cwd = self._directory(scope, found)
        named = [f.path for f in found.manifest.files if FILE_NAME.fullmatch(f.path)]
        named.sort(key=lambda name: name != TRANSCRIPT)
        places = {n: to / place_of(n, facts.session_id, cwd) for n in named}
        taken = next((p for p in places.values() if os.path.lexists(p)), None)
        if taken:
            raise Conflict(f"{taken} exists already", hint="choose another directory with --to")
        pieces = ((p, self.sessions.content(scope, found, n)) for n, p in places.items())
        return _written(pieces)

    def document(self, path: Path, pieces: Iterable[bytes]) -> Exported:
        """Write one file that was made of a session.

        Raises:
            BadInput: an agent reads its sessions there.
            Conflict: the file exists already.
        """
        self._require_elsewhere(path.parent)
        if os.path.lexists(path):
            raise Conflict(f"{path} exists already", hint="choose another directory with --to")
        return _written([(path, pieces)])

    def _require_elsewhere(self, to: Path) -> None:
        """An agent would take the session for one of its own, and it would be sent as mine."""
        real = Path(os.path.realpath(to))
        for each in self.kept_out:
            if real.is_relative_to(os.path.realpath(each)):
                raise BadInput(
                    f"{to} lies in {each}, where an agent would take the session for its own",
                    hint="choose another directory with --to",
                )

    def _directory(self, scope: AccessScope, found: Readable) -> str:
        """The first working directory that the session names."""
        for block in whole_lines(self.sessions.content(scope, found, TRANSCRIPT)):
            records, _ = parse_lines(block)
            for record in records:
                if cwd := next(filter(None, directories_of(record)), None):
                    return cwd
        return _NO_DIRECTORY


def _written(files: Iterable[tuple[Path, Iterable[bytes]]]) -> Exported:
    """Write new files, private to the user; all of them or none."""
    written: list[Path] = []
    made: list[Path] = []
    size = 0
    try:
        for path, pieces in files:
            made += _make_directories(path.parent)
            written.append(path)
            size += _write(path, pieces)
    except BaseException as error:
        if isinstance(error, FileExistsError):
            written.pop()  # it is somebody else's
        for path in written:
            path.unlink(missing_ok=True)
        for directory in reversed(made):
            _remove_if_empty(directory)
        if isinstance(error, OSError):
            where = error.filename or "the export"
            raise KarmaError(f"{where} cannot be written: {error.strerror}") from error
        raise
    return Exported(written, size)


def _write(path: Path, pieces: Iterable[bytes]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb") as out:
        for piece in pieces:
            out.write(piece)
        return out.tell()


def _make_directories(directory: Path) -> Iterator[Path]:
    """Make a directory unless it exists; gives those that were made, the outermost first."""
    missing = [each for each in (directory, *directory.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_DIR)
        yield each


def _remove_if_empty(directory: Path) -> None:
    if not any(directory.iterdir()):
        directory.rmdir()
