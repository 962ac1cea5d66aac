"""The speed of the redactor on real transcripts, and samples of secrets from others' tests."""

import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tool_output
from benchmarks.workload import SEED
from karma_sync.redact.redactor import Redactor, default_redactor

RUNS = 5  # timed runs; one untimed run before them lets RE2 build its automata
CODE_BYTES = 200_000_000

# The families of secrets that our rules are for, in the words of the samples' rule names.
FAMILIES = frozenset(
    {"anthropic", "aws", "azure", "azurestorage", "bitbucket", "cloudflare", "digitalocean"}
    | {"discord", "ftp", "gcp", "generic", "github", "gitlab", "google", "groq", "http"}
    | {"huggingface", "jwt", "mongodb", "npm", "openai", "openrouter", "pem", "postgres"}
    | {"privkey", "pypi", "sendgrid", "sentry", "slack", "stripe", "supabase", "telegram"}
    | {"twilio", "vercel", "xai"}
)
# Samples of those families that our rules need not find: a pattern for their names, and why.
NOT_MEANT = (
    (re.compile("Account ID|tenant_id|client_id"), "says who, and opens nothing"),
    (re.compile("p12"), "a binary key store under its own password, not text"),
    (re.compile("Azure Personal Access|MongoDB (API|Atlas)"), "another product of the family"),
)


@dataclass(frozen=True)
class Sample:
    """A text from another redactor's tests: one that its rule must find, or must not."""

    positive: bool
    rule: str
    name: str
    text: str

    @property
    def meant(self) -> bool:
        """Whether it is a secret of a kind that our rules are for."""
        ours = FAMILIES.intersection(re.split("[.-]", self.rule))
        return bool(ours) and not any(pattern.search(self.name) for pattern, _ in NOT_MEANT)


def samples(corpus: Path) -> list[Sample]:
    """Every sample in the corpus."""
    lines = (corpus / "secrets/_samples/samples.jsonl").read_text().splitlines()
    return [
        Sample(row["label"] == "positive", row["rule"], row["name"], row["text"])
        for row in map(json.loads, lines)
    ]


def missed(corpus: Path, redactor: Redactor) -> tuple[list[Sample], int]:
    """The secrets our rules are for in which nothing is cut; and how many secrets there are."""
    positives = [sample for sample in samples(corpus) if sample.positive and sample.meant]
    return [sample for sample in positives if not redactor.string(sample.text)[1]], len(positives)


def mistaken(corpus: Path, redactor: Redactor) -> tuple[list[Sample], int]:
    """The harmless texts in which something is cut; and how many harmless texts there are."""
    negatives = [sample for sample in samples(corpus) if not sample.positive]
    return [sample for sample in negatives if redactor.string(sample.text)[1]], len(negatives)


def transcripts(corpus: Path) -> bytes:
    """All transcripts of Claude Code as one block of whole lines."""
    return b"".join(
        raw if raw.endswith(b"\n") or not raw else raw + b"\n"
        for raw in map(Path.read_bytes, sorted((corpus / "claude").rglob("*.jsonl")))
    )


def cuts_in_corpus(corpus: Path, redactor: Redactor) -> Iterator[tuple[Path, Counter[str]]]:
    """How often each rule cuts in each real file of Claude Code."""
    for path in sorted((corpus / "claude").rglob("*")):
        if path.is_file():
            raw = path.read_bytes()
            found = redactor.lines(raw) if path.suffix == ".jsonl" else redactor.text(raw)
            yield path, Counter(found.cuts)


def speed(corpus: Path, code_bytes: int = CODE_BYTES) -> dict[str, object]:
    """Megabytes that are redacted a second of CPU, of transcripts and of tools' output."""
    redactor = default_redactor()
    blocks = {"corpus": transcripts(corpus), "code": tool_output.block(code_bytes, SEED)}
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(RUNS + 1):
        for name, block in blocks.items():
            start = time.process_time()
            redactor.lines(block)
            seconds[name].append(time.process_time() - start)
    figures = {
        name: round(len(block) / 1e6 / statistics.median(seconds[name][1:]), 1)
        for name, block in blocks.items()
    }
    return {
        "n": RUNS,
        "how": "median of runs in one thread, in turns, after one run to warm up: all of"
        f" claude/*.jsonl, and {code_bytes / 1e6:.0f} MB of Read, Bash and Grep on this repository",
        "seed": SEED,
        "bytes": sum(map(len, blocks.values())),
        "value": figures["corpus"],
        **figures,
        "code_of_corpus": round(figures["code"] / figures["corpus"], 2),
    }
