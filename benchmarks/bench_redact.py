"""How fast the redactor is on real transcripts, which secrets it misses, what it cuts wrongly."""

import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from karma_sync.redact.redactor import Redactor, default_redactor

RUNS = 9  # timed runs; one untimed run before them lets RE2 build its automata

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


def speed(corpus: Path) -> dict[str, object]:
    """Megabytes of transcript that are redacted a second, in one thread."""
    block, redactor = transcripts(corpus), default_redactor()
    seconds = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        redactor.lines(block)
        seconds.append(time.perf_counter() - start)
    return {
        "n": RUNS,
        "how": "median of runs over all claude/*.jsonl as one block, after one run to warm up",
        "seed": None,
        "bytes": len(block),
        "value": round(len(block) / 1e6 / statistics.median(seconds[1:]), 1),
    }


def quality(corpus: Path) -> dict[str, object]:
    """Share of secrets that are found, share of harmless texts that are cut, cuts in real files."""
    redactor = default_redactor()
    misses, positives = missed(corpus, redactor)
    mistakes, negatives = mistaken(corpus, redactor)
    cuts = sum((cuts for _, cuts in cuts_in_corpus(corpus, redactor)), Counter())
    return {
        "n": positives + negatives,
        "how": f"{positives} secrets of our kinds, {negatives} harmless texts, all of claude/",
        "seed": None,
        "recall": round(1 - len(misses) / positives, 4),
        "false_positive": round(len(mistakes) / negatives, 4),
        "cuts_in_corpus": cuts.total(),
    }


def run(corpus: Path) -> dict[str, dict[str, object]]:
    """The results of this benchmark, by name."""
    return {"redact_mb_s": speed(corpus), "redaction_quality": quality(corpus)}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1])), indent=2))
