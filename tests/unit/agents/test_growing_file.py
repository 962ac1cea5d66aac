"""Growing files: new whole lines are read, as long as the earlier content is unchanged."""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents import growing_file
from karma_sync.agents.growing_file import blocks, continues, last_line, open_source, position
from karma_sync.domain.session.source_files import SourceFile, Stat
from tests.support.builders import examples, said, scratch

LINES = [said(f"prompt {n} " + "x" * 300) for n in range(40)]


def found_file(path: Path) -> SourceFile:
    return SourceFile("transcript.jsonl", path, Stat.of(path.lstat()))


@examples()
@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n", b"long line", b"\x00"]), max_size=30),
    st.data(),
)
def test_blocks_are_the_whole_lines_between_two_offsets(
    pieces: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(pieces)
    starts = [0, *(n + 1 for n, byte in enumerate(content) if byte == 10)]
    start = data.draw(st.sampled_from(starts))
    stop = data.draw(st.integers(start, len(content)))
    size = data.draw(st.integers(1, 12))
    with scratch() as root, patch.object(growing_file, "BLOCK_BYTES", size):
        (root / "f").write_bytes(content)
        with (root / "f").open("rb") as source:
            read = list(blocks(source, start, stop))
            torn = last_line(source, start + len(b"".join(read)), stop)

    whole = content[start:stop]
    assert b"".join(read) == whole[: whole.rfind(b"\n") + 1]
    assert all(block.endswith(b"\n") for block in read)
    assert torn == b"", "nothing of it is JSON, and it was written a moment ago"


def torn_line(path: Path, content: bytes) -> bytes:
    with path.open("rb") as source:
        return last_line(source, 0, len(content))


@pytest.mark.parametrize(
    ("content", "complete"),
    [(b'{"a": 1}', True), (b'{"a": "caf\xc3', False), (b'{"a": [1', False), (b"", False)],
)
def test_an_incomplete_last_line_waits_until_it_parses_or_the_file_is_quiet(
    tmp_path: Path, content: bytes, complete: bool
) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)

    assert torn_line(path, content) == (content if complete else b"")
    os.utime(path, (0, 0))
    assert torn_line(path, content) == content


@pytest.mark.parametrize(
    ("change", "goes_on"),
    [
        (lambda was: was, False),  # nobody can tell without reading it
        (lambda was: was + LINES[0], True),
        (lambda was: was[:-1], False),
        (lambda was: b"", False),
        (lambda was: b"X" + was[1:], False),
        (lambda was: was[:-2] + b"X" + was[-1:] + LINES[0], False),
        (lambda was: LINES[1] + was, False),
        (lambda was: was[:5000] + b"X" + was[5001:], False),  # in the middle, of the same length
    ],
)
def test_reading_goes_on_only_if_the_earlier_content_is_unchanged(
    tmp_path: Path, change: Callable[[bytes], bytes], goes_on: bool
) -> None:
    path, was = tmp_path / "f", b"".join(LINES)
    path.write_bytes(was)
    file = found_file(path)
    with open_source(file) as source:
        before = position(source, file.stat, len(was))

    path.write_bytes(change(was))
    later = before.mtime_ns + 10**6  # two writes may come within one tick of the clock
    os.utime(path, ns=(later, later))

    with open_source(found_file(path)) as source:
        assert continues(source, before) is goes_on


def test_another_file_in_its_place_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    file = found_file(path)
    (tmp_path / "g").write_bytes(b"two")
    (tmp_path / "g").replace(path)

    with pytest.raises(FileNotFoundError):
        open_source(file)


def test_a_file_is_not_read_through_a_link_even_if_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    file = found_file(path)
    path.rename(tmp_path / "g")
    path.symlink_to(tmp_path / "g")

    with pytest.raises(OSError, match="symbolic links"):
        open_source(file)
