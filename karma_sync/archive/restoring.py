"""Puts an archived session back where its agent looks for it, byte for byte."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from karma_sync.archive.reader import ArchivedCopy, ArchiveReader
from karma_sync.archive.store import ArchivedFile
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.errors import Conflict, KarmaError
from karma_sync.files import Staged, delete_files, put_new, stage_new

# Below the agent's directory a session's files lie in these folders.
_FOLDERS = frozenset({"projects", "todos", "tasks", "plans", "file-history", "debug"})


@dataclass(frozen=True)
class RestoredFiles:
    """The result of a restore: `written` paths, and `kept` ones where another file lies already."""

    written: list[Path]
    kept: list[Path]
    size: int


def restore(reader: ArchiveReader, copy: ArchivedCopy, home: Path) -> RestoredFiles:
    """Put the files of a session back below an agent's directory; overwrites nothing.

    The transcript comes last: an agent that sees it finds all other files in their places. The
    files get the present time, because the agent deletes what was not written for a month.

    Raises:
        Conflict: the agent still has the session, or something else lies in its place.
        DamagedPack: the archive is damaged; nothing was put back.
        OSError: a file cannot be written; nothing was put back.
    """
    main = copy.file("transcript.jsonl")
    transcript = _place(home, main)
    if os.path.lexists(transcript):
        raise Conflict(
            f"the agent has session {copy.row.session}: {transcript}",
            hint="karma-sync session list",
        )
    # a file without a path lay behind a link, outside of the agent's directory
    files = [file for file in copy.newest if file.name != main.name and file.path]
    others = [(file, _place(home, file)) for file in files]
    staged: list[Staged] = []
    try:
        for file, path in [*others, (main, transcript)]:
            if not os.path.lexists(path):
                staged.append(_stage(reader, copy, file, path))
    except BaseException:
        delete_files(each.temporary for each in staged)
        raise
    written = put_new(staged)
    if transcript not in written:
        delete_files(written)
        raise Conflict(f"{transcript} appeared meanwhile; nothing was put back")
    kept = [path for _, path in others if path not in written]
    return RestoredFiles(written, kept, sum(path.stat().st_size for path in written))


def require_gone(copy: ArchivedCopy, home: Path) -> Path:
    """The place of the session's transcript; nothing lies there.

    Raises:
        Conflict: the agent has the session, or something else lies there.
    """
    transcript = _place(home, copy.file(TRANSCRIPT))
    if os.path.lexists(transcript):
        raise Conflict(f"the agent has session {copy.row.session}, in {transcript}")
    return transcript


def _place(home: Path, file: ArchivedFile) -> Path:
    """The path of a file in the agent's directory.

    Raises:
        KarmaError: the path leads elsewhere; only a damaged archive has one.
    """
    parts = PurePosixPath(file.path).parts
    is_inside = len(parts) > 1 and parts[0] in _FOLDERS and ".." not in parts
    if not is_inside or file.path.startswith("/") or "\0" in file.path:
        raise KarmaError(f"the archive has no usable place for {file.name}: {file.path!r}")
    return home.joinpath(*parts)


def _stage(reader: ArchiveReader, copy: ArchivedCopy, file: ArchivedFile, path: Path) -> Staged:
    """Write a file beside its place."""
    staged = stage_new(path, reader.content(copy, file))
    try:
        _require_whole(file, staged.temporary.stat().st_size)
    except BaseException:
        staged.discard()
        raise
    return staged


def _require_whole(file: ArchivedFile, size: int) -> None:
    if size != file.size:
        raise KarmaError(f"the archive has {size} of {file.size} bytes of {file.name}")
