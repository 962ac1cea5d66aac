"""Verification of a peer's files: each attack fails at the step that guards against it."""

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.channel.layout import compress
from karma_sync.channel.verify import verify_chunk, verify_item
from karma_sync.domain import limits
from karma_sync.domain.session.manifest import SetAside, join_item, split_item
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType
from tests.support.builders import (
    ALICE,
    BOB,
    MALLORY,
    bomb,
    channel_of,
    examples,
    key_of,
    resigned,
    said,
    team_of_all,
)
from tests.support.sent import CHANNEL, OTHER, TEAM, A, Sent

B, M = key_of(BOB), key_of(MALLORY)
BOMB_CODES = {"2-size", "2-frame"}


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return Sent(tmp_path_factory.mktemp("sent"))


def test_an_item_of_the_owner_is_verified_with_the_ends_of_its_files(sent: Sent) -> None:
    verified = sent.verify(sent.raw, last=sent.revision - 1)

    assert verified.manifest.value == sent.manifest
    assert verified.tails["tool-results/a.txt"] == b"a"
    assert verified.tails["tool-results/b.txt"] == b"bb"
    assert verified.tails["transcript.jsonl"].endswith(said("the end"))
    verify_chunk(sent.chunk, sent.sha, sent.size)


def test_fields_of_a_newer_version_are_ignored_and_the_rest_is_verified(sent: Sent) -> None:
    session = sent.fields["session"] | {"mood": "good"}
    raw = resigned(sent.raw, A, colour="green", session=session)

    assert sent.verify(raw).manifest.value == sent.manifest


BAD_PATHS = [
    "",
    "..",
    "../transcript.jsonl",
    "/etc/passwd",
    "transcript.jsonl/..",
    "subagents/..",
    "subagents/../../.ssh/id",
    "tool-results/a/../../../x",
    "tool-results/.hidden",
    "tool-results//x",
    "tool-results/a\\..\\b",
    "tool-results/a\x00b",
    "tool-results/a\n",
    "tool-results/" + "x" * 201,
    "tool-results" + "/d" * 7,
    "settings/x.txt",
    "TRANSCRIPT.jsonl",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_1_a_file_with_a_name_that_is_not_allowed_is_refused(sent: Sent, path: str) -> None:
    assert sent.code(sent.with_file(0, path=path)) == "1-path"


def test_1_two_files_of_one_name_are_refused(sent: Sent) -> None:
    assert sent.code(sent.with_file(0, path="tool-results/b.txt")) == "1-path"


@pytest.mark.parametrize(
    "raw",
    [
        b"{" * (limits.ITEM_BYTES + 1),
        b"{" * (limits.MANIFEST_BYTES + 1) + b"\n",
        b"no end of the envelope",
        b"",
    ],
    ids=["file", "manifest", "no end", "empty"],
)
def test_2_a_file_above_the_limits_is_not_parsed(sent: Sent, raw: bytes) -> None:
    assert sent.code(raw) == "2-size"


def test_2_a_manifest_that_states_too_much_is_refused(sent: Sent) -> None:
    tail = sent.fields["files"][0]["tail"] | {"size": limits.INLINE_BYTES}
    assert sent.code(sent.with_file(0, tail=tail)) == "2-size"
    for size in (0, limits.CHUNK_BYTES + 1):
        assert sent.code(sent.with_chunks((sent.sha, size))) == "2-size"


@pytest.mark.parametrize("stated", [None, 100_000_000])
def test_2_a_bomb_in_the_place_of_the_inline_part_or_of_a_chunk_is_not_unpacked(
    sent: Sent, stated: int | None
) -> None:
    assert sent.code(sent.with_frame(bomb(stated or sent.manifest.inline_size))) in BOMB_CODES
    with pytest.raises(Unverified) as refused:
        verify_chunk(bomb(stated or sent.size), sent.sha, sent.size)
    assert refused.value.code in BOMB_CODES


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (lambda sent: resigned(sent.raw, B), "3-signature"),
        (lambda sent: resigned(sent.raw, B, member=BOB), "3-signature"),
        (lambda sent: resigned(sent.raw, M), "3-signature"),
        (lambda sent: resigned(sent.raw, A, format=0), "3-form"),
        (lambda sent: resigned(sent.raw, A, kind="MALWARE"), "3-form"),
        (lambda sent: resigned(sent.raw, A, revision="x"), "3-form"),
        (lambda sent: resigned(sent.raw, A, revision=0), "3-form"),
        (lambda sent: resigned(sent.raw, A, files=None), "3-form"),
        (lambda sent: sent.with_file(0, size=-1), "3-form"),
        (lambda sent: sent.with_file(0, root="0" * 63), "3-form"),
        (lambda sent: resigned(sent.raw, A, redactions={"rule": -1}), "3-form"),
        (lambda sent: join_item(A.sign(PayloadType.MANIFEST, b"[]"), b""), "3-form"),
        (lambda sent: join_item(A.sign(PayloadType.ROSTER, payload(sent)), b""), "3-type"),
        (lambda sent: join_item(b"{}", b""), "3-envelope"),
        (lambda sent: twice_named(sent), "3-form"),
    ],
)
def test_3_only_a_manifest_that_the_owner_signed_is_read(
    sent: Sent, raw: Callable[[Sent], bytes], code: str
) -> None:
    assert sent.code(raw(sent)) == code


def payload(sent: Sent) -> bytes:
    return b64decode(json.loads(split_item(sent.raw)[0])["payload"])


def twice_named(sent: Sent) -> bytes:
    """Two readers could disagree on who is meant."""
    twice = payload(sent)[:-1] + b',"member":"bob.tower"}'
    return join_item(A.sign(PayloadType.MANIFEST, twice), b"")


def test_4_a_member_cannot_sign_in_the_name_of_another(sent: Sent) -> None:
    assert sent.code(resigned(sent.raw, A, member=BOB)) == "4-signer"
    assert sent.code(sent.raw, channel_of(TEAM, BOB)) == "3-signature"
    renamed = replace(CHANNEL, owner=CHANNEL.owner.changed(tag="alice.pc"))
    assert sent.code(sent.raw, renamed) == "4-signer"


def test_5_an_item_counts_in_its_own_channel_only(sent: Sent) -> None:
    home = team_of_all(ALICE, BOB, name="home")

    assert sent.code(sent.raw, channel_of(home, ALICE)) == "5-place"
    assert sent.code(sent.raw, channel_of(TEAM, ALICE, OTHER)) == "5-place"
    assert sent.code(resigned(sent.raw, A, team=home.id)) == "5-place"
    assert sent.code(resigned(sent.raw, A, project=OTHER)) == "5-place"


def test_5_an_item_counts_under_its_own_name_only(sent: Sent) -> None:
    another = "0" * 32

    with pytest.raises(Unverified) as refused:
        verify_item(sent.raw, another, CHANNEL, 0)
    assert refused.value.code == "5-name"
    assert sent.code(resigned(sent.raw, A, item=another)) == "5-name"
    for changes in ({"session_id": "s2"}, {"agent": "codex"}):
        session = sent.fields["session"] | changes
        assert sent.code(resigned(sent.raw, A, session=session)) == "5-name"


def test_6_a_revision_that_is_not_newer_is_refused(sent: Sent) -> None:
    assert sent.code(sent.raw, last=sent.revision) == "6-newer"
    assert sent.code(sent.raw, last=sent.revision + 1) == "6-newer"
    assert sent.code(sent.raw, last=sent.revision - 1) == "verified"


def test_7_sums_and_roots_must_be_those_of_the_pieces(sent: Sent) -> None:
    assert sent.code(sent.with_file(size=sent.fields["files"][2]["size"] + 1)) == "7-length"
    assert sent.code(sent.with_file(root="0" * 64)) == "7-root"
    assert sent.code(sent.with_chunks((sent.sha, sent.size), (sent.sha, 7))) == "7-length"
    assert sent.code(sent.with_chunks((sent.sha, sent.size), (sent.sha, sent.size))) == "verified"


def test_7_the_end_of_a_file_must_be_the_one_that_was_signed(sent: Sent) -> None:
    inline = bytearray(b"".join(sent.verify(sent.raw).tails.values()))
    inline[-1] ^= 1

    assert sent.code(sent.with_frame(compress(bytes(inline)))) == "7-hash"


def test_7_a_chunk_must_hold_the_bytes_that_its_name_promises(sent: Sent) -> None:
    wrong = compress(bytes(sent.size))
    for frame, size, code in ((wrong, sent.size, "7-hash"), (sent.chunk, sent.size - 1, "2-size")):
        with pytest.raises(Unverified) as refused:
            verify_chunk(frame, sent.sha, size)
        assert refused.value.code == code


@examples(150)
@given(data=st.data())
def test_no_byte_of_an_item_can_be_changed_unnoticed(sent: Sent, data: st.DataObject) -> None:
    raw = bytearray(sent.raw)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        assert sent.verify(bytes(raw)) == sent.verify(sent.raw)
    except Unverified as refused:
        assert refused.code[0] in "2357"


@examples(100)
@given(data=st.data())
def test_no_byte_of_a_chunk_can_be_changed_unnoticed(sent: Sent, data: st.DataObject) -> None:
    frame = bytearray(sent.chunk)
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        verify_chunk(bytes(frame), sent.sha, sent.size)
    except Unverified as refused:
        assert refused.code in {"2-size", "2-frame", "7-hash"}
    else:
        unpacked = zstandard.ZstdDecompressor().decompress(bytes(frame))
        assert hashlib.sha256(unpacked).hexdigest() == sent.sha


def test_a_manifest_nested_beyond_reason_is_refused(sent: Sent) -> None:
    deep = b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert sent.code(join_item(A.sign(PayloadType.MANIFEST, deep), b"")) == "3-form"


@pytest.mark.parametrize("revision", [2**63, 10**30])
def test_a_revision_that_the_database_cannot_hold_is_refused(sent: Sent, revision: int) -> None:
    assert sent.code(resigned(sent.raw, A, revision=revision)) == "3-form"


def test_an_item_of_a_kind_of_a_newer_version_is_set_aside(sent: Sent) -> None:
    raw = resigned(sent.raw, A, kind="diagrams", session=None)
    with pytest.raises(SetAside) as aside:
        sent.verify(raw)

    assert (aside.value.kind, aside.value.revision) == ("diagrams", sent.revision)
    assert aside.value.hashes == set(sent.manifest.chunks())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"member": BOB}, "4-signer"),
        ({"project": OTHER}, "5-place"),
        ({"item": "0" * 32}, "5-name"),
        ({"revision": 1}, "6-newer"),
    ],
)
def test_an_item_of_an_unknown_kind_passes_the_steps_of_all_kinds(
    sent: Sent, changes: dict[str, object], code: str
) -> None:
    raw = resigned(sent.raw, A, kind="diagrams", **changes)

    with pytest.raises(Unverified) as error:
        sent.verify(raw, last=1)
    assert error.value.code == code


def test_a_session_has_no_file_of_observations_and_observations_have_no_other(sent: Sent) -> None:
    assert sent.code(resigned(sent.raw, A, kind="observations")) == "1-path"
    assert sent.code(sent.with_file(0, path="observations.jsonl")) == "1-path"
