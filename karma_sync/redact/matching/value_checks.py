"""Judges what a pattern cannot: is this name one of a secret, and is this value a real one?

Used by the rules for assignments and headers, where the form alone proves little:
`token = nextToken`, `apiKey: config.apiKey` and `PASSWORD=your-password-here` hold no secret.
"""

import base64
import re
import string

from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.secret_names import NameKind, bare, kind_of_name

KEY_SIZE = 8  # a token or key shorter than this opens nothing by itself
UNSURE_SIZE = 16  # the same for names like `cache_token_key`, of which we know nothing
PASSWORD_SIZE = 6  # what is shorter no policy allows
LONG_WORD = 12  # letters in a row; the gate of the assignment rules relies on it, and on digits
ALIKE = 5  # so many of one character in a row is a drawing of a secret: xxxxx, *****
COUNTED = 7  # so much of the alphabet in a row was typed by hand: abcdefg, 1234567
JUMBLE = 20  # letters: of keys of this length one in forty has no digit, of longer ones fewer
SHORT_RUN = 2.9  # letters from one change of case to the next: camelCase has more
LONG_RUN = 4.5  # the same where vowels are few
VOWELS = 0.3  # of the letters: English has 0.38, random letters 0.19
DISTINCT = 5  # random values of KEY_SIZE or more have more different characters than this

_ROWS = (string.ascii_lowercase, string.digits[1:] + "0", string.digits)
_RUNS = sorted(
    {row[at : at + COUNTED] for row in _ROWS for at in range(len(row) - COUNTED + 1)}
    | {"a1b2c3", "c3b2a1"}
)
_STAND_IN = re.compile(
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
_SPOKEN = compiled(  # by RE2: nested repeats make Python's engine take exponential time
    rf"\A(?:v?[0-9]{{1,8}}|[A-Za-z0-9]{{1,4}}|(?:[Vv][0-9]{{1,2}})?{_WORD}+[0-9]{{0,5}}{_WORD}*)\z",
    "is_spoken",
)
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


def is_stand_in(value: bytes) -> bool:
    """Written to show where a secret goes: your-key-here, xxxx, ${VAR}, <token>, …."""
    if _REFERENCE.match(value) or _STAND_IN.search(value):
        return True
    alike = sum(len(row[0]) for row in _ROW.finditer(value))
    return alike * 3 >= len(value) or (alike > 0 and len(set(value)) <= len(value) // 4)


def is_counted(value: bytes) -> bool:
    """Typed along the alphabet or the digits to look like a token: abcdefgh, 12345678, a1b2c3."""
    return bool(_COUNTED.search(value.lower()))


def is_code(value: bytes) -> bool:
    """Names a secret instead of being one: an expression, a path, an address."""
    return bool(_CODE.fullmatch(value) or _CHAIN.fullmatch(value))


def is_spoken(value: bytes) -> bool:
    """Made of words and numbers as people name things: test-token-1, claude-3-opus, sha256."""
    parts = [part for part in _JOINTS.split(value) if part]
    return all(_SPOKEN.search(part) and not _is_jumble(part) for part in parts)


def is_password(value: bytes) -> bool:
    """Could be a password somebody set: no stand-in, and with a digit or a sign in it."""
    if len(value) < PASSWORD_SIZE or any(byte <= 0x20 for byte in value):
        return False
    if is_stand_in(value) or _is_expression(value):
        return False
    return _has_digit(value) or bool(_SIGN.search(value) or _LONG_WORD.fullmatch(value))


def _is_expression(value: bytes) -> bool:
    """Code; a chain of names only if it is of words, for passwords have points in them too."""
    if _CODE.fullmatch(value):
        return True
    return _CHAIN.fullmatch(value) is not None and is_spoken(value.replace(b"?", b"."))


def is_key(value: bytes, size: int = KEY_SIZE) -> bool:
    """Could be a token a machine made: letters and digits mixed as no name has them."""
    if len(value) < size or any(byte <= 0x20 or byte >= 0x7F for byte in value):
        return False
    if is_stand_in(value) or is_counted(value) or is_code(value) or len(set(value)) <= DISTINCT:
        return False
    if is_spoken(value) or not _has_letter(value):
        return False
    return _has_digit(value) or _is_jumble(value)


def _is_jumble(value: bytes) -> bool:
    """Letters of both cases that change more often than words begin, or without their vowels."""
    if len(value) < JUMBLE:
        return False
    run = len(value) / max(1, len(_RUN_OF_CASE.findall(value)))
    few_vowels = len(_VOWEL.findall(value)) / len(value) < VOWELS
    return run <= SHORT_RUN or (few_vowels and run <= LONG_RUN)


def _has_digit(value: bytes) -> bool:
    return any(0x30 <= byte <= 0x39 for byte in value)


def _has_letter(value: bytes) -> bool:
    return any(byte | 0x20 in range(0x61, 0x7B) for byte in value)


def assigned(name: bytes, value: bytes) -> bool:
    """The value of `name = value` is a secret: the check of the assignment rules."""
    kind = kind_of_name(name)
    if bare(name).lower() == b"pass":  # alone, it may count what passed
        return is_password(value) and _has_letter(value) and not is_spoken(value)
    if kind is NameKind.PASSWORD:
        return is_password(value)
    if kind is NameKind.KEY:
        # a UUID behind the name of a token tells things apart, mostly; as a key or secret it opens
        told_apart = name.lower().endswith(b"token") and _UUID.fullmatch(value)
        return is_key(value) and not (told_apart or _is_sealed(name, value))
    return kind is NameKind.UNSURE and is_key(value, UNSURE_SIZE)


def is_plain_password(name: bytes, value: bytes) -> bool:
    """A word as password, under a name of the environment: not what the name itself says."""
    if len(value) < KEY_SIZE or is_stand_in(value):
        return False
    return not any(word in value for word in (*name.lower().split(b"_"), b"passw", b"secret"))


def _is_sealed(name: bytes, value: bytes) -> bool:
    """Under AWS's name, base64 of bytes: neither a key, which has no padding, nor one wrapped."""
    if not (_AWS.search(name) and value.endswith(b"=")):
        return False
    try:
        return not base64.b64decode(value, validate=True).isascii()
    except ValueError:
        return False


def assigned_inline(name: bytes, value: bytes) -> bool:
    """The same between other words, where `password=password2` is more likely code."""
    return assigned(name, value) and not is_spoken(value)


def assigned_in_environment(name: bytes, value: bytes) -> bool:
    """The same in a line NAME=value of an .env file, where a value is always literal."""
    if assigned(name, value):
        return True
    kind = kind_of_name(name)
    plain = len(value) >= KEY_SIZE and value.isalnum() and not is_stand_in(value)
    return plain and (kind is NameKind.PASSWORD or b"SECRET" in name)


def is_beside_user(_name: bytes, value: bytes) -> bool:
    """What stands as password right under a user's name may be any word, only not a variable."""
    if is_password(value):
        return True
    spoken_of = re.search(rb"[A-Z]|pass|pw|secret|user|string|null|none|true|false", value)
    return len(value) >= PASSWORD_SIZE and not (spoken_of or is_stand_in(value) or is_code(value))


def is_said(quote: bytes, value: bytes) -> bool:
    """What people call the password in a sentence; in quotes it may be any lower-case word."""
    if is_stand_in(value) or _is_expression(value):
        return False
    if not quote:
        return len(value) >= PASSWORD_SIZE and _has_digit(value) and not is_spoken(value)
    judged = re.search(rb"[^a-z]|pass|secret|valid|correct|require|missing|empty|wrong", value)
    return judged is None or is_password(value)


def is_given(_name: bytes, value: bytes) -> bool:
    """The password of a user, where a command wants one."""
    return is_password(value)


def is_paired(name: bytes, value: bytes) -> bool:
    """The second of two arguments of which the first is a name: ("api_key", "…")."""
    return (
        kind_of_name(name) is NameKind.KEY and len(value) >= UNSURE_SIZE and assigned(name, value)
    )


def is_listed(name: bytes, value: bytes) -> bool:
    """The value under a name, where forms and settings list both: a password has a digit."""
    return assigned(name, value) and _has_digit(value)


def is_told(name: bytes, value: bytes) -> bool:
    """What people call a key in a sentence: longer than any word, and no word."""
    told = value.rstrip(b".!?:*")
    return is_paired(name, told) and not is_spoken(told)


def is_credential(_name: bytes, value: bytes) -> bool:
    """What follows `Authorization: Bearer `: everything but a stand-in, code and plain words."""
    if is_stand_in(value) or is_code(value):
        return False
    return _has_digit(value) or (len(value) >= UNSURE_SIZE and not is_spoken(value))


def is_bearer(_name: bytes, value: bytes) -> bool:
    """What follows `Bearer ` where nothing says that it is a header."""
    return is_key(value)


def is_basic(_name: bytes, value: bytes) -> bool:
    """What follows `Basic `: base64 of user:password."""
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False
    return b":" in decoded or is_key(value, UNSURE_SIZE)


def is_real(_name: bytes, value: bytes) -> bool:
    """For tokens with a telling prefix: all but a drawing of one (ghp_xxxx, sk-ant-your-…)."""
    drawing = rb"(?i)x{5}|\*{3}|\.{3}|example|your[_\-]|placeholder|redacted|[_\-]here$|dummy"
    return not re.search(drawing, value)


def is_random(_name: bytes, value: bytes) -> bool:
    """The same for prefixes that stand in many a manual, in front of abcdefgh and 000000."""
    return is_real(b"", value) and not is_counted(value) and len(set(value)) > 2 * DISTINCT
