"""Packaging: the whole session leaves, redacted, and is written only when it changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from karma_sync.channel.layout import chunk_name, item_name
from karma_sync.domain import limits
from karma_sync.domain.session.profile import Profile
from karma_sync.errors import KarmaError, RedactionFailed
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import default_redactor
from karma_sync.sending.packaging.outgoing import Outgoing
from karma_sync.sending.packaging.packager import Packager
from karma_sync.store import work
from tests.support.builders import (
    ALICE,
    BOB,
    NOW_MS,
    Desk,
    Swapping,
    channel_of,
    key_of,
    record,
    said,
    team_of_all,
)

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
RULES = default_redactor()
TOKEN = fill("ghp_{alnum:36}")
NOTE = "s1/tool-results/note.txt"


def version_of(redactor: Swapping) -> str:
    """The version that a manifest names for sessions of the full profile."""
    return Outgoing(redactor, "claude-code", Profile.FULL).version


def swapping(version: str = "swap-1") -> Swapping:
    return Swapping({b"secret": b"[REDACTED:fake]", b"padding": b""}, version)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, CHANNEL, swapping())


def names(desk: Desk) -> set[str]:
    """The names that peers get: items and chunks."""
    return {n for n in desk.files() if n.startswith(("items/", "chunks/"))}


def dropped(desk: Desk) -> set[str]:
    """The chunks that are recorded for deletion."""
    with desk.work.reading() as tx:
        return {chunk_name(sha) for _, sha in work.chunks_dropped_before(tx, NOW_MS * 2)}


def big(text: str, mb: float = 0.6) -> bytes:
    return b"".join(said(f"{text} {n} " + "x" * 900) for n in range(int(mb * 1000)))


def test_a_packager_cannot_be_made_without_a_redactor(desk: Desk) -> None:
    parts: dict[str, Any] = {"key": key_of(ALICE), "store": desk.work, "now_ms": lambda: NOW_MS}

    with pytest.raises(TypeError, match="redactor"):
        Packager(**parts)
    assert Packager(swapping(), **parts)


def test_a_reader_gets_every_file_redacted_and_the_facts_of_the_session(desk: Desk) -> None:
    desk.write(said("fix the secret bug") + record(type="custom-title", customTitle="a secret"))
    desk.write(b"padding and secret", NOTE)
    desk.write(said("deep"), "s1/subagents/agent-a.jsonl")
    desk.package()

    assert desk.content() == (
        said("fix the [REDACTED:fake] bug")
        + record(type="custom-title", customTitle="a [REDACTED:fake]")
    )
    assert desk.content("tool-results/note.txt") == b" and [REDACTED:fake]"
    assert desk.content("subagents/agent-a.jsonl") == said("deep")
    manifest = desk.manifest()
    assert manifest.session.title == "a [REDACTED:fake]"
    assert (manifest.session.session_id, manifest.session.records) == ("s1", 2)
    assert manifest.redactions == {"secret": 3, "padding": 1}
    assert (manifest.member, manifest.redactor) == (ALICE, version_of(swapping()))
    assert str(desk.claude.parent).encode() not in manifest.model_dump_json().encode()
    assert b"-src-repo" not in manifest.model_dump_json().encode()


def test_an_unchanged_session_is_recognized_without_reading_it(desk: Desk) -> None:
    path = desk.write(big("one"))
    desk.package()
    session = desk.session()
    path.unlink()  # reading it would fail now

    assert desk.packager.is_current(CHANNEL, session)
    desk.restart(swapping())
    assert desk.packager.is_current(CHANNEL, session)


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: desk.append(said("more")),
        lambda desk: desk.write(said("other")),
        lambda desk: desk.append(b""),
        lambda desk: desk.write(b"new", NOTE),
        lambda desk: desk.restart(swapping("swap-2")),
    ],
    ids=["append", "rewrite", "touch", "new file", "new redactor"],
)
def test_any_change_makes_a_session_due(desk: Desk, change: Callable[[Desk], object]) -> None:
    desk.write(said("one"))
    assert not desk.is_current()
    desk.package()
    assert desk.is_current()

    change(desk)

    assert not desk.is_current()
    desk.package()
    assert desk.is_current()


def test_an_append_rewrites_one_file_and_makes_and_deletes_none(desk: Desk) -> None:
    desk.write(big("one", 1.5))
    desk.write(b"note", NOTE)
    desk.package()
    before = desk.files()
    assert len([n for n in before if n.startswith("chunks/")]) >= 3

    for n in range(5):
        desk.append(said(f"more {n}"))
        desk.package()

    after = desk.files()
    assert {n for n in before | after if before.get(n) != after.get(n)} == {item_name(desk.item())}
    assert dropped(desk) == set()


def test_after_a_bulk_of_lines_each_new_line_sends_little_again(desk: Desk) -> None:
    desk.write(big("one", 1.2))
    desk.package()
    assert desk.manifest().inline_size <= limits.END_BYTES

    for n in range(3):
        desk.append(said(f"more {n}"))
        desk.package()

    assert desk.manifest().inline_size <= limits.END_BYTES + 3 * len(said("more 0"))
    assert desk.content() == big("one", 1.2) + b"".join(said(f"more {n}") for n in range(3))


def test_small_files_lie_in_the_item_itself(desk: Desk) -> None:
    desk.write(said("one"))
    for n in range(20):
        desk.write(b"note %d" % n, f"s1/tool-results/{n:02}.txt")
    desk.package()

    assert names(desk) == {item_name(desk.item())}
    assert [desk.content(f"tool-results/{n:02}.txt") for n in range(20)] == (
        [b"note %d" % n for n in range(20)]
    )


def test_ends_that_do_not_fit_inline_become_chunks_largest_first(
    desk: Desk,
) -> None:
    sizes = {"a": 50_000, "b": 240_000, "c": 200_000, "d": 150_000}
    desk.write(said("one"))
    for name, size in sizes.items():
        desk.write(name.encode() * size, f"s1/tool-results/{name}.txt")
    desk.package()

    sealed = {f.path[-5]: f.tail.size == 0 for f in desk.manifest().files if f.path[-4:] == ".txt"}
    assert sealed == {"a": False, "b": True, "c": True, "d": False}
    assert desk.manifest().inline_size <= limits.INLINE_BYTES // 2
    for name, size in sizes.items():
        assert desk.content(f"tool-results/{name}.txt") == name.encode() * size


def test_a_line_makes_and_deletes_no_chunk_however_many_small_files_there_are(desk: Desk) -> None:
    desk.write(said("x" * 150_000))
    for n in range(40):
        desk.write(b"%02d" % n * 10_000, f"s1/tool-results/{n:02}.txt")
    desk.package()
    before = names(desk)

    for n in range(20):
        desk.append(said(f"more {n}"))
        desk.package()

    assert names(desk) == before
    assert dropped(desk) == set()


def test_files_that_the_agent_deleted_stay(desk: Desk) -> None:
    desk.write(said("one"))
    note = desk.write(b"note", NOTE)
    desk.package()
    note.unlink()
    assert desk.is_current()

    desk.append(said("two"))
    desk.package()

    assert desk.content() == said("one") + said("two")
    assert desk.content("tool-results/note.txt") == b"note"


@pytest.mark.parametrize("name", ["s1.jsonl", NOTE, "s1/subagents/agent-z.jsonl"])
def test_nothing_leaves_if_the_redactor_fails(tmp_path: Path, name: str) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.write(said("one"))
    desk.write(b"note", NOTE)
    desk.package()
    before = desk.files()
    red.fails_on = b"poison"
    desk.append(said("two"))
    desk.write(said("poison"), name)

    for _ in range(2):
        with pytest.raises(RedactionFailed):
            desk.package()
        assert desk.files() == before
        assert not desk.is_current()
    red.fails_on = None
    desk.package()
    assert b"poison" in desk.content(name.removeprefix("s1/").replace("s1.", "transcript."))


def test_a_title_that_cannot_be_redacted_keeps_the_session_here(tmp_path: Path) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.write(said("ti" + "tle"))
    red.fails_on = b"title"

    with pytest.raises(RedactionFailed):
        desk.package()
    assert names(desk) == set()


LIMITS = {
    # 10 GB have 38,000 chunks, whose names do not fit
    "MANIFEST_BYTES": (2_500, "GB in 2 files has .* bytes; at most 2500 can be sent"),
    "FILES_PER_ITEM": (1, "it has 2 files; at most 1 can be sent"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_an_item_beyond_the_limits_does_not_leave_and_its_last_revision_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    most, why = LIMITS[limit]
    desk.write(said("one"))
    desk.package()
    before = desk.files()
    desk.append(big("two", 3.0))
    desk.write(b"note", NOTE)
    with monkeypatch.context() as patched:
        patched.setattr(limits, limit, most)
        for _ in range(2):
            with pytest.raises(KarmaError, match=why):
                desk.package()
            assert desk.files() == before
            assert not desk.is_current()

    desk.package()
    assert desk.content() == said("one") + big("two", 3.0)


def test_a_redactor_that_fails_at_the_end_leaves_no_chunk_behind(tmp_path: Path) -> None:
    red = swapping()
    desk = Desk(tmp_path, CHANNEL, red)
    desk.write(big("one", 2.0) + said("poison"))
    red.fails_on = b"poison"

    with pytest.raises(RedactionFailed):
        desk.package()
    assert names(desk) - dropped(desk) == set()
