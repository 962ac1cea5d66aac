"""Importing: the library keeps exactly the bytes that were verified."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from karma_sync.channel.layout import chunk_name, compress, item_name
from karma_sync.channel.verify import (
    verify_chunk,
    verify_item,
    verify_observations,
    verify_retraction,
)
from karma_sync.domain.mesh.channels import Channel
from karma_sync.errors import KarmaError, NotFound, Unverified
from karma_sync.files import write_private
from karma_sync.receiving.importer import Importer, MissingChunks, VerifiedFiles, Verifier
from karma_sync.store.library import open_library
from tests.support.builders import (
    ALICE,
    BOB,
    NOW,
    VERIFIER,
    Desk,
    Shelf,
    Swapping,
    channel_of,
    key_of,
    resigned,
    said,
    team_of_all,
)

TEAM = team_of_all(ALICE, BOB)
CHANNEL = channel_of(TEAM, ALICE)
LINE = b"x" * 900


def lines(text: str, count: int = 700) -> bytes:
    """More than two full chunks of prompts."""
    return b"".join(said(f"{text} {n} ") + LINE + b"\n" for n in range(count))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "alice", CHANNEL, Swapping({}))
    desk.write(lines("one"))
    desk.write(b"note", "s1/tool-results/note.txt")
    desk.package()
    return desk


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "bob")


def take(shelf: Shelf, desk: Desk, channel: Channel = CHANNEL) -> None:
    shelf.importer.import_item(channel, desk.outbox.path, desk.item())


def refused(shelf: Shelf, desk: Desk) -> str:
    """The code of the refusal; checks that the library is unchanged."""
    before = shelf.files()
    with pytest.raises(Unverified) as error:
        take(shelf, desk)
    assert shelf.files() == before
    return error.value.code


def item_path(desk: Desk) -> Path:
    return desk.outbox.path / item_name(desk.item())


def chunk_paths(desk: Desk) -> list[Path]:
    """The chunks of the item, in their order in the transcript."""
    [file] = [f for f in desk.manifest().files if f.path == "transcript.jsonl"]
    return [desk.outbox.path / chunk_name(sha) for sha, _ in file.chunks]


def expected(desk: Desk) -> set[str]:
    """The files that the library should hold of this one item."""
    manifest = desk.manifest()
    kept = {chunk_name(sha) for sha in manifest.chunks()}
    return kept | {f"items/{CHANNEL.id}/{manifest.item}.{manifest.revision}.ks"}


def test_an_imported_session_is_read_byte_for_byte(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)

    assert shelf.read() == lines("one")
    assert shelf.read(name="tool-results/note.txt") == b"note"
    assert shelf.files() == expected(desk)
    [found] = shelf.library.sessions(shelf.scope)
    assert (found.manifest, found.arrived, found.folder) == (desk.manifest(), NOW, CHANNEL.id)


def test_the_same_bytes_again_change_nothing(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    watcher = open_library(shelf.root / "library.db")
    before = watcher.data_version(), snapshot(shelf)

    take(shelf, desk)
    Importer(shelf.root, shelf.store, VERIFIER, shelf.indexer, lambda: NOW)
    take(shelf, desk)

    assert (watcher.data_version(), snapshot(shelf)) == before
    watcher.close()


def snapshot(shelf: Shelf) -> dict[str, tuple[int, int]]:
    stats = {name: (shelf.root / name).stat() for name in shelf.files()}
    return {name: (found.st_ino, found.st_mtime_ns) for name, found in stats.items()}


def test_a_newer_revision_takes_the_place_of_the_older(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    desk.append(said("more"))
    desk.package()
    take(shelf, desk)

    assert shelf.read() == lines("one") + said("more")
    assert shelf.files() == expected(desk)


def test_the_library_keeps_files_that_a_peer_deletes(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    for path in [item_path(desk), *chunk_paths(desk)]:
        path.unlink()

    assert shelf.read() == lines("one")


def alter_in_place(shelf: Shelf, desk: Desk) -> bytes:
    """Alter an imported item through its link, and have that found; its bytes before."""
    good = item_path(desk).read_bytes()
    item_path(desk).write_bytes(good[:-3] + b"???")
    with pytest.raises(Unverified):
        take(shelf, desk)
    return good


def test_an_item_that_was_altered_through_its_link_is_read_again_once_its_bytes_come_back(
    shelf: Shelf, desk: Desk
) -> None:
    take(shelf, desk)
    good = alter_in_place(shelf, desk)
    with pytest.raises(KarmaError, match="missing in the library"):
        shelf.read()

    swapper(item_path(desk), good)
    take(shelf, desk)

    assert shelf.read() == lines("one")
    assert shelf.read(name="tool-results/note.txt") == b"note"
    assert shelf.files() == expected(desk)


def test_an_item_that_was_altered_through_its_link_gets_a_newer_revision_too(
    shelf: Shelf, desk: Desk
) -> None:
    take(shelf, desk)
    good = alter_in_place(shelf, desk)

    swapper(item_path(desk), good)
    desk.append(said("more"))
    desk.package()
    take(shelf, desk)

    assert shelf.read() == lines("one") + said("more")
    assert shelf.files() == expected(desk)


def test_other_content_under_the_revision_of_a_lost_item_is_refused(
    shelf: Shelf, desk: Desk
) -> None:
    take(shelf, desk)
    good = alter_in_place(shelf, desk)

    swapper(item_path(desk), resigned(good, key_of(ALICE), redactor="another"))

    assert refused(shelf, desk) == "6-newer"


def test_where_there_are_no_hard_links_the_bytes_are_copied(shelf: Shelf, desk: Desk) -> None:
    with patch("os.link", side_effect=PermissionError(1, "no links here")):
        take(shelf, desk)
    for path in [item_path(desk), *chunk_paths(desk)]:
        path.write_bytes(b"changed in place")

    assert shelf.read() == lines("one")
    assert {(shelf.root / n).stat().st_mode & 0o777 for n in shelf.files()} == {0o600}


def swapper(path: Path, content: bytes) -> None:
    """Replace a file with another one, as Syncthing does."""
    path.with_name(".tmp").write_bytes(content)
    path.with_name(".tmp").replace(path)


def test_an_item_that_is_swapped_while_it_is_verified_is_kept_as_it_was_verified(
    tmp_path: Path, desk: Desk
) -> None:
    def item(raw: bytes, name: str, channel: Channel, last: int) -> VerifiedFiles:
        swapper(item_path(desk), b"evil")
        return verify_item(raw, name, channel, last)

    shelf = Shelf(
        tmp_path / "bob", Verifier(item, verify_chunk, verify_retraction, verify_observations)
    )
    wanted = expected(desk)
    take(shelf, desk)

    assert shelf.read(name="tool-results/note.txt") == b"note"
    assert shelf.files() == wanted


def test_a_chunk_that_is_swapped_while_it_is_verified_is_kept_as_it_was_verified(
    tmp_path: Path, desk: Desk
) -> None:
    def chunk(frame: bytes, sha: str, size: int) -> None:
        swapper(desk.outbox.path / chunk_name(sha), compress(b"evil" * (size // 4)))
        verify_chunk(frame, sha, size)

    shelf = Shelf(
        tmp_path / "bob", Verifier(verify_item, chunk, verify_retraction, verify_observations)
    )
    take(shelf, desk)

    assert shelf.read() == lines("one")


def as_link(path: Path, elsewhere: Path) -> None:
    path.replace(elsewhere)
    path.symlink_to(elsewhere)


def as_directory(path: Path, elsewhere: Path) -> None:
    path.replace(elsewhere)
    path.mkdir()


def as_pipe(path: Path, elsewhere: Path) -> None:
    path.replace(elsewhere)
    os.mkfifo(path)


ODD = [as_link, as_directory, as_pipe]


@pytest.mark.parametrize("odd", ODD)
def test_an_item_that_is_no_plain_file_is_refused(
    shelf: Shelf, desk: Desk, tmp_path: Path, odd: Callable[[Path, Path], None]
) -> None:
    odd(item_path(desk), tmp_path / "elsewhere")

    with pytest.raises(Unverified) as error:
        shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item())
    assert error.value.code == "1-path"
    assert shelf.files() == set()


@pytest.mark.parametrize("odd", ODD)
def test_a_chunk_that_is_no_plain_file_is_refused(
    shelf: Shelf, desk: Desk, tmp_path: Path, odd: Callable[[Path, Path], None]
) -> None:
    odd(chunk_paths(desk)[0], tmp_path / "elsewhere")

    assert refused(shelf, desk) == "1-path"


def test_a_file_that_is_too_large_is_not_read(shelf: Shelf, desk: Desk) -> None:
    os.truncate(chunk_paths(desk)[0], 1 << 40)
    assert refused(shelf, desk) == "2-size"
    os.truncate(item_path(desk), 1 << 40)
    with pytest.raises(Unverified) as error:
        shelf.importer.import_item(CHANNEL, desk.outbox.path, desk.item())
    assert error.value.code == "2-size"


def test_an_item_waits_for_exactly_the_chunks_it_lacks(shelf: Shelf, desk: Desk) -> None:
    first, *others = chunk_paths(desk)
    frames = {path: path.read_bytes() for path in others}
    for path in others:
        path.unlink()

    with pytest.raises(MissingChunks) as waiting:
        take(shelf, desk)

    assert waiting.value.hashes == {path.stem for path in others}
    assert shelf.files() == set()
    with pytest.raises(NotFound):
        shelf.read()
    for path, frame in frames.items():
        path.write_bytes(frame)
    take(shelf, desk)
    assert shelf.read() == lines("one")
    assert first.stem in {Path(name).stem for name in shelf.files()}


def test_while_a_newer_revision_waits_the_older_is_read(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    desk.append(lines("more"))
    desk.package()
    chunk_paths(desk)[-1].unlink()

    with pytest.raises(MissingChunks):
        take(shelf, desk)
    assert shelf.read() == lines("one")


def test_a_chunk_of_another_channel_is_not_used(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    home = team_of_all(ALICE, BOB, name="home")
    other = Desk(desk.claude.parent.parent / "other", channel_of(home, ALICE), Swapping({}))
    other.write(lines("one"))
    other.package()
    [path, *_] = chunk_paths(other)
    path.unlink()

    with pytest.raises(MissingChunks) as waiting:
        take(shelf, other, other.channel)
    assert waiting.value.hashes == {path.stem}


def test_a_wrong_chunk_is_refused_and_the_older_revision_stays(shelf: Shelf, desk: Desk) -> None:
    take(shelf, desk)
    desk.append(lines("more"))
    desk.package()
    [transcript] = [f for f in desk.manifest().files if f.path == "transcript.jsonl"]
    sha, size = transcript.chunks[-1]
    write_private(desk.outbox.path / chunk_name(sha), compress(bytes(size)))

    with pytest.raises(Unverified) as error:
        take(shelf, desk)
    assert error.value.code == "7-hash"
    assert shelf.read() == lines("one")


def test_a_replay_of_an_older_revision_is_refused(shelf: Shelf, desk: Desk) -> None:
    older = item_path(desk).read_bytes()
    desk.append(said("more"))
    desk.package()
    take(shelf, desk)
    write_private(item_path(desk), older)

    assert refused(shelf, desk) == "6-newer"
    assert shelf.read() == lines("one") + said("more")
