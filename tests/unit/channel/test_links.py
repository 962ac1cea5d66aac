"""Two outboxes that hold the same session: its chunks need space on the disk once."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.channel.layout import chunk_name, compress
from karma_sync.channel.outbox import Outbox
from tests.support.builders import ALICE, BOB, CAROL, Desk, Swapping, channel_of, said, team_of_all
from tests.unit.sending.test_packager import big, swapping

TEAMS = [team_of_all(ALICE, BOB), team_of_all(ALICE, CAROL, name="other")]


class Pair:
    """Two channels of one member that get the same sessions."""

    def __init__(self, root: Path) -> None:
        self.one, self.two = (
            Desk(root / team.name, channel_of(team, ALICE), swapping()) for team in TEAMS
        )
        for desk in self.both:
            desk.outbox = Outbox(desk.outbox.path, batched=True, siblings=self._outboxes)

    @property
    def both(self) -> tuple[Desk, Desk]:
        return self.one, self.two

    def write(self, content: bytes) -> None:
        for desk in self.both:
            desk.write(content)

    def inodes(self) -> list[dict[str, int]]:
        """The files of each outbox's chunks, by name."""
        return [
            {path.name: path.stat().st_ino for path in desk.outbox.path.glob("chunks/*/*")}
            for desk in self.both
        ]

    def _outboxes(self) -> list[Outbox]:
        return [desk.outbox for desk in self.both]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def packaged_side_by_side(pair: Pair) -> None:
    """Package as one pass does: nothing of the first is in its place when the second begins."""
    for desk in pair.both:
        desk.package()
    for desk in pair.both:
        desk.outbox.flush()


def packaged_one_after_the_other(pair: Pair) -> None:
    for desk in pair.both:
        desk.package()
        desk.outbox.flush()


@pytest.mark.parametrize("package", [packaged_side_by_side, packaged_one_after_the_other])
def test_a_chunk_of_one_outbox_is_linked_into_another(
    pair: Pair, package: Callable[[Pair], None]
) -> None:
    pair.write(big("the same", 3.0))
    package(pair)

    one, two = pair.inodes()
    assert len(one) > 3
    assert one == two
    for desk in pair.both:
        assert desk.content() == big("the same", 3.0)
        assert not list(desk.outbox.path.rglob(".tmp-*"))


def test_the_chunks_of_an_append_are_linked_too(pair: Pair) -> None:
    pair.write(big("the same"))
    packaged_side_by_side(pair)
    for desk in pair.both:
        desk.append(big("more"))
    packaged_side_by_side(pair)

    one, two = pair.inodes()
    assert len(one) > 2
    assert one == two
    assert [desk.content() for desk in pair.both] == [big("the same") + big("more")] * 2


def test_chunks_of_another_redactor_are_not_linked(pair: Pair) -> None:
    pair.two.restart(Swapping({b"the": b"[REDACTED:the]"}))
    pair.write(big("the same"))
    packaged_side_by_side(pair)

    one, two = pair.inodes()
    assert not one.keys() & two.keys()
    assert pair.two.content() == big("[REDACTED:the] same")


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP])
def test_without_hard_links_each_outbox_has_its_own_files(
    pair: Pair, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.link", refuse)
    pair.write(big("the same"))
    packaged_one_after_the_other(pair)

    one, two = pair.inodes()
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())
    assert [desk.content() for desk in pair.both] == [big("the same")] * 2


def _damaged(chunk: Path) -> None:
    frame = bytearray(chunk.read_bytes())
    frame[len(frame) // 2] ^= 1
    chunk.write_bytes(frame)


def _other_content(chunk: Path) -> None:
    chunk.write_bytes(compress(said("something else")))


def _leads_elsewhere(chunk: Path) -> None:
    kept = chunk.rename(chunk.with_name("kept"))
    chunk.symlink_to(kept)


@pytest.mark.parametrize("spoil", [_damaged, _other_content, _leads_elsewhere])
def test_a_changed_chunk_is_not_linked(pair: Pair, spoil: Callable[[Path], None]) -> None:
    pair.write(big("the same"))
    pair.one.package()
    pair.one.outbox.flush()
    for sha in pair.one.manifest().chunks():
        spoil(pair.one.outbox.path / chunk_name(sha))
    pair.two.package()
    pair.two.outbox.flush()

    assert pair.two.content() == big("the same")
    for sha in pair.two.manifest().chunks():
        found = (pair.two.outbox.path / chunk_name(sha)).lstat()
        assert found.st_nlink == 1


def test_a_session_removed_from_one_outbox_stays_in_the_other(pair: Pair) -> None:
    pair.write(big("the same"))
    packaged_side_by_side(pair)
    before = pair.two.files()
    one = pair.one
    hashes = one.manifest().chunks()
    one.packager.retract(one.channel, one.item(), one.outbox)
    for sha in hashes:
        one.outbox.remove_chunk(sha)

    assert pair.inodes()[0] == {}
    assert pair.two.files() == before


def test_an_item_that_failed_in_one_outbox_is_complete_in_the_other(pair: Pair) -> None:
    pair.write(big("the same"))
    pair.one.package()
    pair.two.package()
    pair.one.outbox.undo()  # its finished items stay
    pair.one.append(big("more") + said("poison"))
    redactor = pair.one.packager.redactor
    assert isinstance(redactor, Swapping)
    redactor.fails_on = b"poison"
    with pytest.raises(Exception, match="made to fail"):
        pair.one.package()
    for desk in pair.both:
        desk.outbox.flush()

    assert [desk.content() for desk in pair.both] == [big("the same")] * 2
