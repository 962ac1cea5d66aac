"""Judges values where a pattern cannot: whether a value is a real secret under its name.

The rules for assignments and headers use these checks, because the form alone proves little there:
`token = nextToken`, `apiKey: config.apiKey` and `PASSWORD=your-password-here` hold no secret. The
names of the checks are part of the redactor's version: renaming one has all items packaged again.
"""

import base64
import re
import string

from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.secret_names import NameKind, bare, kind_of_name

# Sizes are in bytes.
KEY_SIZE = 8  # a shorter token or key gives no access by itself
UNSURE_SIZE = 16  # the same under names like `cache_token_key`, which may name a secret or not
PASSWORD_SIZE = 6  # no password policy allows fewer
LONG_WORD = 12  # letters in a row; the gate of the assignment rules relies on it, and on digits
ALIKE = 5  # so many equal characters in a row only stand for a secret: xxxxx, *****
COUNTED = 7  # so many characters in alphabetical order were typed by hand: abcdefg, 1234567
JUMBLE = 20  # letters: one key in forty of this length has no digit, of longer keys fewer
SHORT_RUN = 2.9  # letters between two changes of case in random text: camelCase has more
LONG_RUN = 4.5  # the same where vowels are few
VOWELS = 0.3  # share of the letters: English has 0.38, random letters 0.19
DISTINCT = 5  # random values of KEY_SIZE or more have more different characters than this

_ROWS = (string.ascii_lowercase, string.digits[1:] + "0", string.digits)
_RUNS = sorted(
    {row[at : at + COUNTED] for row in _ROWS for at in range(len(row) - COUNTED + 1)}
    | {"a1b2c3", "c3b2a1"}
)
_PLACEHOLDER = re.compile(
    rb"""(?i)
    (?-i:EXAMPLE)|\.\.\.|\xe2\x80\xa6|\*\*\*|<[a-z]|\$\{|\$\(|\{\{|\{[a-z0-9_]*\}|%\(|\#\{|<%|\[redacted
    | your[_\-. ]?|change[_\-]?(?:me|this)|replace[_\-]?|place[_\-]?holder|insert[_\-]|redacted
    | (?:^|[^a-z0-9])(?:example|dummy|sample|fake|mock|foo|bar|foobar|todo|tbd|test|testing|demo
        |goes|here|none|null|undefined|nil|true|false|required|optional|string|secret[_\-]?key
        |api[_\-]?key|my[_\-]?(?:token|secret|key|password))[0-9]*(?:[^a-z0-9]|$)
    """,
    re.VERBOSE,
)
_REFERENCE = re.compile(rb"\$[A-Za-z_{(]|%[A-Za-z_({]|[{<\[(]|\*[a-z]|!(?:vault|secret|sub|ref)")
_CODE = re.compile(
    rb"""
    (?:\.{0,2}|~|[A-Za-z]:)[/\\][\w.@ -]+(?:[/\\][\w.@ -]*)+   # a path
    | [A-Za-z][A-Za-z0-9+.-]*://.*|arn:aws.*                     # an address
    | [A-Za-z_$][\w.$:]*[(\[](?:.*[)\]])?[;,.(\[]?               # a call, an element
    | .*(?:=>|&&|\|\||\ [=+]\ ).*                               # an expression
    """,
    re.VERBOSE | re.DOTALL,
)
_CHAIN = re.compile(  # config.apiKey, process.env.X
    rb"[A-Za-z_][A-Za-z0-9_]*(?:\??\.[A-Za-z_][A-Za-z0-9_]*)+[;,]?"
)
_WORD = r"(?:[A-Z]{2,}|[A-Z]?[a-z]{2,})"
_MADE_OF_WORDS = compiled(  # by RE2: nested repeats make Python's engine take exponential time
    rf"\A(?:v?[0-9]{{1,8}}|[A-Za-z0-9]{{1,4}}|(?:[Vv][0-9]{{1,2}})?{_WORD}+[0-9]{{0,5}}{_WORD}*)\z",
    "is_made_of_words",
)
_BLANK = re.compile(rb"[\x00-\x20]")
_NOT_PRINTED = re.compile(rb"[\x00-\x20\x7f-\xff]")
_DIGIT = re.compile(rb"[0-9]")
_LETTER = re.compile(rb"[A-Za-z]")
_VOWEL = re.compile(rb"[aeiouAEIOU]")
_RUN_OF_CASE = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_JOINTS = re.compile(rb"[_\-./: @;,]+")
_ROW = re.compile(rb"(.)\1{%d,}" % (ALIKE - 1), re.DOTALL)
_LONG_WORD = re.compile(
    rb"(?!.*(?:password|secret|token|your|user|enter|valid|require))[a-z]{%d,}" % LONG_WORD
)
_SIGN = re.compile(rb"[!$%^&*+?~|;]|.@|.#")
_UUID = re.compile(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_AWS = re.compile(rb"(?i)secret_?access_?key$")
_COUNTED = re.compile("|".join(_RUNS).encode())


def is_placeholder(value: bytes) -> bool:
    """Shows where a secret belongs without being one: your-key-here, xxxx, ${VAR}, <token>, …."""
    if _REFERENCE.match(value) or _PLACEHOLDER.search(value):
        return True
    alike = sum(len(row[0]) for row in _ROW.finditer(value))
    return alike * 3 >= len(value) or (alike > 0 and len(set(value)) <= len(value) // 4)


def is_sequence(value: bytes) -> bool:
    """Holds letters or digits in order, typed to look like a token: abcdefgh, 12345678, a1b2c3."""
    return bool(_COUNTED.search(value.lower()))


def is_code(value: bytes) -> bool:
    """Refers to a secret instead of being one: an expression, a path, an address."""
    return bool(_CODE.fullmatch(value) or _CHAIN.fullmatch(value))


def is_made_of_words(value: bytes) -> bool:
    """Consists of words and numbers, like a name: test-token-1, claude-3-opus, sha256."""
    parts = [part for part in _JOINTS.split(value) if part]
    return all(_MADE_OF_WORDS.search(part) and not _has_random_letters(part) for part in parts)


def is_password(value: bytes) -> bool:
    """Could be a person's password: no placeholder, with a digit, a sign or a very long word."""
    if len(value) < PASSWORD_SIZE or _BLANK.search(value):
        return False
    if is_placeholder(value) or _is_expression(value):
        return False
    return _has_digit(value) or bool(_SIGN.search(value) or _LONG_WORD.fullmatch(value))


def _is_expression(value: bytes) -> bool:
    """Code; a chain of names only if it consists of words, because passwords have dots too."""
    if _CODE.fullmatch(value):
        return True
    return _CHAIN.fullmatch(value) is not None and is_made_of_words(value.replace(b"?", b"."))


def is_key(value: bytes, size: int = KEY_SIZE) -> bool:
    """Could be a token made by a machine: it mixes letters and digits as no name does."""
    if len(value) < size or _NOT_PRINTED.search(value):
        return False
    if is_placeholder(value) or is_sequence(value) or is_code(value) or len(set(value)) <= DISTINCT:
        return False
    if is_made_of_words(value) or not _has_letter(value):
        return False
    return _has_digit(value) or _has_random_letters(value)


def _has_random_letters(value: bytes) -> bool:
    """Changes case more often than words do, or has fewer vowels than words."""
    if len(value) < JUMBLE:
        return False
    run = len(value) / max(1, len(_RUN_OF_CASE.findall(value)))
    few_vowels = len(_VOWEL.findall(value)) / len(value) < VOWELS
    return run <= SHORT_RUN or (few_vowels and run <= LONG_RUN)


def _has_digit(value: bytes) -> bool:
    return _DIGIT.search(value) is not None


def _has_letter(value: bytes) -> bool:
    return _LETTER.search(value) is not None


def is_assigned_secret(name: bytes, value: bytes) -> bool:
    """The value of `name = value` is a secret; the check of most assignment rules."""
    kind = kind_of_name(name)
    if bare(name).lower() == b"pass":  # alone, it may be a count of passed tests
        return is_password(value) and _has_letter(value) and not is_made_of_words(value)
    if kind is NameKind.PASSWORD:
        return is_password(value)
    if kind is NameKind.KEY:
        # a UUID under a name with `token` mostly is an id; under a name with `key` or `secret` it
        # gives access
        is_id = name.lower().endswith(b"token") and _UUID.fullmatch(value)
        return is_key(value) and not (is_id or _is_encrypted(name, value))
    return kind is NameKind.UNSURE and is_key(value, UNSURE_SIZE)


def is_plain_password(name: bytes, value: bytes) -> bool:
    """A plain word as the password in an environment variable; not a word of its name."""
    if len(value) < KEY_SIZE or is_placeholder(value):
        return False
    return not any(word in value for word in (*name.lower().split(b"_"), b"passw", b"secret"))


def _is_encrypted(name: bytes, value: bytes) -> bool:
    """Under AWS's name for a key: base64 of binary data, which is not a key.

    An AWS key has no padding, and a key that is encoded once more decodes to text.
    """
    if not (_AWS.search(name) and value.endswith(b"=")):
        return False
    try:
        return not base64.b64decode(value, validate=True).isascii()
    except ValueError:
        return False


def is_inline_secret(name: bytes, value: bytes) -> bool:
    """The same for `name=value` between other words, where `password=password2` may be code."""
    return is_assigned_secret(name, value) and not is_made_of_words(value)


def is_environment_secret(name: bytes, value: bytes) -> bool:
    """The same for a line NAME=value of an .env file, where each value is literal."""
    if is_assigned_secret(name, value):
        return True
    kind = kind_of_name(name)
    plain = len(value) >= KEY_SIZE and value.isalnum() and not is_placeholder(value)
    return plain and (kind is NameKind.PASSWORD or b"SECRET" in name)


def is_password_after_user(_name: bytes, value: bytes) -> bool:
    """The password in the line after a user's name: any word that is not a variable."""
    if is_password(value):
        return True
    variable = re.search(rb"[A-Z]|pass|pw|secret|user|string|null|none|true|false", value)
    return len(value) >= PASSWORD_SIZE and not (variable or is_placeholder(value) or is_code(value))


def is_password_in_prose(quote: bytes, value: bytes) -> bool:
    """The password that a sentence states; in quotes it may be any lower-case word."""
    if is_placeholder(value) or _is_expression(value):
        return False
    if not quote:
        return len(value) >= PASSWORD_SIZE and _has_digit(value) and not is_made_of_words(value)
    other = re.search(rb"[^a-z]|pass|secret|valid|correct|require|missing|empty|wrong", value)
    return other is None or is_password(value)


def is_argument_password(_name: bytes, value: bytes) -> bool:
    """The password in a command's argument."""
    return is_password(value)


def is_paired_key(name: bytes, value: bytes) -> bool:
    """The second of two arguments, where the first names a key: ("api_key", "…")."""
    return (
        kind_of_name(name) is NameKind.KEY
        and len(value) >= UNSURE_SIZE
        and is_assigned_secret(name, value)
    )


def is_listed_secret(name: bytes, value: bytes) -> bool:
    """The value where forms and settings list name and value apart; it must have a digit."""
    return is_assigned_secret(name, value) and _has_digit(value)


def is_key_in_prose(name: bytes, value: bytes) -> bool:
    """The key that a sentence states: longer than a word, and not made of words."""
    key = value.rstrip(b".!?:*")
    return is_paired_key(name, key) and not is_made_of_words(key)


def is_credential(_name: bytes, value: bytes) -> bool:
    """The value after `Authorization: Bearer `: all but placeholders, code and plain words."""
    if is_placeholder(value) or is_code(value):
        return False
    return _has_digit(value) or (len(value) >= UNSURE_SIZE and not is_made_of_words(value))


def is_bearer(_name: bytes, value: bytes) -> bool:
    """The value after `Bearer ` where no header name stands before it."""
    return is_key(value)


def is_basic(_name: bytes, value: bytes) -> bool:
    """The value after `Basic `: base64 of user:password."""
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False
    return b":" in decoded or is_key(value, UNSURE_SIZE)


def is_real(_name: bytes, value: bytes) -> bool:
    """A token with a known prefix is real unless it is a placeholder (ghp_xxxx, sk-ant-your-…)."""
    placeholder = rb"(?i)x{5}|\*{3}|\.{3}|example|your[_\-]|placeholder|redacted|[_\-]here$|dummy"
    return not re.search(placeholder, value)


def is_random(_name: bytes, value: bytes) -> bool:
    """The same for prefixes that manuals often show before abcdefgh or 000000."""
    return is_real(b"", value) and not is_sequence(value) and len(set(value)) > 2 * DISTINCT
