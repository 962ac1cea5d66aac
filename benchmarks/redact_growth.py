"""Texts made to be slow for the redactor, and how its work grows with their length.

Each is made of what the rules look for: an example of a rule again and again, whole or without its
end, on lines of its own or without a blank between; and lists as long as no honest one.
"""

import base64
import gc
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from benchmarks.results import write_samples
from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

SIZE = 40_000  # bytes of the shorter text; the longer one has twice as many
_LEAST_S = 0.004  # CPU below which a growth is not measured: the clock is coarse
_RUNS = 3
_LINEAR = 2.0  # a form that seems to grow faster is measured again
_MORE_RUNS = 6


@dataclass(frozen=True)
class Form:
    """A kind of slow text: `piece(n)` is its n-th part, the text is as many parts as fit."""

    name: str
    piece: Callable[[int], str]
    head: str = ""
    tail: str = ""

    def text(self, size: int) -> str:
        """About `size` characters of this form."""
        count = max(1, size // max(1, len(self.piece(0))))
        return self.head + "".join(map(self.piece, range(count))) + self.tail


@dataclass(frozen=True)
class PrintedForm(Form):
    """A form as a tool prints it."""

    printed: Callable[[str], str] = str

    def text(self, size: int) -> str:
        """About `size` characters of this form."""
        share = len(self.printed(super().text(1_000))) / 1_000
        return self.printed(super().text(int(size / share)))


def _again(part: str) -> Callable[[int], str]:
    return lambda _: part


LISTS = (
    Form("assignments", lambda n: f"DB_PASSWORD_{n}=s3cr3t!{n}x\n"),
    Form("assignments, quoted", lambda n: f'password_{n} = "s3cr3t!{n}x"\n'),
    Form("assignments in JSON", lambda n: f'"password_{n}": "s3cr3t!{n}x", ', "{", '"a": 1}'),
    Form("assignments of assignments", _again("token=")),
    Form(
        "entries of a Secret", lambda n: f"  key{n}: cGFzc3dvcmQx{n:04d}\n", "kind: Secret\ndata:\n"
    ),
    Form("Secrets", lambda n: f"---\nkind: Secret\ndata:\n  key{n}: cGFzc3dvcmQx{n:04d}\n"),
    Form(
        "list of Secrets",
        lambda n: f'{{"kind": "Secret", "data": {{"k": "cGFzc3dvcmQx{n:04d}"}}}},',
    ),
    Form("private, never closed", _again("<private>")),
    Form("private, never opened", _again("</private>")),
    Form("private, nested", _again("<private>"), tail="</private>" * 400),
    Form("names of a list without values", _again("- name: API_KEY\n")),
    Form(
        "lines before the end of a key",
        _again("camelCaseWordsOfCode\n"),
        tail="-----END PRIVATE KEY-----\n",
    ),
    Form("addresses", _again("postgres://u:"), tail="@h"),
    Form("backslashes", _again("\\"), tail='token="abc12345"'),
    Form("escapes of letters", _again("\\u0041")),
    Form("arguments", _again("mysql x "), tail="-ps3cr3t9!"),
    Form("words of a sentence", _again("password "), tail=" is hunter22"),
    Form("markers", _again("[REDACTED:aws] "), tail="AKIA" + "Q7RZ2WXK4LMNPB3D"),
    Form("one long value", _again("A1b2"), head="password: "),
    Form(
        "rows of a table",
        lambda n: f"| DB_PASSWORD_{n} | s3cr3t!{n}x |\n",
        "| Name | Value |\n|---|---|\n",
    ),
    Form("rows of CSV", lambda n: f"user{n},s3cr3t!{n}x\n", "name,password\n"),
    Form("colours", lambda n: f"\x1b[31mtoken\x1b[0m=\x1b[32ms3cr3t!{n}xyz\x1b[0m\n"),
    Form("base64", _again("REJfUEFTU1dPUkQ9aHVudGVyMiE5")),
    Form("quotes", _again('"\\"')),
    Form("names without values", lambda n: f"DB_PASSWORD_{n}=\n"),
    Form("values without names", lambda n: f"s3cr3t!{n}xYz9\n"),
    Form("values that are code", lambda n: f"  password: getPassword{n}(user),\n"),
    Form("values that stand for one", lambda n: f'api_key_{n} = "your-api-key-{n}"\n'),
    Form("minified code", lambda n: f"password:e{n},token:t.x{n},"),
    Form("headers without values", _again("Authorization: Bearer \n")),
    Form("headers", lambda n: f"Authorization: Bearer mF9B5f41JqM{n}\n"),
    Form("headers, in a row", _again("Authorization: Bearer ")),
    Form("options without values", _again("--password --token ")),
    Form("options", lambda n: f"--password s3cr3t!{n}x "),
    Form("keys, never closed", _again("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n")),
    Form(
        "a key, never closed",
        _again("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"),
        head="-----BEGIN PRIVATE KEY-----\n",
    ),
    Form("ends of keys", _again("-----END PRIVATE KEY-----\n")),
    Form("names and values apart", lambda n: f'{{"name": "API_KEY_{n}", "value": "s3cr3t!{n}x"}},'),
    Form("names of columns", _again("name,password\n")),
    Form("percent signs", lambda n: f"token%3Ds3cr3t%21{n}x%26"),
    Form("one long value with signs", _again('A1\\"b2'), head='password: "', tail='"'),
    Form("one long value of words", _again("some-words-"), head="password: "),
    Form("colours without words", _again("\x1b[31m\x1b[0m")),
    Form("colours in a word", _again("\x1b[31mt\x1b[0mo\x1b[31mk\x1b[0me\x1b[31mn\x1b[0m=x")),
)

# How tools print a text: as a string of JSON, as one in such a string, in colours, in base64.
PRINTED: dict[str, Callable[[str], str]] = {
    "in JSON": lambda text: json.dumps({"stdout": text}),
    "in JSON in JSON": lambda text: json.dumps({"out": json.dumps({"stdout": text})}),
    "in colours": lambda text: re.sub(r"(\w+)", "\x1b[31m\\1\x1b[0m", text),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
}


def forms() -> Iterator[Form]:
    """Slow forms: lists, also as tools print them, and the examples of every rule."""
    yield from LISTS
    for form in LISTS:
        yield from _printed(form)
    for number, rule in enumerate(DEFAULT_RULES):
        for at, template in enumerate(rule.examples[:2]):
            example = fill(template, rule.name).replace("«", "").replace("»", "")
            name = f"{rule.name} {number}.{at}"
            yield Form(f"{name}, lines", _again(example + "\n"))
            yield Form(f"{name}, torn", _again(example[: len(example) * 2 // 3]))
            yield Form(f"{name}, in a row", _again("".join(example.split()) or example))


def printed_examples() -> Iterator[Form]:
    """An example of every rule as tools print it, again and again."""
    for number, rule in enumerate(DEFAULT_RULES):
        example = fill(rule.examples[0], rule.name).replace("«", "").replace("»", "")
        yield from _printed(Form(f"{rule.name} {number}", _again(example + "\n")))


def _printed(form: Form) -> Iterator[Form]:
    """The form as tools print it."""
    for way, printed in PRINTED.items():
        yield PrintedForm(f"{form.name}, {way}", form.piece, form.head, form.tail, printed)


def record(text: str) -> bytes:
    """One line of a transcript that holds this text."""
    return (
        json.dumps({"type": "user", "message": {"role": "user", "content": text}}).encode() + b"\n"
    )


def scanned(redactor: RuleRedactor, line: bytes) -> int:
    """How many bytes the redactor's searches pass over for this line."""
    before = redactor.scanned
    redactor.lines(line)
    return redactor.scanned - before


class Timed(NamedTuple):
    """CPU seconds for the shorter and the longer text of a form, the least of some runs each."""

    shorter_s: float
    longer_s: float

    @property
    def growth(self) -> float:
        """How many times as long the longer text takes; 0 if it takes too little to tell."""
        if self.longer_s <= 2 * _LEAST_S:
            return 0.0
        return self.longer_s / max(self.shorter_s, _LEAST_S)


def confirmed(first: Timed, again: Callable[[], Timed]) -> float:
    """The growth of a form, measured again if it seems to grow."""
    return again().growth if first.growth > _LINEAR else first.growth


def growth() -> dict[str, object]:
    """CPU at doubled input over CPU, the worst of all forms; and the slowest records.

    Each form's figures go to bench/redact_growth.csv, the slowest first.
    """
    redactor = default_redactor()
    found: list[tuple[float, float, str]] = []
    for form in itertools.chain(forms(), printed_examples()):
        shorter, longer = (record(form.text(size)) for size in (SIZE, 2 * SIZE))
        times = _timed(redactor, shorter, longer, _RUNS)
        grows = confirmed(times, partial(_timed_alone, redactor, shorter, longer))
        s_per_mb = times.longer_s / len(longer) * 1e6
        found.append((round(s_per_mb, 3), round(grows, 2), form.name))
    found.sort(reverse=True)
    speeds, growths, names = zip(*found, strict=True)
    write_samples("redact_growth", {"form": names, "s_per_mb": speeds, "growth": growths})
    worst = max(found, key=lambda one: one[1])
    return {
        "n": len(found),
        "how": f"forms made of what the rules look for, {SIZE} and twice as many bytes in a record:"
        " CPU of the longer over CPU of the shorter, the worst form; in turns, the least of"
        f" {_RUNS} runs; where that is above {_LINEAR}, the least of {_MORE_RUNS} more without the"
        " collection of others' garbage; over_1_s and over_2_s are the forms whose longer record"
        " takes more CPU a MB, the least of the first runs",
        "seed": None,
        "value": worst[1],
        "worst": worst[2],
        "s_per_mb": round(speeds[0], 2),
        "slowest": names[0],
        "over_1_s": sum(speed > 1 for speed in speeds),
        "over_2_s": sum(speed > 2 for speed in speeds),  # noqa: PLR2004
    }


def _timed(redactor: RuleRedactor, shorter: bytes, longer: bytes, runs: int) -> Timed:
    """Both in turns, because the machine may be slower for a while; others use it too."""
    pairs = [(_cpu_s(redactor, shorter), _cpu_s(redactor, longer)) for _ in range(runs)]
    return Timed(*map(min, zip(*pairs, strict=True)))


def _timed_alone(redactor: RuleRedactor, shorter: bytes, longer: bytes) -> Timed:
    """Both measured more often, with no search for garbage among what is there already.

    Such a search takes about 10 ms, and may fall into each run of the longer text and into none of
    the shorter one's.
    """
    gc.collect()
    gc.freeze()
    try:
        return _timed(redactor, shorter, longer, _MORE_RUNS)
    finally:
        gc.unfreeze()


def _cpu_s(redactor: RuleRedactor, line: bytes) -> float:
    start = time.process_time()
    redactor.lines(line)
    return time.process_time() - start
