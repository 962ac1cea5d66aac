"""Names and ids: their grammar, and that different things have different ids."""

import hashlib
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from karma_sync.domain.ids import (
    TAG_PART,
    clean_part,
    fingerprint,
    is_tag,
    item_id,
    member_tag,
    next_version,
    short_ids,
    team_id,
    user_of,
)
from karma_sync.errors import BadInput
from tests.support.builders import ALICE, PROJECT, examples, key_of

parts = st.from_regex(TAG_PART, fullmatch=True)
words = st.text(max_size=12)


@examples()
@given(parts, parts)
def test_two_good_parts_make_a_tag_that_names_its_user(user: str, machine: str) -> None:
    tag = member_tag(user, machine)

    assert is_tag(tag)
    assert user_of(tag) == user


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "alice",
        "alice.",
        ".mbp",
        "alice.mbp.local",
        "Alice.mbp",
        "al ice.mbp",
        "-a.mbp",
        "_a.mbp",
        "alice.mbp\n",
        "\nalice.mbp",
        "a" * 33 + ".mbp",
        "älice.mbp",
        "../a.b",
        "al/ice.mbp",
    ],
)
def test_text_that_breaks_the_grammar_is_not_a_tag(text: str) -> None:
    assert not is_tag(text)


@pytest.mark.parametrize(
    ("user", "machine", "hint"),
    [
        ("Alice", "mbp", "--user alice"),
        ("alice", "MacBook Pro.local", "--machine macbook-pro"),
        ("", "mbp", "--user user"),
        ("Jürgen Müller", "mbp", "--user jurgen-muller"),
        ("john.doe", "mbp", "--user john-doe"),
        ("alice", "日本", "--machine machine"),
        ("alice", "x" * 40, "--machine " + "x" * 32),
    ],
)
def test_the_hint_proposes_a_valid_part_for_an_invalid_one(
    user: str, machine: str, hint: str
) -> None:
    with pytest.raises(BadInput) as refused:
        member_tag(user, machine)

    assert refused.value.hint == hint


@examples()
@given(st.text(max_size=60))
def test_a_proposal_is_well_formed_for_any_machine_name(name: str) -> None:
    assert TAG_PART.fullmatch(clean_part(name, "machine"))


@examples(150)
@given(st.lists(words, min_size=5, max_size=5), st.lists(words, min_size=5, max_size=5))
def test_different_items_have_different_ids(a: list[str], b: list[str]) -> None:
    assume(a != b)

    assert item_id((a[0], a[1], a[2]), a[3], a[4]) != item_id((b[0], b[1], b[2]), b[3], b[4])


def test_moving_letters_between_the_parts_of_an_id_changes_it() -> None:
    pieces = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]
    items = {item_id((x, y, key), "s", "1") for (x, y), key in product(pieces, ["k", ""])}
    teams = {team_id(x, y, "n") for x, y in pieces} | {team_id("n", x, y) for x, y in pieces}

    assert len(items) == 8
    assert len(teams) == 8


def test_the_id_of_an_item_never_changes() -> None:
    spelt = ["karma-sync item", "team", PROJECT, "key", "claude-code", "s1"]
    framed = b"".join(len(p).to_bytes(4, "big") + p.encode() for p in spelt)

    name = item_id(("team", PROJECT, "key"), "claude-code", "s1")
    assert name == hashlib.sha256(framed).hexdigest()[:32]


def test_a_fingerprint_is_short_enough_to_be_read_aloud() -> None:
    key = key_of(ALICE).public
    digest = hashlib.sha256(bytes.fromhex(key)).hexdigest()

    groups = fingerprint(key).split(" ")
    assert [len(g) for g in groups] == [4] * 6
    assert digest.startswith("".join(groups))


@examples()
@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_version_grows_with_any_clock_and_equals_the_time_if_possible(
    last: int, now_ms: int
) -> None:
    version = next_version(last, now_ms)

    assert version > last
    assert version == now_ms or (version == last + 1 and now_ms <= last)


@examples()
@given(st.lists(st.text(alphabet="ab0", min_size=1, max_size=20)))
def test_short_ids_tell_ids_apart(ids: list[str]) -> None:
    short = short_ids(ids, least=3)

    assert set(short) == set(ids)
    for one, cut in short.items():
        assert one.startswith(cut)
        assert len(cut) >= min(3, len(one))
        # a beginning fits this id alone, unless the id is the beginning of another
        assert [each for each in short if each.startswith(cut)] == [one] or cut == one
