"""Whether the program's files are still those that were there when it started."""

import os
from pathlib import Path

import pytest

from karma_sync.runtime.installation import Installation, this_program


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "store" / "__pycache__").mkdir(parents=True)
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "store" / "intent.py").write_text("one = 1\n")
    return tmp_path


def test_files_that_nobody_touched_are_not_replaced(package: Path) -> None:
    installation = Installation(package)

    (package / "store" / "intent.py").read_text()

    assert not installation.is_replaced()


def test_what_python_compiles_changes_nothing(package: Path) -> None:
    installation = Installation(package)

    (package / "store" / "__pycache__" / "intent.pyc").write_bytes(b"compiled")

    assert not installation.is_replaced()


def test_a_file_that_was_changed_in_place_is_noticed(package: Path) -> None:
    installation = Installation(package)

    (package / "store" / "intent.py").write_text("one, two = 1, 2\n")

    assert installation.is_replaced()


def test_another_file_of_the_same_size_and_time_is_noticed(package: Path) -> None:
    installation = Installation(package)
    place = package / "store" / "intent.py"
    before, other = place.stat(), package / "other"
    other.write_text("two = 2\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(place)

    assert place.stat().st_size == before.st_size
    assert installation.is_replaced()


def test_a_new_and_a_missing_file_are_noticed(package: Path) -> None:
    for change in ((package / "new.py").touch, (package / "__init__.py").unlink):
        installation = Installation(package)
        change()

        assert installation.is_replaced()


def test_a_package_that_is_gone_is_replaced(package: Path) -> None:
    installation = Installation(package)

    for path in (package / "__init__.py", package / "store" / "intent.py"):
        path.unlink()

    assert installation.is_replaced()


def test_this_program_has_not_been_replaced() -> None:
    assert not this_program().is_replaced()
