"""Texts made to be slow for the redactor, and how its work grows with their length.

Each is made of what the rules look for: an example of a rule again and again, whole or without its
end, on lines of its own or without a blank between; and lists as long as no honest one.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import RuleRedactor, default_redactor
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

SIZE = 40_000  # bytes of the shorter text; the longer one has twice as many
_LEAST_S = 0.004  # CPU below which a growth is not measured: the clock is coarse


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
)


def forms() -> Iterator[Form]:
    """All slow forms."""
    yield from LISTS
    for number, rule in enumerate(DEFAULT_RULES):
        for at, template in enumerate(rule.examples[:2]):
            example = fill(template, rule.name).replace("«", "").replace("»", "")
            name = f"{rule.name} {number}.{at}"
            yield Form(f"{name}, lines", _again(example + "\n"))
            yield Form(f"{name}, torn", _again(example[: len(example) * 2 // 3]))
            yield Form(f"{name}, in a row", _again("".join(example.split()) or example))


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


def growth() -> dict[str, object]:
    """CPU at doubled input over CPU, the worst of all forms; and the slowest record."""
    redactor = default_redactor()
    worst, slowest, count = (0.0, ""), (0.0, ""), 0
    for form in forms():
        short, long = (record(form.text(size)) for size in (SIZE, 2 * SIZE))
        before, after = _cpu_s(redactor, short), _cpu_s(redactor, long)
        if after > 2 * _LEAST_S:
            worst = max(worst, (after / max(before, _LEAST_S), form.name))
        slowest = max(slowest, (after / len(long) * 1e6, form.name))
        count += 1
    return {
        "n": count,
        "how": f"forms made of what the rules look for, {SIZE} and twice as many bytes in a record:"
        " CPU of the longer over CPU of the shorter (the least of three runs), the worst form",
        "seed": None,
        "value": round(worst[0], 2),
        "worst": worst[1],
        "s_per_mb": round(slowest[0], 2),
        "slowest": slowest[1],
    }


def _cpu_s(redactor: RuleRedactor, line: bytes) -> float:
    """The least of three runs: others use the machine too."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        redactor.lines(line)
        seconds.append(time.process_time() - start)
    return min(seconds)
