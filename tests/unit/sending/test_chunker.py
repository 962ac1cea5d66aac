"""Cutting: however a file grows, the packaged bytes are those of redacting it as a whole."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents import growing_file
from karma_sync.domain import limits
from karma_sync.domain.session.manifest import ItemFile
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.source_files import PackedFile, SourceFile, Stat
from karma_sync.errors import KarmaError, RedactionFailed
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import Redactor, default_redactor
from karma_sync.sending.packaging.chunker import CutFile, cut_file
from karma_sync.sending.packaging.outgoing import Outgoing
from tests.support.builders import Swapping, examples, record, said, scratch

RULES = default_redactor()
TOKENS = [fill("ghp_{alnum:36}", seed=str(n)) for n in range(5)]
CHUNK = limits.CHUNK_BYTES


def swapping() -> Swapping:
    return Swapping({b"secret": b"[REDACTED:fake]", b"padding": b""})


class Growing:
    """A file of a session that grows, and its packaged content."""

    def __init__(self, path: Path, red: Redactor, name: str = "transcript.jsonl") -> None:
        self.path, self.red, self.name = path, red, name
        self.leave = Outgoing(red, "claude-code", Profile.FULL).file
        self.store: dict[str, bytes] = {}
        self.before: PackedFile | None = None
        self.entry: ItemFile | None = None
        self.path.touch()

    def write(self, content: bytes) -> None:
        """Write this content into the file; it keeps its inode."""
        with self.path.open("r+b") as out:
            out.truncate(len(content))
            out.write(content)

    def cut(self) -> CutFile:
        """Package the present content; the state for the next step goes through a database."""
        source = SourceFile(self.name, self.path, Stat.of(self.path.lstat()))
        done = cut_file(source, self.before, self.entry, self._put, self.leave)
        self.before = PackedFile.from_json(done.state.to_json())
        self.entry = ItemFile.model_validate_json(done.entry().model_dump_json())
        return done

    def packaged(self) -> bytes:
        """The content that a reader gets after the last step."""
        while (done := self.cut()).left:
            assert not done.state.position.is_current(Stat.of(self.path.lstat())), "it is to go on"
        return b"".join(self.store[sha] for sha, _ in done.chunks) + done.tail

    def whole(self) -> bytes:
        """The result of redacting everything at once: whole lines, and a complete last one."""
        content = self.path.read_bytes()
        end = content.rfind(b"\n") + 1
        return self.red.lines(content if is_complete(content[end:]) else content[:end]).data

    def _put(self, content: bytes) -> tuple[str, int]:
        sha = hashlib.sha256(content).hexdigest()
        self.store[sha] = content
        return sha, len(content)


def is_complete(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


_PIECES = [b"secret", b"padding", b"text ", b"\n", b"\n", b"{}", b'{"a": "secret"}', b"\x00" * 9]
_REAL = [t.encode() for t in TOKENS] + [b"\n", b"\n", b"password=", b"x" * 30, b'"', b"{", b"}"]
_changes = st.one_of(
    st.tuples(st.just("append"), st.lists(st.sampled_from(_PIECES), max_size=8).map(b"".join)),
    st.tuples(st.just("append"), st.lists(st.sampled_from(_REAL), max_size=8).map(b"".join)),
    st.tuples(st.just("append"), st.binary(max_size=20)),
    st.tuples(st.just("cut off"), st.integers(0, 200)),
    st.tuples(st.just("change"), st.integers(0, 200)),
)


def changed(content: bytes, how: str, what: bytes | int) -> bytes:
    if isinstance(what, bytes):
        return content + what
    at = min(what, len(content))
    return content[:at] if how == "cut off" else content[:at] + b"secret" + content[at + 6 :]


_any_growth = given(
    st.lists(_changes, min_size=1, max_size=10),
    st.sampled_from([16, 64, 100]),
    st.integers(1, 120),
    st.sampled_from([1, 50, 10**6]),
    st.sampled_from([swapping(), RULES]),
)


@examples(60)
@_any_growth
def test_steps_and_one_pass_package_the_same_bytes(
    steps: list[tuple[str, bytes | int]], chunk: int, block: int, step: int, red: Redactor
) -> None:
    assert_one_pass_packages_the_same(steps, chunk, block, step, red)


@pytest.mark.slow
@examples(600)
@_any_growth
def test_many_more_steps_and_one_pass_package_the_same_bytes(
    steps: list[tuple[str, bytes | int]], chunk: int, block: int, step: int, red: Redactor
) -> None:
    assert_one_pass_packages_the_same(steps, chunk, block, step, red)


def assert_one_pass_packages_the_same(
    steps: list[tuple[str, bytes | int]], chunk: int, block: int, step: int, red: Redactor
) -> None:
    content = b""
    with (
        scratch() as root,
        patch.object(limits, "CHUNK_BYTES", chunk),
        patch.object(limits, "END_BYTES", chunk // 4),
        patch.object(limits, "STEP_BYTES", step),
        patch.object(growing_file, "BLOCK_BYTES", block),
    ):
        file = Growing(root / "f", red)
        for how, what in steps:
            content = changed(content, how, what)
            file.write(content)

            assert file.packaged() == file.whole()
            assert file.entry is not None
            assert all(0 < size <= chunk for _, size in file.entry.chunks)
            assert file.entry.tail.size < chunk


@examples(100)
@given(st.lists(st.sampled_from(_PIECES), min_size=5, max_size=60), st.data())
def test_a_chunk_that_was_sealed_never_changes_while_the_file_grows(
    pieces: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(pieces)
    # each longer than the one before: one as long that was written to is cut afresh
    cuts = {*data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=8))}
    red = swapping()
    sealed: list[tuple[str, int]] = []
    with (
        scratch() as root,
        patch.object(limits, "CHUNK_BYTES", 40),
        patch.object(limits, "END_BYTES", 10),
    ):
        file = Growing(root / "f", red)
        for cut in sorted({*cuts, len(content)}):
            file.write(content[:cut])
            done = file.cut()

            assert list(done.chunks[: len(sealed)]) == sealed
            assert done.state.sealed >= len(sealed)
            sealed = list(done.chunks[: done.state.sealed])
            cuts_at_once = red.lines(file.path.read_bytes()[: done.state.position.offset]).cuts
            assert done.state.cuts == cuts_at_once


def session_of(count: int, start: int = 0) -> bytes:
    """Records like real ones; every fifth holds a token."""
    lines = []
    for n in range(start, start + count):
        secret = f" token={TOKENS[n % 5]}" if n % 5 == 0 else ""
        lines.append(
            record(type="user", n=n, message={"content": f"{n} " + "wörd " * 200 + secret})
        )
    return b"".join(lines)


def test_a_session_of_megabytes_grows_by_its_new_lines_only(tmp_path: Path) -> None:
    file = Growing(tmp_path / "f", RULES)
    content = session_of(700)
    file.write(content)
    assert file.packaged() == file.whole() == RULES.lines(content).data
    assert len(file.cut().chunks) > 3
    assert not any(token.encode() in b"".join(file.store.values()) for token in TOKENS)

    for start in (700, 701, 1900):
        before = set(file.store)
        content += session_of(start // 100, start)
        file.write(content)
        assert file.packaged() == file.whole()
        assert len(set(file.store) - before) <= 1


def test_lines_that_are_sealed_are_not_read_again(tmp_path: Path) -> None:
    file = Growing(tmp_path / "f", swapping())
    content = b"".join(said("x" * 500) for _ in range(2_000))
    file.write(content)
    packaged = file.packaged()
    with file.path.open("r+b") as out:
        out.seek(5_000)
        out.write(b"\n" * 100_000)  # reading this part again would package other bytes
    with file.path.open("ab") as out:
        out.write(said("one more"))

    assert file.packaged() == packaged + said("one more")


@pytest.mark.parametrize(
    "now",
    [
        lambda was: session_of(100),
        lambda was: was[: len(was) // 2],
        lambda was: b"",
        lambda was: b"X" + was[1:],
        lambda was: was[:-3] + b"X" + was[-2:] + said("more"),
        lambda was: said("on top") + was,
    ],
    ids=["rewound", "cut off", "emptied", "first byte", "last line", "line on top"],
)
def test_a_file_whose_past_changed_is_packaged_afresh(
    tmp_path: Path, now: Callable[[bytes], bytes]
) -> None:
    file = Growing(tmp_path / "f", RULES)
    was = session_of(200)
    file.write(was)
    before = file.packaged()

    file.write(now(was))

    assert file.packaged() == file.whole()
    assert file.whole() != before


def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    file = Growing(tmp_path / "f", RULES)
    whole, line = said("before"), said("torn " + TOKENS[0])
    for cut in (1, 30, len(line) - 3):
        file.write(whole + line[:cut])
        assert file.packaged() == whole

    for complete in (line[:-1], line, line + said("after")):
        file.write(whole + complete)
        assert file.packaged() == RULES.lines(whole + complete).data


def test_a_line_that_was_whole_without_its_end_may_still_become_another(tmp_path: Path) -> None:
    # a restored session without its last newline: the agent's next record is spliced on
    file = Growing(tmp_path / "f", RULES)
    file.write(said("one")[:-1])
    assert file.packaged() == said("one")[:-1]

    file.write(said("one")[:-1] + said(TOKENS[1]) + said("two"))

    assert file.packaged() == file.whole()
    assert TOKENS[1].encode() not in file.packaged()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\n" * 1_000,
        b"\x00" * 3 * CHUNK + b"\n" + said("after"),
        said("before") + b"\x00" * 700 + b"\n" + said("after"),
        said("x" * 6_000_000) + said("after a line of 6 MB with " + TOKENS[0]),
        b'{"torn": "' + b"x" * 6_000_000,
        said("y" * (CHUNK - len(said("")))) + said("behind a full chunk"),
        b"\xff\xfe\r\n" * 100_000,
    ],
    ids=["empty", "newline", "newlines", "NULs", "NUL run", "6 MB", "torn", "edge", "no UTF-8"],
)
def test_odd_files_are_packaged_unchanged_except_for_secrets(
    tmp_path: Path, content: bytes
) -> None:
    file = Growing(tmp_path / "f", RULES)
    half = len(content) // 2
    for part in (content[:half], content, content + said("more")):
        file.write(part)
        assert file.packaged() == file.whole()


def test_a_text_file_is_redacted_as_a_whole_each_time(tmp_path: Path) -> None:
    file = Growing(tmp_path / "f", RULES, "tool-results/t.txt")
    private = b"<private>\nmine\n</private>\n"
    file.write(b"plain\n" + private[:15])
    file.cut()

    file.write(b"plain\n" + private + b"end without newline")

    assert file.packaged() == RULES.text(b"plain\n" + private + b"end without newline").data
    assert b"mine" not in file.packaged()


def test_a_text_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = Growing(tmp_path / "f", swapping(), "tool-results/t.txt")
    with patch.object(limits, "TEXT_FILE_BYTES", 10):
        file.write(b"x" * 10)
        assert file.packaged() == b"x" * 10
        file.write(b"x" * 11)
        with pytest.raises(KarmaError, match="larger than 10 bytes"):
            file.cut()


def test_nothing_of_a_line_leaves_if_the_redactor_fails(tmp_path: Path) -> None:
    red = swapping()
    red.fails_on = b"poison"
    file = Growing(tmp_path / "f", red)
    file.write(said("fine") + said("poison"))

    with pytest.raises(RedactionFailed):
        file.cut()
    assert file.store == {}
