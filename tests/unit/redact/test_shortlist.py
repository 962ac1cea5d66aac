"""The findings are the same if hits are left out whose windows hold nothing."""

import json
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from karma_sync.redact.allowlist import NOTHING_ALLOWED
from karma_sync.redact.examples import fill
from karma_sync.redact.gates import NeedHit
from karma_sync.redact.records import Records
from karma_sync.redact.rules.default_rules import DEFAULT_RULES
from karma_sync.redact.scanner import Scanner
from karma_sync.redact.shortlist import Shortlist
from tests.support.builders import examples

SCANNER = Scanner(DEFAULT_RULES, NOTHING_ALLOWED)
PLANTED = [
    fill(template, rule.name).replace("«", "").replace("»", "")
    for rule in DEFAULT_RULES
    for template in (*rule.examples, *rule.near_misses)
]
HARMLESS = (
    "def name(self, key: str, token: Token) -> None:",
    '    for key, value in {"key": "\\n", "path": "C:\\\\new"}.items():',
    "| token | the next one |",
    "user,password,token",
    "// a comment/with slashes & \"quotes\", 'as here'",
    "Password: see the manual",
    "export TOKEN=$(gcloud auth print-access-token)",
    "return re.compile(r'\\\"(apiKey|token)\\\"\\s*:')",
    "",
    "the quick brown fox jumps over the lazy dog " * 3,
)
# bytes before and after: around what windows reach, and what lines may have
SIZES = (0, 0, 40, 590, 1190, 1300, 2390, 2500, 3990, 4200, 8300)
KEYS = ("text", "content", "password", "data", "id", "name", "value")


class AllHits(Shortlist):
    """Leaves out nothing."""

    def of_record(self, record: bytes, hits: Sequence[NeedHit]) -> list[NeedHit]:  # noqa: ARG002
        """All of them."""
        return list(hits)

    def of_text(
        self,
        text: bytes,  # noqa: ARG002  as in Shortlist
        hits: Sequence[NeedHit],
        changed: Sequence[int] | None = None,  # noqa: ARG002
    ) -> list[NeedHit]:
        """All of them."""
        return list(hits)


def harmless(size: int, at: int) -> str:
    lines, made = list[str](), 0
    while made < size:
        lines.append(HARMLESS[(at + len(lines)) % len(HARMLESS)])
        made += len(lines[-1]) + 1
    return "\n".join(lines)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A record with secrets and near misses between harmless lines, up to three times escaped."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        parts.append(harmless(draw(st.sampled_from(SIZES)), draw(st.integers(0, 9))))
        parts.append(PLANTED[draw(st.integers(0, len(PLANTED) - 1))])
    parts.append(harmless(draw(st.sampled_from(SIZES)), draw(st.integers(0, 9))))
    value: object = draw(st.sampled_from(["\n", "\n", " ", "\r\n"])).join(filter(None, parts))
    for _ in range(draw(st.integers(0, 2))):
        value = json.dumps({draw(st.sampled_from(KEYS)): value}, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        value = str(value).split("\n")
    record = {"type": "user", draw(st.sampled_from(KEYS)): value, "more": [value, 1]}
    line = json.dumps(record, ensure_ascii=draw(st.booleans()))
    if draw(st.sampled_from([True, False, False])):
        line = line.replace("/", "\\/").replace("=", "\\u003d")
    return line.encode()


def redacted(record: bytes, shortlist: Shortlist) -> tuple[bytes, Counter[str]]:
    cuts = Counter[str]()
    data = Records(SCANNER, cuts, shortlist).redact(record, SCANNER.hits(record))
    return data, cuts


@examples(100)
@given(records())
def test_hits_that_are_left_out_would_have_found_nothing(record: bytes) -> None:
    assert redacted(record, Shortlist(SCANNER)) == redacted(record, AllHits(SCANNER))


def test_every_example_is_found_at_the_beginning_at_the_end_and_among_other_lines() -> None:
    around = harmless(3000, 0)
    shortlist, everything = Shortlist(SCANNER), AllHits(SCANNER)
    for number, secret in enumerate(PLANTED):
        first, last = f"{secret}\n{around}", f"{around}\n{secret}"
        text = (secret, first, last, f"{last}\n{around}")[number % 4]
        record = json.dumps({"content": text}).encode()

        assert redacted(record, shortlist) == redacted(record, everything), secret


def test_a_record_without_a_secret_keeps_no_hit() -> None:
    record = json.dumps({"content": harmless(20_000, 0)}).encode()
    hits = SCANNER.hits(record)

    assert hits
    assert Shortlist(SCANNER).of_record(record, hits) == []


def test_the_same_lines_in_another_record_are_not_searched_again() -> None:
    shortlist = Shortlist(SCANNER)
    record = json.dumps({"content": harmless(20_000, 0)}).encode()
    before = SCANNER.scanned
    shortlist.of_record(record, SCANNER.hits(record))
    once = SCANNER.scanned - before

    shortlist.of_record(record, SCANNER.hits(record))

    assert once > 0
    assert SCANNER.scanned - before == once
