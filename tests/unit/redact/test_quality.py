"""The share of secrets found, in real transcripts and in texts that look like secrets."""

import json
import random
from collections import Counter
from pathlib import Path

from benchmarks import bench_redact, redact_quality
from karma_sync.redact.redactor import default_redactor

ROOT = Path(__file__).resolve().parents[3]
REDACTOR = default_redactor()

# Every cut in the real transcripts of corpus/claude, as (file, rule) -> (how many, why it is
# right). They were redacted by other tools before they were published: there is nothing left.
ALLOWED: dict[tuple[str, str], tuple[int, str]] = {}

# Samples that others call harmless, and why we cut something in them all the same.
MISTAKEN = {
    "np.gitalk.1": "clientSecret: 40 hex digits, twice; that a web page shows it is not visible",
    "np.generic.1": "the secret of an application in Entra, harmless only to a rule for others",
    "np.generic.4": "user = 'Aladdin', password = 'open_sesame': a password, if a known one",
    "np.hashicorp.1": "hvs. and 37 characters: only as old tokens they would be too long",
    "np.hashicorp.3": "the same for hvr.",
    "np.hashicorp.5": "VAULT_CLIENT_TOKEN with 26 random characters",
    "np.npm.1": "NPM_TOKEN with a UUID: the older form of these tokens",
    "mailchimp-api-key": "32 hex digits and -us18; whose they are is not visible",
    "secretlint-openai": "sk-proj- and 156 characters; OpenAI publishes no part of them as fixed",
    "secretlint-groq": "GROQ_API_KEY with letters in order at its end, as real keys can have",
}


def test_at_least_95_of_100_secrets_are_found(corpus: Path) -> None:
    misses, count = bench_redact.missed(corpus, REDACTOR)

    assert count >= 100
    assert len(misses) <= 0.05 * count, [(sample.rule, sample.text) for sample in misses]


def test_at_most_2_of_100_harmless_texts_are_cut(corpus: Path) -> None:
    mistakes, count = bench_redact.mistaken(corpus, REDACTOR)

    others = [sample for sample in mistakes if sample.rule not in MISTAKEN]
    assert len(others) <= 0.02 * count, [(sample.rule, sample.text) for sample in others]


def test_a_sample_is_found_in_a_record_as_it_is_found_alone(corpus: Path) -> None:
    for sample in bench_redact.samples(corpus):
        cuts = REDACTOR.string(sample.text)[1]
        line = json.dumps({"message": {"content": sample.text}}).encode()

        result = REDACTOR.lines(line)

        assert bool(result.cuts) == bool(cuts), sample
        assert json.loads(result.data).keys() == {"message"}


def test_every_cut_in_real_transcripts_is_accounted_for(corpus: Path) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for path, cuts in bench_redact.cuts_in_corpus(corpus, REDACTOR):
        for rule, count in cuts.items():
            found[str(path.relative_to(corpus)), rule] += count

    assert found == {where: count for where, (count, _) in ALLOWED.items()}


def test_real_transcripts_lose_only_the_planted_secrets(corpus: Path) -> None:
    block = bench_redact.transcripts(corpus)
    lines = block.splitlines(keepends=True)
    secret = b"xoxb-" + b"-".join([b"2718281828459", b"3141592653589", b"Wq7Lr2Zt9Kx4Mv8Np3Bs6Hd1"])
    planted = [
        line.replace(b'"content":"', b'"content":"%s ' % secret) if at % 50 == 0 else line
        for at, line in enumerate(lines)
    ]
    count = b"".join(planted).count(secret)
    assert count > 50

    result = REDACTOR.lines(b"".join(planted))

    assert result.cuts == {"slack": count}
    assert result.data == b"".join(planted).replace(secret, b"[REDACTED:slack]")


def test_of_new_tokens_of_every_family_nearly_all_are_cut_in_every_place() -> None:
    seed = random.SystemRandom().randrange(1 << 32)

    share, count, missed = redact_quality.recall(redact_quality.generated(seed), REDACTOR)

    assert count > 3000
    assert share >= 0.98, (seed, missed)


def test_nearly_all_of_what_got_through_earlier_is_cut(corpus: Path) -> None:
    share, count, missed = redact_quality.recall(redact_quality.known_misses(corpus), REDACTOR)

    assert count > 900
    assert share >= 0.95, missed
