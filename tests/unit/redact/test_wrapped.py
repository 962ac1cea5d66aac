"""A token whose form alone tells it is cut where a terminal wrapped it, in every family."""

import random
import re

from karma_sync.redact.examples import fill
from karma_sync.redact.redactor import default_redactor
from karma_sync.redact.rules.family_files import family_rules

REDACTOR = default_redactor()
WIDTH = 80
TOLD = 8  # random characters in a row: so many would identify the secret
TRIES = 6  # places in each token
LEAST_REST = 12  # characters in the next line: fewer may be a word
# Their form has signs that words of other lines have too, so no rest of a line is believed.
NOT_MEANT = {"asana"}


def wrapped(token: str, at: int) -> str:
    """Lines of a terminal of which the first ends with so many characters of the token."""
    prompt = "$ cat deploy.log  token "
    printed = prompt + "." * (WIDTH - len(prompt) - at - 1) + " " + token
    return "\n".join(printed[start : start + WIDTH] for start in range(0, len(printed), WIDTH))


def test_a_token_that_a_terminal_wrapped_behind_its_beginning_is_cut_in_both_lines() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    chance, count, missed = random.Random(seed), 0, []  # noqa: S311  of places, not of secrets
    for rule in family_rules():
        marked = re.search("«([^«»\n]*)»", fill(rule.examples[0], f"{rule.name} {seed}"))
        begins = marked and rule.begins and re.search(rule.begins, marked[1])
        if not (marked and begins) or rule.name in NOT_MEANT:
            continue
        token = marked[1]
        last = min(len(token) - LEAST_REST, WIDTH - 30)
        for _ in range(TRIES if begins.end() < last else 0):
            at = chance.randrange(begins.end() + 1, last + 1)
            left = REDACTOR.string(wrapped(token, at))[0]
            count += 1
            if token[at : at + TOLD] in left:
                missed.append((rule.name, left))

    assert count > 300, seed
    assert len(missed) <= 0.02 * count, (seed, missed)


def test_the_line_behind_a_whole_token_stays() -> None:
    for rule in family_rules():
        marked = re.search("«([^«»\n]*)»", fill(rule.examples[0], rule.name))
        if not (marked and rule.begins):
            continue
        for after in ("DEBUG = 0\n", "HOME=/root\n", "EOF\n", "README.md:4: x\n"):
            text = f"$ cat deploy/.env.local   TOKEN_OF_IT={marked[1]}\n{after}"

            assert REDACTOR.string(text)[0].endswith(f"\n{after}"), (rule.name, text)
