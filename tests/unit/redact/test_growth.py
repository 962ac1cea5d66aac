"""Work grows with the length of a text, never with its square; counted in bytes searched."""

from functools import cache

import pytest

from benchmarks.redact_growth import PRINTED, Form, forms, record, scanned
from karma_sync.redact.effort import MOST_TIMES, SPARE, TIMES_ANYWAY
from karma_sync.redact.escapes import LEVELS
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.scanner import PASSES

REDACTOR = default_redactor()
# the rules' searches, first in the lines around hits, at all levels of escapes, and after the cuts
TIMES = 120
START = 20_000  # bytes that short texts may take besides


@cache
def kinds() -> dict[str, list[Form]]:
    """The forms whose names begin with the same words, by these words."""
    found: dict[str, list[Form]] = {}
    for form in forms():
        found.setdefault(form.name.partition(",")[0], []).append(form)
    return found


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("size", [pytest.param(2_000, marks=pytest.mark.slow), 12_000])
def test_each_byte_is_searched_so_many_times_however_long_the_text_is(kind: str, size: int) -> None:
    lines = {form.name: record(form.text(size)) for form in kinds()[kind]}

    found = {name: scanned(REDACTOR, line) for name, line in lines.items()}

    assert {n: times for n, times in found.items() if times > TIMES * len(lines[n]) + START} == {}


def test_a_rule_of_the_persons_that_would_search_for_ever_is_stopped_and_its_text_withheld() -> (
    None
):
    rule = Rule(name="mine", pattern="x.{0,900}", near=("x",), source="", judge=lambda *_: False)
    redactor = RuleRedactor([rule])
    line = record("x" * 60_000)

    result = redactor.lines(line)

    assert b"xxx" not in result.data
    assert result.cuts == {"unsearched": 1}
    assert redactor.scanned <= PASSES * ((MOST_TIMES + TIMES_ANYWAY) * len(line) + SPARE) * LEVELS


def listed(count: int, words: int) -> bytes:
    """A record of so many secrets, each with so many words behind it."""
    text = "".join(f"DB_PASSWORD_{n}=s3cr3t!{n}x\n{'some words ' * words}\n" for n in range(count))
    return record(text)


def test_a_long_list_of_secrets_is_cut_one_by_one() -> None:
    result = REDACTOR.lines(listed(500, words=0))

    assert result.cuts == {"assignment": 500}
    assert b"DB_PASSWORD_499=[REDACTED:assignment]" in result.data


def test_a_text_of_nothing_but_secrets_is_withheld_as_a_whole() -> None:
    result = REDACTOR.lines(listed(501, words=0))

    assert result.cuts == {"unsearched": 1}
    assert b"DB_PASSWORD" not in result.data


def test_any_number_of_secrets_is_cut_one_by_one_where_other_text_stands_between_them() -> None:
    result = REDACTOR.lines(listed(2_000, words=10))

    assert result.cuts == {"assignment": 2_000}
    assert result.data.count(b"some words") == 20_000


@pytest.mark.parametrize("name", ["percent signs", "base64"])
def test_a_coded_text_is_searched_once_however_often_it_is_escaped(name: str) -> None:
    text = next(form for form in kinds()[name] if form.name == name).text(6_000)
    plain, escaped = record(text), record(PRINTED["in JSON in JSON"](text))

    assert scanned(REDACTOR, escaped) < 1.5 * scanned(REDACTOR, plain)


def test_the_needs_of_a_coloured_record_are_searched_once_as_it_is_written() -> None:
    form = next(form for form in kinds()["names without values"] if "in colours" in form.name)
    line = record(form.text(6_000))

    assert scanned(REDACTOR, line) < 4.5 * len(line)


def test_a_text_in_json_is_searched_as_it_is_written_only_where_its_strings_begin() -> None:
    text = next(form for form in kinds()["minified code"]).text(6_000)
    escaped = record(PRINTED["in JSON"](text))

    assert scanned(REDACTOR, escaped) < 2 * scanned(REDACTOR, record(text))
