"""An outbox over time: always complete; unnamed chunks are dropped; odd names do no harm."""

from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.channel.layout import chunk_name, item_name
from karma_sync.channel.verify import verify_chunk
from karma_sync.domain import limits
from karma_sync.domain.session.profile import Profile
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import default_redactor
from karma_sync.sending.packaging.outgoing import Outgoing
from karma_sync.sending.packaging.packager import Packager
from tests.support.builders import (
    ALICE,
    BOB,
    Desk,
    Swapping,
    channel_of,
    examples,
    key_of,
    record,
    said,
    scratch,
    team_of_all,
)
from tests.unit.sending.test_packager import big, dropped, names, swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
RULES = default_redactor()
TOKEN = fill("ghp_{alnum:36}")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, CHANNEL, swapping())


def test_another_redactor_packages_everything_afresh(desk: Desk) -> None:
    desk.write(big("password") + said("end"))
    desk.package()
    stricter = Swapping({b"password": b"[REDACTED:pw]"}, "swap-2")
    desk.restart(stricter)
    desk.package()

    assert desk.content() == stricter.lines(big("password") + said("end")).data
    assert desk.manifest().redactor == Outgoing(stricter, "claude-code", Profile.FULL).version


def test_an_item_that_is_packaged_again_gets_another_file_time(
    desk: Desk,
) -> None:
    desk.write(said("a line"))
    seen = set()
    for n in range(3):
        desk.restart(Swapping({}, f"swap-{n}"))
        desk.package()
        found = (desk.outbox.path / item_name(desk.item())).stat()
        seen.add((found.st_size, found.st_mtime_ns))

    assert len({size for size, _ in seen}) == 1
    assert len(seen) == 3


def test_text_that_only_an_older_redactor_passed_is_taken_back(desk: Desk) -> None:
    desk.write(big("password") + said("end"))
    desk.package()
    old = names(desk)
    desk.restart(Swapping({b"password": b"[REDACTED:pw]"}, "swap-2"))
    desk.package()

    assert old - {item_name(desk.item())} <= dropped(desk)


def test_chunks_that_a_rewrite_left_are_dropped_and_taken_up_again(desk: Desk) -> None:
    desk.write(big("one"))
    desk.package()
    first = names(desk) - {item_name(desk.item())}
    desk.write(big("two"))
    desk.package()
    assert dropped(desk) == first
    desk.write(big("one"))
    desk.package()

    assert dropped(desk).isdisjoint(first)


def test_an_end_that_was_sealed_for_lack_of_room_goes_on_growing(desk: Desk) -> None:
    agent = "s1/subagents/agent-a.jsonl"
    desk.write(said("x" * 200_000))
    desk.write(said("y" * 200_000), agent)
    desk.write(b"z" * 150_000, "s1/tool-results/a.txt")
    desk.package()
    files = {f.path: f for f in desk.manifest().files}
    [(sealed, _)] = files["subagents/agent-a.jsonl"].chunks

    desk.append(said("more"), agent)
    desk.package()

    assert desk.content("subagents/agent-a.jsonl") == said("y" * 200_000) + said("more")
    assert chunk_name(sealed) in dropped(desk)


def test_a_chunk_that_another_session_needs_is_not_dropped(desk: Desk) -> None:
    for name in ("s1", "s2"):
        desk.write(big("the same"), f"{name}.jsonl")
        desk.package(name)
    desk.write(said("rewound"))
    desk.package()

    assert dropped(desk).isdisjoint(chunk_name(sha) for sha in desk.manifest("s2").chunks())


def test_every_revision_of_a_channel_is_new(desk: Desk) -> None:
    for name in ("s1", "s2"):
        desk.write(said(name), f"{name}.jsonl")
    given = [desk.package("s1"), desk.package("s2"), desk.package("s1")]
    key = key_of(ALICE)
    late = Packager(swapping(), key, desk.work, lambda: 1_000)  # the clock went back
    late.load(CHANNEL.id)
    desk.packager = late
    given += [desk.package("s2"), desk.package("s1")]

    assert given == sorted(set(given))
    assert desk.manifest("s1").revision == given[-1]


@pytest.mark.parametrize("harm", ["deleted", "older", "garbled", "foreign"])
def test_a_changed_outbox_is_completed_from_the_source(desk: Desk, harm: str) -> None:
    desk.write(big("one") + said("secret"))
    desk.package()
    path = desk.outbox.path / item_name(desk.item())
    older = path.read_bytes()
    desk.append(big("two"))
    desk.package()
    if harm == "deleted":
        path.unlink()
    else:
        path.write_bytes({"older": older, "garbled": older[:-5], "foreign": b"{}\n"}[harm])

    desk.append(said("three"))
    desk.package()

    wanted = big("one") + said("[REDACTED:fake]") + big("two") + said("three")
    assert desk.content() == wanted


def test_peers_pull_the_newest_session_first_and_chunks_before_their_item(desk: Desk) -> None:
    desk.write(big("one"))
    desk.package()

    item = (desk.outbox.path / item_name(desk.item())).stat().st_mtime_ns
    assert item == desk.session().changed_ns
    chunks = [desk.outbox.path / chunk_name(sha) for sha in desk.manifest().chunks()]
    assert chunks
    assert all(chunk.stat().st_mtime_ns > item for chunk in chunks)
    assert {p.stat().st_mode & 0o777 for p in chunks} == {0o600}


FILES = ["s1.jsonl", "s1/subagents/a.jsonl", "s1/tool-results/a.txt", "s1/tool-results/b.txt"]
_PIECES = [b"secret", b"padding", b"text", b"\n", b'{"a": 1}\n', b"\x00\xff"]
_contents = st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join)
_verbs = st.sampled_from(["write", "append", "delete", "other redactor"])
_steps = st.tuples(st.sampled_from(FILES), _verbs, _contents)


def redacted(content: bytes, name: str) -> bytes:
    """The whole lines of a file of records, or a whole text file."""
    if name.endswith(".jsonl"):
        content = content[: content.rfind(b"\n") + 1]
    return swapping().lines(content).data


@examples(50)
@given(st.lists(_steps, min_size=1, max_size=8), st.sampled_from([32, 100]))
def test_a_reader_gets_the_whole_session_after_any_sequence_of_changes(
    steps: list[tuple[str, str, bytes]], chunk: int
) -> None:
    here: dict[str, bytes] = {"s1.jsonl": b""}
    revisions = [0]
    with (
        scratch() as root,
        patch.object(limits, "CHUNK_BYTES", chunk),
        patch.object(limits, "END_BYTES", chunk // 4),
        patch.object(limits, "INLINE_BYTES", 2 * chunk),
    ):
        desk = Desk(root, CHANNEL, swapping())
        desk.write(b"")
        for name, how, content in steps:
            if how == "other redactor":
                desk.restart(swapping(f"swap-{len(revisions)}"))
            elif how == "delete" and name != "s1.jsonl":
                (desk.directory / name).unlink(missing_ok=True)  # and stays in the outbox
            else:
                here[name] = content if how == "write" else here.get(name, b"") + content
                desk.write(here[name], name)
            revisions.append(desk.package())
            check(desk, here)

    assert revisions == sorted(set(revisions))


def check(desk: Desk, wanted: Mapping[str, bytes]) -> None:
    """A reader that verifies everything gets exactly this; the outbox holds nothing else."""
    manifest = desk.manifest()
    for sha, size in manifest.chunks().items():
        verify_chunk((desk.outbox.path / chunk_name(sha)).read_bytes(), sha, size)
    inside = {n: n.removeprefix("s1/").replace("s1.jsonl", "transcript.jsonl") for n in wanted}
    found = {n: desk.content(inside[n]) for n in wanted}
    assert found == {n: redacted(content, n) for n, content in wanted.items()}
    assert {f.path for f in manifest.files} == set(inside.values())
    named = {chunk_name(sha) for sha in manifest.chunks()}
    assert names(desk) - {item_name(desk.item())} - named <= dropped(desk)
    assert dropped(desk).isdisjoint(named)


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._page.txt",
        "a\\b.txt",
        "bell\x07.txt",
        "x" * 201,
        "d/d/d/d/d/d/d.txt",
        "\udcff.txt",
    ],
)
def test_a_file_whose_name_cannot_be_sent_does_not_keep_the_session_here(
    desk: Desk, name: str
) -> None:
    desk.write(said("one"))
    desk.write(b"odd", f"s1/tool-results/{name}")
    desk.package()

    assert desk.content() == said("one")
    assert desk.is_current()


def test_a_subagent_in_both_layouts_does_not_make_a_session_due_for_ever(desk: Desk) -> None:
    line = record(sessionId="s1", isSidechain=True)
    desk.write(said("one"))
    desk.write(line, "agent-a.jsonl")
    desk.write(line, "s1/subagents/agent-a.jsonl")
    desk.package()

    assert desk.is_current()


@pytest.mark.parametrize(
    "prompt",
    [
        f"use {TOKEN} for it",
        "<private>mine</private> hello",
        "x" * 180 + " " + TOKEN,
        "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 1600 + "\n-----END RSA PRIVATE KEY-----",
        pytest.param(
            "hello <private>" + "mine " * 600 + "</private>",
        ),
        pytest.param(
            "-----BEGIN RSA PRIVATE KEY-----\n"
            + "A" * 1920
            + f"\n-----END RSA PRIVATE KEY-----\n{TOKEN}",
        ),
    ],
    ids=["token", "private", "at the limit", "key", "long private", "half a token"],
)
def test_a_title_holds_only_text_that_the_transcript_shows(tmp_path: Path, prompt: str) -> None:
    desk = Desk(tmp_path, CHANNEL, RULES)
    desk.write(said(prompt))
    desk.package()

    title = desk.manifest().session.title
    assert len(title) <= limits.TITLE_CHARS
    for secret in ("mine", TOKEN[:12], "A" * 40):
        assert secret not in title
        assert secret not in desk.content().decode()
