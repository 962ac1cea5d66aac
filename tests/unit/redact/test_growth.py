"""Work grows with the length of a text, never with its square; counted in bytes searched."""

import pytest

from benchmarks.redact_growth import Form, forms, record, scanned
from karma_sync.redact.effort import MOST_TIMES, SPARE, TIMES_ANYWAY
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.scanner import LEVELS, PASSES

REDACTOR = default_redactor()
TIMES = 90  # the rules' searches, at all levels of escapes, and once more after the cuts
START = 20_000  # bytes that short texts may take besides


@pytest.mark.parametrize("form", [pytest.param(form, id=form.name) for form in forms()])
@pytest.mark.parametrize("size", [2_000, 12_000])
def test_each_byte_is_searched_so_many_times_however_long_the_text_is(
    form: Form, size: int
) -> None:
    line = record(form.text(size))

    assert scanned(REDACTOR, line) <= TIMES * len(line) + START


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
