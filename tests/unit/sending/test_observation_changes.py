"""Packaging and importing only the changes of many observations ends as with all of them."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from karma_sync.agents.engram.following import EngramFollower
from karma_sync.agents.engram.source import EngramFolder, EngramSource
from karma_sync.channel.own_items import read_back
from karma_sync.domain.session.observation import Observation, decoded, lines_of
from karma_sync.receiving.changed_chunks import LinesOf, changed_lines
from karma_sync.sending.packaging.observations import ObservationPackager
from karma_sync.store import observations
from karma_sync.store.read_only import reading_only
from tests.support.builders import ALICE, NOW_MS, Shelf, Swapping
from tests.support.engram_home import EngramHome, row, write_chunk
from tests.support.observing import SOURCE, ObservingDesk, read, saved
from tests.unit.receiving.test_observations import FROM_ALICE

STEPS = 25
RUNS = 2  # each with a seed of its own, but for the first


def chosen(run: int) -> random.Random:
    """The choices of a run; the first are those that once led to another file."""
    seed = random.SystemRandom().randrange(2**32) if run else 3102871969
    print(f"seed {seed}")
    return random.Random(seed)  # noqa: S311 for a test


class Reads:
    """Counts the chunks that are read from an outbox."""

    def __init__(self, desk: ObservingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chunks = 0
        plain = desk.outbox.read_chunk

        def read_chunk(sha256: str) -> bytes:
            self.chunks += 1
            return plain(sha256)

        monkeypatch.setattr(desk.outbox, "read_chunk", read_chunk)


def many(count: int, **changes: Any) -> dict[str, Observation]:
    """Observations of about 1.5 kB each, by id."""
    found = (saved(ALICE, n, content=f"text {n} " * 150, **changes) for n in range(count))
    return {each.id: each for each in found}


@pytest.mark.parametrize("run", range(RUNS))
def test_changes_lead_to_the_file_that_the_whole_leads_to(tmp_path: Path, run: int) -> None:
    chance = chosen(run)
    mine = many(500)
    desk, shelf = ObservingDesk(tmp_path / "a", FROM_ALICE), Shelf(tmp_path / "shelf")
    packager = ObservationPackager(desk.packager, lambda: NOW_MS * 10**6)
    desk.send(mine.values())
    desk.arrive_at(shelf)

    for step in range(STEPS):
        changed, gone = _change(chance, mine, step)
        packed = packager.package_changes(desk.channel, SOURCE, changed.values(), gone, desk.outbox)
        assert packed is not None
        desk.arrive_at(shelf)
        assert {e.id: e.record for e in read(shelf)} == mine

    manifest = desk.described()
    whole = ObservingDesk(tmp_path / "b", FROM_ALICE)
    whole.send(_lines(desk))
    assert whole.described().files == manifest.files
    assert whole.described().session.records == manifest.session.records
    assert dict(whole.described().redactions) == dict(manifest.redactions)
    assert desk.send(mine.values()).revision == 0  # the whole finds nothing more


def _lines(desk: ObservingDesk) -> list[Observation]:
    """The records that left, deletions included."""
    before = read_back(desk.outbox, desk.item_of(), desk.channel.owner.key)
    assert before is not None
    [file] = before.manifest.files
    raw = b"".join(before.content(file, desk.outbox))
    return [decoded(line) for line in lines_of(raw)]


def _change(
    chance: random.Random, mine: dict[str, Observation], step: int
) -> tuple[dict[str, Observation], set[str]]:
    changed = {}
    for number in chance.sample(range(520), chance.choice([1, 1, 2, 30])):
        long = "x" * chance.choice([10, 2_000, 100_000])
        before = mine.get(f"obs-{number:04d}")
        version = before.version + 1 if before else 10_000_000 + step
        each = saved(ALICE, number, version=version, content=f"step {step} {long}")
        changed[each.id] = each
    gone = set(chance.sample(sorted(mine), chance.choice([0, 0, 1, 5]))) - changed.keys()
    mine |= changed
    for name in gone:
        del mine[name]
    return changed, gone


def test_an_edit_reads_and_verifies_what_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = many(1_000)
    desk, shelf = ObservingDesk(tmp_path / "a", FROM_ALICE), Shelf(tmp_path / "shelf")
    packager = ObservationPackager(desk.packager, lambda: NOW_MS * 10**6)
    desk.send(mine.values())
    desk.arrive_at(shelf)
    edit = mine["obs-0500"].changed(version=99_999, title="edited")
    packager.package_changes(desk.channel, SOURCE, [edit], [], desk.outbox)  # it learns the parts
    desk.arrive_at(shelf)
    chunks = len(desk.described().files[0].chunks)
    reads = Reads(desk, monkeypatch)

    again = edit.again(100_000)
    packager.package_changes(desk.channel, SOURCE, [again], [], desk.outbox)
    desk.arrive_at(shelf)

    assert chunks > 5
    assert 0 < reads.chunks <= 2
    assert next(e.record.version for e in read(shelf) if e.id == edit.id) == 100_000
    with shelf.library.store.reading() as tx:
        assert list(observations.results(tx).values()) == [{"imported": 1, "skipped": 999}]


def test_of_another_redactor_all_is_packaged(tmp_path: Path) -> None:
    desk = ObservingDesk(tmp_path / "a", FROM_ALICE)
    packager = ObservationPackager(desk.packager, lambda: NOW_MS * 10**6)

    assert packager.package_changes(desk.channel, SOURCE, [saved(ALICE)], [], desk.outbox) is None
    desk.send([saved(ALICE)])
    desk.restart(Swapping({b"thing": b"thong"}, "swap-2"))
    packager = ObservationPackager(desk.packager, lambda: NOW_MS * 10**6)
    assert packager.package_changes(desk.channel, SOURCE, [saved(ALICE)], [], desk.outbox) is None


# ---- what two revisions have in common


def content(*pieces: bytes, tail: bytes = b"") -> LinesOf:
    by_name = {f"{piece!r}": piece for piece in pieces}
    return LinesOf([(name, 0) for name in by_name], lambda sha, size: by_name[sha], tail)


def test_what_both_revisions_have_is_not_among_the_change() -> None:
    before = content(b"1\n", b"2\n", b"3\n", tail=b"4\n")

    assert changed_lines(before, before) == ([], [])
    assert changed_lines(before, content(b"1\n", b"x\n", b"3\n", tail=b"4\n")) == (
        [b"2\n"],
        [b"x\n"],
    )
    assert changed_lines(before, content(b"1\n", b"2\n", b"3\n", tail=b"5\n")) == (
        [b"4\n"],
        [b"5\n"],
    )


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (content(b"1\n", b"2\n"), content(b"2\n", b"1\n")),
        (content(b"1", b"2\n3\n"), content(b"1", b"4\n3\n")),
        (content(b"1\n", b"2", b"3\n"), content(b"1\n", b"x\n", b"3\n")),
        (content(b"1\n", b"2", tail=b"3\n"), content(b"1\n", b"x\n", tail=b"3\n")),
        (content(b"1", tail=b"2\n"), content(b"1", tail=b"3\n")),
    ],
    ids=["another order", "begins in a line", "was in a line", "ends in a line", "end in a line"],
)
def test_a_change_in_the_middle_of_a_line_is_not_told(before: LinesOf, now: LinesOf) -> None:
    assert changed_lines(before, now) is None


def test_a_chunk_that_comes_twice_is_not_told() -> None:
    twice = LinesOf([("a", 0), ("a", 0)], lambda sha, size: b"1\n", b"")
    assert changed_lines(twice, twice) is None


# ---- following Engram


def engram_source(tmp_path: Path, *authors: str) -> EngramSource:
    folders = [EngramFolder(tmp_path / "repo")]
    return EngramSource(
        tmp_path / "engram", lambda: folders, lambda: frozenset(authors), reading_only
    )


@pytest.mark.parametrize("run", range(RUNS))
def test_following_tells_what_reading_all_tells(tmp_path: Path, run: int) -> None:
    chance = chosen(run)
    engram = EngramHome(tmp_path / "engram")
    engram.session("s1", tmp_path / "repo")
    source = engram_source(tmp_path, "me")
    follower = EngramFollower(source)
    known = {each.record.id: each for each in follower.read().found}
    told = 0
    for step in range(STEPS):
        with closing(sqlite3.connect(engram.path)) as opened:
            for query, values in chance.sample(_edits(step, chance), chance.choice([1, 2, 3])):
                opened.execute(query, values)
            opened.commit()
        changes = follower.changes()
        if changes is None:
            known = {each.record.id: each for each in follower.read().found}
        else:
            told += 1
            for each in changes.gone:
                known.pop(each, None)
            known |= {each.record.id: each for each in changes.found}
        assert known == {each.record.id: each for each in source.read().found}, step
    assert told > STEPS // 2


def _edits(step: int, chance: random.Random) -> list[tuple[str, list[object]]]:
    at, number = f"2026-11-20 12:{step:02d}:00", chance.randrange(1, 12)
    insert = (
        "INSERT INTO observations (sync_id, session_id, type, title, content, project, scope,"
        " created_at, updated_at) VALUES (?, 's1', 'bugfix', ?, 'c', 'repo', ?, ?, ?)"
    )
    fields = [f"t{step}", chance.choice(["project", "personal"]), at, at]
    edit = (
        "UPDATE observations SET title = ?, revision_count = revision_count + 1, updated_at = ?"
        " WHERE id = ?"
    )
    gone = "INSERT INTO sync_mutations (entity, entity_key, op) VALUES ('observation', ?, 'delete')"
    session = "INSERT INTO sessions VALUES (?, 'repo', '/src', NULL, NULL, NULL, NULL)"
    return [
        (insert, [f"obs-{step}", *fields]),
        (insert, [f"obs-{chance.randrange(5)}", *fields]),  # perhaps an id that is there
        (insert, [None, *fields]),
        (edit, [f"e{step}", at, number]),
        ("UPDATE observations SET scope = 'personal' WHERE id = ?", [number]),
        ("UPDATE observations SET deleted_at = ? WHERE id = ?", [at, number]),
        ("DELETE FROM observations WHERE id = ?", [number]),
        (gone, [f"obs-{chance.randrange(20)}"]),
        (session, [f"n{step}"]),
    ]


def test_what_a_chunk_or_an_import_changes_is_read_as_a_whole(tmp_path: Path) -> None:
    engram = EngramHome(tmp_path / "engram")
    engram.save("one")
    follower = EngramFollower(engram_source(tmp_path, "me"))
    assert follower.changes() is None
    follower.read()
    assert follower.changes() is not None

    engram.insert("sync_chunks", chunk_id="0badcafe", imported_at="2026-11-21 12:00:00")
    assert follower.changes() is None
    follower.read()
    write_chunk(tmp_path / "repo" / ".engram", [row("two")], "me")
    assert follower.changes() is None
    engram.path.write_bytes(b"no database")
    assert not follower.read().whole
    assert follower.changes() is None
