"""A team's metadata folder, into which any member can write anything at any time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.domain import limits
from karma_sync.team.documents.folder import IGNORES, DocumentFile, MetadataFolder, prepare
from karma_sync.team.documents.stored import MEMBER, RECEIPT, ROSTER
from tests.support.builders import ALICE, BOB, key_of, open_umask

A, B = key_of(ALICE).public, key_of(BOB).public
MINE = b"what I signed"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    prepare(tmp_path / "team")
    return tmp_path / "team"


def write(place: Path, name: str, content: bytes) -> Path:
    path = place / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def names(place: Path) -> set[str]:
    """Every file in the folder except the allow-list."""
    found = (str(p.relative_to(place)) for p in place.rglob("*") if not p.is_dir())
    return {name for name in found if name != ".stignore"}


def test_the_place_of_a_file_says_whose_it_is_and_of_which_kind(place: Path) -> None:
    write(place, f"roster/{A}.json", b"r")
    write(place, f"member/{B}.json", b"b")
    write(place, f"member/{A}.json", b"a")
    wanted = [
        DocumentFile(ROSTER, A, b"r"),
        *sorted(
            [DocumentFile(MEMBER, A, b"a"), DocumentFile(MEMBER, B, b"b")], key=lambda f: f.writer
        ),
    ]

    assert MetadataFolder(place).changed() == wanted


def test_a_file_is_given_again_only_when_it_changed_or_was_forgotten(place: Path) -> None:
    folder = MetadataFolder(place)
    path = write(place, f"member/{B}.json", b"one")
    assert folder.changed() == [DocumentFile(MEMBER, B, b"one")]
    assert folder.changed() == []

    path.with_suffix(".new").write_bytes(b"two")
    path.with_suffix(".new").replace(path)  # as Syncthing replaces a file
    assert folder.changed() == [DocumentFile(MEMBER, B, b"two")]
    assert folder.changed() == []

    folder.forget()
    assert folder.changed() == [DocumentFile(MEMBER, B, b"two")]


def test_a_folder_reads_only_the_kinds_it_was_made_for(place: Path) -> None:
    write(place, f"receipt/{B}.json", b"r")

    assert MetadataFolder(place).changed() == []
    assert MetadataFolder(place, (RECEIPT,)).changed() == [DocumentFile(RECEIPT, B, b"r")]


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert MetadataFolder(tmp_path / "nowhere").changed() == []


@pytest.mark.parametrize(
    "name",
    [
        f"{A}.json",
        f"other/{A}.json",
        f"member/{A}",
        f"member/{A}.json.tmp",
        f"member/.syncthing.{A}.json.tmp",
        f"member/{A}.sync-conflict-20260531-120000-ABCDEFG.json",
        f"member/{A.upper()}.json",
        f"member/{A[:-1]}.json",
        f"member/{A}0.json",
        "member/.json",
        "member/alice.json",
        "member/" + "g" * 64 + ".json",
        f"member/{A}.json\n",
    ],
)
def test_strange_names_are_passed_over(place: Path, name: str) -> None:
    write(place, name, b"x")

    assert MetadataFolder(place).changed() == []


def _directory(path: Path, _target: Path) -> Path:
    path.mkdir()
    return path


def _pipe(path: Path, _target: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    "odd",
    [
        Path.symlink_to,
        lambda path, target: path.symlink_to(f"{target}.nowhere"),
        _pipe,
        pytest.param(_directory),
    ],
)
def test_what_is_no_plain_file_is_neither_read_nor_waited_for(
    place: Path, tmp_path: Path, odd: Callable[[Path, Path], object]
) -> None:
    private = write(tmp_path, "private.txt", b"private")
    (place / "member").mkdir()
    odd(place / "member" / f"{A}.json", private)

    assert MetadataFolder(place).changed() == []


def test_a_linked_directory_is_not_read(place: Path, tmp_path: Path) -> None:
    write(tmp_path, f"outside/{A}.json", b"private")
    (place / "member").symlink_to(tmp_path / "outside")

    assert MetadataFolder(place).changed() == []


def test_of_a_file_that_is_too_large_no_more_is_read_than_tells_so(place: Path) -> None:
    path = write(place, f"member/{A}.json", b"")
    os.truncate(path, 1 << 40)  # takes no room on disk

    [found] = MetadataFolder(place).changed()
    assert len(found.raw) == limits.DOCUMENT_BYTES + 1


def test_my_file_is_written_once(place: Path) -> None:
    folder = MetadataFolder(place)
    assert folder.write(MEMBER, A, MINE) == f"member/{A}.json"
    written = (place / "member" / f"{A}.json").stat()

    assert folder.write(MEMBER, A, MINE) is None
    assert MetadataFolder(place).write(MEMBER, A, MINE) is None
    assert (place / "member" / f"{A}.json").stat() == written
    assert folder.write(MEMBER, A, b"newer") == f"member/{A}.json"
    assert (place / "member" / f"{A}.json").read_bytes() == b"newer"


@pytest.mark.parametrize(
    "harm",
    [
        lambda path, _: path.unlink(),
        lambda path, _: path.write_bytes(b"forged"),
        lambda path, _: path.write_bytes(MINE + b" "),
        lambda path, _: path.write_bytes(bytes(len(MINE))),
        lambda path, _: os.truncate(path, 0),
        lambda path, private: (path.unlink(), path.symlink_to(private)),
        lambda path, private: (path.unlink(), _pipe(path, private)),
        lambda path, _: (path.unlink(), path.parent.rmdir()),
        pytest.param(
            lambda path, private: (path.unlink(), _directory(path, private)),
        ),
    ],
    ids=["delete", "forge", "append", "blank", "empty", "link", "pipe", "delete all", "directory"],
)
def test_my_file_is_put_back_whatever_is_done_to_it(
    place: Path, tmp_path: Path, harm: Callable[[Path, Path], object]
) -> None:
    folder = MetadataFolder(place)
    private = write(tmp_path, "private.txt", MINE)
    folder.write(MEMBER, A, MINE)
    path = place / "member" / f"{A}.json"
    harm(path, private)

    assert folder.write(MEMBER, A, MINE) == f"member/{A}.json"
    assert path.read_bytes() == MINE
    assert path.is_file()
    assert not path.is_symlink()
    assert private.read_bytes() == MINE
    assert names(place) == {f"member/{A}.json"}
    assert folder.write(MEMBER, A, MINE) is None


def test_nothing_is_written_through_a_link_in_the_place_of_a_directory(
    place: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (place / "member").symlink_to(outside)

    MetadataFolder(place).write(MEMBER, A, MINE)

    assert list(outside.iterdir()) == []
    assert outside.stat().st_mode & 0o777 == 0o755


def test_my_file_is_put_back_even_where_somebody_put_a_file_for_its_directory(place: Path) -> None:
    write(place, "member", b"in the way")

    assert MetadataFolder(place).write(MEMBER, A, MINE) == f"member/{A}.json"


def test_a_folder_is_prepared_with_an_allow_list_that_is_put_back(place: Path) -> None:
    ignores = place / ".stignore"
    assert ignores.read_text(encoding="utf-8") == IGNORES
    assert IGNORES.endswith("*\n")
    written = ignores.stat()

    prepare(place)
    assert ignores.stat() == written
    ignores.write_text("!*\n", encoding="utf-8")
    prepare(place)
    assert ignores.read_text(encoding="utf-8") == IGNORES


def test_everything_in_it_is_nobody_elses(tmp_path: Path) -> None:
    with open_umask():
        prepare(tmp_path / "team")
        MetadataFolder(tmp_path / "team").write(MEMBER, A, MINE)

    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "team").rglob("*")}
    assert modes == {".stignore": 0o600, "member": 0o700, f"{A}.json": 0o600}
    assert (tmp_path / "team").stat().st_mode & 0o777 == 0o700
