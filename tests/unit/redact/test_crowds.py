"""The stretches of a text that are searched stay the same without the hits in a crowd."""

from hypothesis import given
from hypothesis import strategies as st

from karma_sync.redact.codings import Coding
from karma_sync.redact.crowds import beside_escapes, thinned
from karma_sync.redact.escapes import LEVELS, Unescaped
from karma_sync.redact.gates import Gates, NeedHit, NeedKind
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.redact.stretches import (
    Around,
    Stretch,
    escaped_lines_around,
    joined,
    regions,
    united,
)
from tests.support.builders import examples

KINDS = (NeedKind(reach=0), NeedKind(reach=600), NeedKind(Coding.BASE64), NeedKind())
LINE_ENDS = (b"\n", b"\\n", b"\\\\n", b"\\u000a")
PIECES = (
    *LINE_ENDS,
    b"\\n",
    b"\\\\n",
    b'\\"',
    b"\\u001b[0m",
    b"\\",
    b" ",
    b"ab",
    b"x" * 40,
    b"y z" * 90,
)
NEEDS = ((0,), (0,), (0,), (1,), (0, 1), (2,), (0, 2))


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, list[NeedHit]]:
    """A text with lines of less than 8 kB, and hits in them.

    A hit in a line's end has the next line searched too, or not, as those before it have it.
    """
    pieces = draw(st.lists(st.sampled_from(PIECES), min_size=60, max_size=90))
    text, hits = b"", list[NeedHit]()
    for piece in pieces:
        text += piece
        if piece not in LINE_ENDS:
            hits.append(NeedHit(len(text) - 1, draw(st.sampled_from(NEEDS))))
    return text[:8000], [hit for hit in hits if hit.place < len(text[:8000])]


def searched(text: bytes, hits: list[NeedHit], need: int) -> list[list[Stretch]]:
    """The stretches searched and unescaped because of this need, at each level of escapes."""
    places, found = [hit.place for hit in hits if need in hit.needs], list[list[Stretch]]()
    reach = KINDS[need].reach
    for _ in range(LEVELS + 1):
        around = united(Around(max(0, at - 2 * reach), at + 2 * reach) for at in places)
        lines = escaped_lines_around(text, around)
        found.append(regions(text, places, reach))
        found.append(joined(line for line in lines if b"\\" in text[slice(*line)]))
        layer = Unescaped(text, places)
        text, places = layer.data, layer.places
    return found


def covers(some: list[Stretch], others: list[Stretch]) -> bool:
    return all(any(a <= first and last <= b for a, b in some) for first, last in others)


@examples(200)
@given(texts())
def test_the_same_is_searched_without_the_hits_between_two_others(
    made: tuple[bytes, list[NeedHit]],
) -> None:
    text, hits = made

    left = list(thinned(text, hits, KINDS))

    for need in (0, 1):
        every = zip(searched(text, left, need), searched(text, hits, need), strict=True)
        assert all(covers(some, all_of_them) for some, all_of_them in every)
    assert [hit.place for hit in left if 2 in hit.needs] == [h.place for h in hits if 2 in h.needs]


def test_of_a_crowd_in_one_line_few_hits_are_left() -> None:
    text = b"mysql x " * 4000
    hits = [NeedHit(at, (0,)) for at in range(0, len(text), 8)]

    left = thinned(text, hits, KINDS)

    assert left[0] == hits[0]
    assert left[-1] == hits[-1]
    assert len(left) < len(hits) / 40


def test_of_hits_that_have_the_lines_between_them_searched_few_are_left() -> None:
    text = b"- name: x\n" * 1000
    hits = [NeedHit(at, (1,)) for at in range(0, len(text), 10)]

    left = thinned(text, hits, KINDS)

    assert left[0] == hits[0]
    assert left[-1] == hits[-1]
    assert len(left) < len(hits) / 20


def test_rules_that_need_the_same_look_equally_far() -> None:
    gates = Gates(DEFAULT_RULES)
    for need, kind in enumerate(gates.kinds):
        opened = [DEFAULT_RULES[order] for order in gates.opened([NeedHit(0, (need,))])]

        assert {0 if rule.one_line else rule.reach for rule in opened} <= {kind.reach}


def test_the_first_and_the_last_hit_are_left_of_those_that_open_all_of_a_text() -> None:
    text = b"<private>\n" * 1000
    hits = [NeedHit(at, (3,)) for at in range(0, len(text), 10)]

    assert thinned(text, hits, KINDS) == [hits[0], hits[-1]]


def test_a_hit_counts_behind_escapes_only_if_some_are_near() -> None:
    text = b"a" * 30_000 + b"\\n" + b"a" * 30_000
    hits = [NeedHit(at, (0,)) for at in (100, 29_990, 30_100, 59_000)]
    coded = NeedHit(59_001, (2,))

    assert beside_escapes(text, [*hits, coded], KINDS) == [*hits[1:3], coded]


def test_a_colour_code_ends_no_line_so_that_hits_beside_it_are_one_crowd() -> None:
    word = b"\\u001b[31mtoken\\u001b[0m "
    hits = [NeedHit(at * len(word) + 14, (0,)) for at in range(100)]

    assert len(thinned(word * 100, hits, KINDS)) < 20
