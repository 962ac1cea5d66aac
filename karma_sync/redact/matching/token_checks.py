"""Judges tokens by what their providers put into them; the files of families name these checks."""

import re
from collections.abc import Mapping

from karma_sync.redact.matching.rule import Check
from karma_sync.redact.matching.value_checks import is_key, is_made_of_words, is_random, is_real

_NUMBER = re.compile(rb"(?:[MNO][DTjz][AEIMQUYcgk][0-5w-z])+")  # base64 of digits
_ID = 3  # digits; the shortest ids have eight
_VARIED = 10  # different characters, including the prefix
_STRIPE_KEY = 32  # characters, including the prefix
_VERCEL_KEY = 24  # characters behind the prefix
_DRAWN = re.compile(rb"[A-Z0-9]")  # a random token has a capital letter or a digit
_OF_SENTENCES = frozenset(
    b"the and are was were has had but from they their which these not".split()
)
_SPREAD = 8  # at most so many parts of a token are the same character


def _is_slack(_name: bytes, token: bytes) -> bool:
    """Slack's tokens contain ids: a real one has several digits, and not only zeros."""
    return is_real(b"", token) and _digits(token) >= _ID and len(set(token)) > _VARIED


def _is_stripe(_name: bytes, key: bytes) -> bool:
    """Has full length, or a digit if it is short like the oldest keys: not `sk_live_something`."""
    return is_real(b"", key) and (len(key) >= _STRIPE_KEY or _digits(key) > 0)


def _is_discord(_name: bytes, token: bytes) -> bool:
    """The bot's number or a random text, and a signature; not a chain of properties in code."""
    first, _, last = token.split(b".")
    return (_NUMBER.match(first) is not None or is_key(first)) and not is_made_of_words(last)


def _is_gitlab(_name: bytes, token: bytes) -> bool:
    """No placeholder such as `glpat-your-token-goes-here`, no option such as `--glft-…`."""
    return is_real(b"", token) and _DRAWN.search(token) is not None


def _is_npm(_name: bytes, token: bytes) -> bool:
    return is_key(token)


def _is_varied(_name: bytes, key: bytes) -> bool:
    return is_real(b"", key) and len(set(key)) > len(key) // 2


def _is_vercel(_name: bytes, key: bytes) -> bool:
    return is_key(key.split(b"_")[1], _VERCEL_KEY)


def _has_digits(_name: bytes, token: bytes) -> bool:
    """Random letters and digits: a name of code has no digit, or few different characters."""
    return is_random(b"", token) and _digits(token) > 0


def _is_keyed(_name: bytes, token: bytes) -> bool:
    """Random by itself: a form that other texts have too."""
    return is_random(b"", token) and _digits(token) > 0 and not is_made_of_words(token)


def _is_phrase(_name: bytes, phrase: bytes) -> bool:
    """Whether the words may be of a wallet's list: no articles or conjunctions, few repeats."""
    found = phrase.lower().replace(b",", b" ").split()
    return len(set(found)) * 2 > len(found) and not _OF_SENTENCES.intersection(found)


def _is_spread(_name: bytes, token: bytes) -> bool:
    """No character stands in it much more often than others: it is no part of encoded binary."""
    most = max(token.count(byte) for byte in set(token))
    return _has_digits(b"", token) and most * _SPREAD <= len(token)


def _digits(token: bytes) -> int:
    return sum(0x30 <= byte <= 0x39 for byte in token)


CHECKS: Mapping[str, Check | None] = {
    "none": None,
    "real": is_real,
    "random": is_random,
    "digits": _has_digits,
    "keyed": _is_keyed,
    "varied": _is_varied,
    "phrase": _is_phrase,
    "spread": _is_spread,
    "discord": _is_discord,
    "gitlab": _is_gitlab,
    "npm": _is_npm,
    "slack": _is_slack,
    "stripe": _is_stripe,
    "vercel": _is_vercel,
}
