"""The quality of redaction: how much the redactor finds, and how much it cuts in vain.

Secrets are samples of others' tests, cases that got through earlier, and tokens made anew from the
forms in the files of families, in the places where transcripts hold them. Harmless texts are real
transcripts and source code. Every cut in these is written to build/redaction-cuts.tsv.
"""

import json
import random
import re
import secrets
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bench_redact
from benchmarks.results import BUILD
from karma_sync.redact.examples import ALPHABETS
from karma_sync.redact.redactor import Redactor, default_redactor
from karma_sync.redact.rules.family_files import family_rules

_MARKED = re.compile("«(.*?)»", re.DOTALL)
_HOLE = re.compile(r"\{(?P<alphabet>[A-Za-z0-9]+):(?P<size>\d+)\}")
_MARKER = re.compile(rb"\[REDACTED:([a-z0-9-]+)\]")
_ESCAPES = (("\\\\", "\\"), ('\\"', '"'), ("\\n", "\n"), ("\\/", "/"))
_PART = 12  # characters of a secret that identify it
_MOST_BYTES = 3_000_000  # of a source file
_CONTEXT = 50  # bytes of a line shown beside a cut
# The places in which a token is planted: alone, beside a name, in what tools print.
PLACES: dict[str, Callable[[str], str]] = {
    "prompt": lambda t: f"please use this one: {t} and try again",
    "paste": lambda t: t,
    "env": lambda t: f"PORT=1\nSERVICE_TOKEN={t}\nX=1\n",
    "yaml": lambda t: f"app:\n  service_token: {t}\n  x: y\n",
    "json": lambda t: json.dumps({"name": "web", "serviceToken": t}, indent=1),
    "nested": lambda t: json.dumps({"body": json.dumps({"inner": json.dumps({"token": t})})}),
    "numbered": lambda t: f"     1→PORT=1\n     2→SERVICE_TOKEN={t}\n",
    "diff": lambda t: f"@@ -1 +1 @@\n-TOKEN=old\n+TOKEN={t}\n",
    "table": lambda t: f"| Name | Value |\n|---|---|\n| SERVICE_TOKEN | {t} |\n",
    "csv": lambda t: f"name,value\nSERVICE_TOKEN,{t}\n",
    "terraform": lambda t: f'variable "service_token" {{\n  default = "{t}"\n}}\n',
    "bearer": lambda t: f'curl -H "Authorization: Bearer {t}" https://api.example/v1',
    "colours": lambda t: f"\x1b[36mSERVICE_TOKEN\x1b[0m=\x1b[32m{t}\x1b[0m",
    "query": lambda t: f"GET https://api.example/v1?token={t}&page=2 200",
}


@dataclass(frozen=True)
class Case:
    """A secret in a text, and whose it is."""

    family: str
    secret: str
    text: str


def generated(seed: int) -> Iterator[Case]:
    """Every form of every family with random characters, in each of the places."""
    chance = random.Random(seed)
    for rule in family_rules():
        for template in rule.examples:
            for marked in _MARKED.findall(template):
                for place in PLACES.values():
                    whole, own = _drawn(template, marked, chance)
                    if f"«{marked}»" == template or rule.check is None or _is_alone(marked):
                        yield Case(rule.name, own, place(own))
                    yield Case(rule.name, own, whole)


def _is_alone(marked: str) -> bool:
    """The form begins with what tells it, not with a random part."""
    return not marked.startswith("{") and "{" in marked


def _drawn(template: str, marked: str, chance: random.Random) -> tuple[str, str]:
    def fill(hole: re.Match[str]) -> str:
        letters = ALPHABETS[hole["alphabet"]]
        return "".join(chance.choice(letters) for _ in range(int(hole["size"])))

    own = _HOLE.sub(fill, marked)
    rest = template.replace(f"«{marked}»", "\0", 1).replace("«", "").replace("»", "")
    return _HOLE.sub(fill, rest).replace("\0", own), own


def known_misses(corpus: Path) -> Iterator[Case]:
    """Cases that got through earlier: a record or a text each."""
    for line in (corpus / "secrets/_misses/misses.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield Case(row["family"], row["secret"], row["text"])


def is_told(case: Case, redactor: Redactor) -> bool:
    """Whether what leaves still has the secret, or half of it, behind any escapes."""
    line = case.text if case.text.startswith("{") else json.dumps({"text": case.text})
    text = redactor.lines(line.encode()).data.decode("utf-8", "replace")
    size = max(_PART, len(case.secret) // 2)
    parts = {case.secret[at : at + size] for at in range(0, max(1, len(case.secret) - size + 1), 4)}
    for _ in range(4):
        if any(part in text for part in parts):
            return True
        for escaped, plain in _ESCAPES:
            text = text.replace(escaped, plain)
    return False


def recall(cases: Iterator[Case], redactor: Redactor) -> tuple[float, int, Counter[str]]:
    """The share of secrets that are cut, how many there are, and those that are not by family."""
    count, missed = 0, Counter[str]()
    for case in cases:
        count += 1
        missed[case.family] += is_told(case, redactor)
    return round(1 - missed.total() / max(1, count), 4), count, +missed


def sources() -> Iterator[Path]:
    """Source files of others without secrets: the standard library, and what is installed."""
    for name in ("stdlib", "purelib"):
        for path in sorted(Path(sysconfig.get_path(name)).rglob("*.py")):
            if path.stat().st_size < _MOST_BYTES and "test" not in path.as_posix().lower():
                yield path


def cuts_in(files: Iterator[Path], redactor: Redactor) -> tuple[int, list[tuple[str, str, str]]]:
    """The size of all files, and every cut in them: the file, the rule, what stood there."""
    size, found = 0, []
    for path in files:
        raw = path.read_bytes()
        size += len(raw)
        result = redactor.lines(raw) if path.suffix == ".jsonl" else redactor.text(raw)
        if result.cuts:
            found += [(str(path), rule, what) for rule, what in _cuts(raw, result.data)]
    return size, found


def _cuts(raw: bytes, redacted: bytes) -> Iterator[tuple[str, str]]:
    before, after = raw.split(b"\n"), redacted.split(b"\n")
    for number, line in enumerate(after):
        for marker in _MARKER.finditer(line):
            head = line[max(0, marker.start() - _CONTEXT) : marker.start()]
            old = before[number] if len(before) == len(after) else b""
            at = max(0, old.find(head[-20:]))
            yield (
                marker[1].decode(),
                repr((old or line)[at : at + 2 * _CONTEXT].decode("utf-8", "replace")),
            )


def quality(corpus: Path, seed: int | None = None) -> dict[str, object]:
    """Recall on samples, on known misses and on generated tokens; false cuts a MB."""
    redactor = default_redactor()
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    misses, positives = bench_redact.missed(corpus, redactor)
    mistakes, negatives = bench_redact.mistaken(corpus, redactor)
    on_misses, known, _ = recall(known_misses(corpus), redactor)
    on_forms, made, by_family = recall(generated(seed), redactor)
    transcripts = (path for path in sorted((corpus / "claude").rglob("*")) if path.is_file())
    size, cuts = cuts_in(transcripts, redactor)
    code_size, code_cuts = cuts_in(sources(), redactor)
    BUILD.mkdir(exist_ok=True)
    rows = ["\t".join(row) for row in [*cuts, *code_cuts]]
    (BUILD / "redaction-cuts.tsv").write_text("\n".join(["file\trule\ttext", *rows, ""]))
    return {
        "n": positives + negatives + known + made,
        "how": f"{positives} secrets of our kinds and {negatives} harmless texts of others' tests,"
        f" {known} known misses, {made} generated; {size / 1e6:.0f} MB of transcripts,"
        f" {code_size / 1e6:.0f} MB of source code; every cut is in build/redaction-cuts.tsv",
        "seed": seed,
        "recall": round(1 - len(misses) / positives, 4),
        "recall_misses": on_misses,
        "recall_generated": on_forms,
        "missed_by_family": dict(by_family.most_common(12)),
        "false_positive": round(len(mistakes) / negatives, 4),
        "false_cuts_mb": round(len(cuts) / (size / 1e6), 3),
        "false_cuts_code_mb": round(len(code_cuts) / (code_size / 1e6), 3),
    }
