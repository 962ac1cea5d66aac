"""A pattern finds very long matches as it finds short ones, and never less of a value."""

import random
import string

from karma_sync.redact.examples import fill
from karma_sync.redact.matching.patterns import Pattern, Spans, compiled
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

SIZES = (0, 900, 1_020, 1_030, 4_000, 9_000, 20_000)  # characters that a value grows by
LONG = 1024  # bytes of a match whose groups are found at its ends alone
SIGNS = "=;& \n.\"'%\\"
TRIES = 4  # matches in each text


def grown(template: str, name: str, chance: random.Random) -> bytes:
    """An example of a rule with a value that is long, and has a sign somewhere."""
    more = "".join(chance.choices(string.ascii_letters + string.digits, k=chance.choice(SIZES)))
    place = chance.randrange(len(more) + 1)
    more = more[:place] + chance.choice(SIGNS) + more[place:]
    marked = fill(template, name).replace("»", more + "»")
    return marked.replace("«", "").replace("»", "").encode()


def test_a_long_match_is_that_of_a_plain_search_with_no_smaller_groups() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)  # noqa: S311  of values, not of secrets
    shortened = 0
    for rule in DEFAULT_RULES:
        pattern = compiled(rule.pattern, rule.name)
        for template in rule.examples if rule.pattern else ():
            text = grown(template, rule.name, chance)
            at = 0
            for _ in range(TRIES):
                found = pattern.search(text, at, len(text))
                told = found_long(pattern, text, at)
                if found is None:
                    assert told is None, (seed, text)
                    break
                assert told is not None
                assert told[0] == found[0], (seed, text)
                assert all(covers(*pair) for pair in zip(told, found, strict=True)), (seed, text)
                shortened += found[0][1] - found[0][0] > LONG
                at = found[0][0] + 1

    assert shortened > 100, seed


def found_long(pattern: Pattern, text: bytes, at: int) -> Spans | None:
    found = pattern.where(text, at, len(text))
    return None if found is None else pattern.groups_of(text, found, len(text))


def covers(told: tuple[int, int], found: tuple[int, int]) -> bool:
    """The one group holds all of the other."""
    return found[0] < 0 or (told[0] <= found[0] and found[1] <= told[1])


def test_a_password_of_an_address_is_not_taken_for_its_user() -> None:
    user, password = b"u" * 5_000, b"p" * 5_000
    url = compiled(r"://[^:@]*:(?P<secret>[^@]+)@(?P<name>[a-z]+)", "url")
    text = b"a://" + user + b":" + password + b":q@host"

    found = found_long(url, text, 0)

    assert found is not None
    assert text[slice(*found[url.groupindex[b"secret"]])] == password + b":q"
