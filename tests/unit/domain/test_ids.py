"""Names and ids that are hard to change later."""

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
def test_what_breaks_the_grammar_is_no_tag(text: str) -> None:
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
def test_a_part_that_will_not_do_comes_back_as_one_that_will(
    user: str, machine: str, hint: str
) -> None:
    with pytest.raises(BadInput) as refused:
        member_tag(user, machine)

    assert refused.value.hint == hint


@examples()
@given(st.text(max_size=60))
def test_whatever_a_machine_is_called_a_proposal_is_well_formed(name: str) -> None:
    assert TAG_PART.fullmatch(clean_part(name, "machine"))


@examples(150)
@given(st.lists(words, min_size=5, max_size=5), st.lists(words, min_size=5, max_size=5))
def test_items_that_differ_in_anything_have_different_names(a: list[str], b: list[str]) -> None:
    assume(a != b)

    assert item_id((a[0], a[1], a[2]), a[3], a[4]) != item_id((b[0], b[1], b[2]), b[3], b[4])


def test_letters_cannot_wander_from_one_part_of_an_id_to_the_next() -> None:
    pieces = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc")]
    items = {item_id((x, y, key), "s", "1") for (x, y), key in product(pieces, ["k", ""])}
    teams = {team_id(x, y, "n") for x, y in pieces} | {team_id("n", x, y) for x, y in pieces}

    assert len(items) == 8
    assert len(teams) == 8


def test_an_item_keeps_its_name_for_ever() -> None:
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
def test_a_version_grows_whatever_the_clock_and_is_the_time_where_it_can(
    last: int, now_ms: int
) -> None:
    version = next_version(last, now_ms)

    assert version > last
    assert version == now_ms or (version == last + 1 and now_ms <= last)
