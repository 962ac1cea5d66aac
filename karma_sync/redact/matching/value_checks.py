"""Judges values where a pattern cannot: whether a value is a real secret under its name.

The rules for assignments and headers use these checks, because the form alone proves little there:
`token = nextToken`, `apiKey: config.apiKey` and `PASSWORD=your-password-here` hold no secret. The
names of the checks are part of the redactor's version: renaming one has all items packaged again.
"""

import base64
import re
import string

from karma_sync.redact.matching.harmless_words import HARMLESS, STANDING_FOR
from karma_sync.redact.matching.judged_value import asked_once
from karma_sync.redact.matching.patterns import compiled
from karma_sync.redact.matching.references import PLACEHOLDER, REFERENCE
from karma_sync.redact.matching.secret_names import NameKind, bare, is_setting, kind_of_name

# Sizes are in bytes.
KEY_SIZE = 8  # a shorter token or key gives no access by itself
UNSURE_SIZE = 16  # the same under names like `cache_token_key`, which may name a secret or not
PASSWORD_SIZE = 6  # no password policy allows fewer
ALIKE = 5  # so many equal characters in a row only stand for a secret: xxxxx, *****
COUNTED = 7  # so many characters in alphabetical order were typed by hand: abcdefg, 1234567
JUMBLE = 20  # letters: one key in forty of this length has no digit, of longer keys fewer
SHORT_RUN = 2.9  # letters between two changes of case in random text: camelCase has more
MIDDLE_RUN = 3.5  # the same where vowels are few
LONG_RUN = 4.5  # the same in a long text
VOWELS = 0.3  # share of the letters: English has 0.38, random letters 0.19
DRAWN = 12  # letters: a shorter text is too short to judge where its letters come from
LEAST_DIGITS = 2  # a name in code ends in one digit
SHORT_WORD = 4  # letters: a shorter word stands in others by chance
DISTINCT = 5  # random values of KEY_SIZE or more have more different characters than this

_ROWS = (string.ascii_lowercase, string.digits[1:] + "0", string.digits)
_RUNS = sorted(
    {row[at : at + COUNTED] for row in _ROWS for at in range(len(row) - COUNTED + 1)}
    | {"a1b2c3", "c3b2a1"}
)
_CODE = re.compile(
    rb"""
    (?:\.{0,2}|~|[A-Za-z]:)[/\\][\w.@ -]+(?:[/\\][\w.@ -]*)+   # a path
    | [A-Za-z][A-Za-z0-9+.-]*://.*|arn:aws.*                     # an address
    | [A-Za-z_$][\w.$:]*[(\[](?:.*[)\]])?[;,.(\[]?               # a call, an element
    | .*(?:=>|&&|\|\||\ [=+]\ ).*                               # an expression
    """,
    re.VERBOSE | re.DOTALL,
)
_TORN = re.compile(rb"\A[,;)\]}]|[:(\[{,]\Z")  # what stands between two quoted texts
_CALL = re.compile(rb"([A-Za-z_$][\w.$]{3,})[(\[]")
# An identifier that says itself what it refers to.
_NAMED_SO = re.compile(
    rb"(?i)[a-z_$][a-z_$.:]*(?:key|token|secret|passw|passphrase)[a-z_$.:]*[0-9]?[,;)]*"
    rb"|[a-z_$][\w.$]*\.\w*(?:key|token|secret|password)s?[0-9]?"
)
_CHAIN = re.compile(  # config.apiKey, process.env.X
    rb"[A-Za-z_][A-Za-z0-9_]*(?:\??\.[A-Za-z_][A-Za-z0-9_]*)+[;,]?"
)
_WORD = r"(?:[A-Z]{2,}|[A-Z]?[a-z]{2,})"
_MADE_OF_WORDS = compiled(  # by RE2: nested repeats make Python's engine take exponential time
    rf"\A(?:v?[0-9]{{1,8}}|[A-Za-z0-9]{{1,4}}|(?:[Vv][0-9]{{1,2}})?{_WORD}+[0-9]{{0,5}}{_WORD}*)\z",
    "is_made_of_words",
)
_WORDS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SIGNS = re.compile(rb"[^A-Za-z0-9 _.:!?;,'()*&\[\]{}<>\/-]|[0-9]{3}")
_IDENTIFIER = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$]*(?:\[\])?[!?]?")
_NEXT_SETTING = re.compile(rb"[;&][A-Za-z_ ]+=")  # of a connection string, of a query
_PHRASE = re.compile(rb"[A-Za-z]{2,}(?:-[A-Za-z]{2,}){2,}[0-9]*")
_MAIL = re.compile(rb"[\w.+-]+@[\w-]+\.[\w.-]+")
_PHRASE_JOINTS = 3  # a name of code has fewer
_ENVIRONMENT = re.compile(rb"[A-Z][A-Z0-9_]+")
_PATH = re.compile(rb"(?:\.{0,2}|~|[A-Za-z]:)[/\\][\w.@ -]+(?:[/\\]|$)|[A-Za-z][A-Za-z0-9+.-]*://")
_BLANK = re.compile(rb"[\x00-\x20]")
_NOT_PRINTED = re.compile(rb"[\x00-\x20\x7f-\xff]")
_DIGIT = re.compile(rb"[0-9]")
_LETTER = re.compile(rb"[A-Za-z]")
_VOWEL = re.compile(rb"[aeiouAEIOU]")
_RUN_OF_CASE = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_JOINTS = re.compile(rb"[_\-./: @;,]+")
_ROW = re.compile(rb"(.)\1{%d,}" % (ALIKE - 1), re.DOTALL)
_AWS = re.compile(rb"(?i)secret_?access_?key$")
_COUNTED = re.compile("|".join(_RUNS).encode())


@asked_once
def is_placeholder(value: bytes) -> bool:
    """Shows where a secret belongs without being one: your-key-here, xxxx, ${VAR}, <token>, …."""
    if REFERENCE.match(value) or PLACEHOLDER.search(value):
        return True
    if is_made_of_words(value) and any(word in STANDING_FOR for word in words_in(value)):
        return True
    alike = sum(len(row[0]) for row in _ROW.finditer(value))
    return alike * 3 >= len(value) or (alike > 0 and len(set(value)) <= len(value) // 4)


@asked_once
def is_sequence(value: bytes) -> bool:
    """Holds letters or digits in order, typed to look like a token: abcdefgh, 12345678, a1b2c3."""
    return bool(_COUNTED.search(value.lower()))


@asked_once
def is_harmless(value: bytes) -> bool:
    """Consists of words that code, forms and manuals put where a password stands."""
    value = value.lstrip(b"#.")  # of a selector
    if _SIGNS.search(value) or not _LETTER.search(value):
        return False
    return all(word[0].decode().lower() in HARMLESS for word in _WORDS.finditer(value))


def is_path(value: bytes) -> bool:
    """The path of a file, or an address."""
    return _PATH.match(value) is not None


def words_in(value: bytes) -> list[str]:
    """The words of a value, in lower case: of camelCase, of kebab-case, between signs."""
    return [word.decode().lower() for word in _WORDS.findall(value)]


@asked_once
def is_code(value: bytes) -> bool:
    """Refers to a secret instead of being one: an expression, a path, an address."""
    return bool(_CODE.fullmatch(value) or _CHAIN.fullmatch(value))


@asked_once
def is_made_of_words(value: bytes) -> bool:
    """Consists of words and numbers, like a name: test-token-1, claude-3-opus, sha256."""
    parts = [part for part in _JOINTS.split(value) if part]
    return all(_MADE_OF_WORDS.search(part) and not _has_random_letters(part) for part in parts)


@asked_once
def is_password(value: bytes) -> bool:
    """The literal value of a password's name is one unless it is known to be none.

    It is none if it is too short, a placeholder, a reference, an expression, a path, or made of
    words that code and forms put there, such as `newPassword` or `required`.
    """
    if len(value) < PASSWORD_SIZE or _BLANK.search(value):
        return False
    if is_placeholder(value) or _is_expression(value) or is_harmless(value):
        return False
    # a plain word of another language is a label: that of a field, of a form
    return value.isascii() or _has_digit(value)


def is_variable(value: bytes) -> bool:
    """Could be a name in code: one identifier that is made of words, with at most one digit."""
    if _IDENTIFIER.fullmatch(value) is None or _looks_drawn(value):
        return False
    return len(_DIGIT.findall(value)) < LEAST_DIGITS


@asked_once
def _looks_drawn(value: bytes) -> bool:
    """Letters of both cases without the words that a name has: a password of letters alone."""
    if len(value) < DRAWN:
        return False
    runs = _RUN_OF_CASE.findall(value)
    if len(value) / max(1, len(runs)) > (MIDDLE_RUN if _has_few_vowels(value) else SHORT_RUN):
        return False
    return sum(_VOWEL.search(run) is None for run in runs) * 3 >= len(runs)


@asked_once
def _is_expression(value: bytes) -> bool:
    """Code; a chain of names only if it consists of words, because passwords have dots too."""
    if _CODE.fullmatch(value) or _NAMED_SO.fullmatch(value) or _TORN.search(value):
        return True
    if (call := _CALL.match(value)) and is_made_of_words(call[1]):
        return True
    return _CHAIN.fullmatch(value) is not None and is_made_of_words(value.replace(b"?", b"."))


def is_key(value: bytes, size: int = KEY_SIZE) -> bool:
    """Could be a token made by a machine: it mixes letters and digits as no name does."""
    if len(value) < size or _NOT_PRINTED.search(value):
        return False
    if is_placeholder(value) or is_sequence(value) or len(set(value)) <= DISTINCT:
        return False
    if _is_expression(value):
        return False
    if is_made_of_words(value) and not _looks_drawn(value):
        return False
    if not _has_letter(value):
        return False
    return _has_digit(value) or _has_random_letters(value) or _looks_drawn(value)


def _has_random_letters(value: bytes) -> bool:
    """Changes case more often than words do, or has fewer vowels than words."""
    if len(value) < JUMBLE:
        return False
    run = len(value) / max(1, len(_RUN_OF_CASE.findall(value)))
    return run <= (LONG_RUN if _has_few_vowels(value) else SHORT_RUN)


def _has_few_vowels(value: bytes) -> bool:
    return len(_VOWEL.findall(value)) / len(value) < VOWELS


def _has_digit(value: bytes) -> bool:
    return _DIGIT.search(value) is not None


def _has_letter(value: bytes) -> bool:
    return _LETTER.search(value) is not None


def is_assigned_secret(name: bytes, value: bytes) -> bool:
    """The literal value of `name = "value"` is a secret; the check of most assignment rules."""
    kind = kind_of_name(name)
    if bare(name).lower() in {b"pass", b"pwd"}:  # alone: passed tests, a directory
        return is_password(value) and _has_letter(value) and not is_made_of_words(value)
    if kind is NameKind.PASSWORD:
        return is_password(value) and not _repeats(name, value)
    if kind is NameKind.KEY:
        if is_key(value):
            return not _is_encrypted(name, value)
        # behind a setting's name a word counts too, if it stands in no list of names
        told = len(value) >= KEY_SIZE and len(set(value)) > DISTINCT and b"|" not in value
        return is_setting(name) and told and is_password(value) and not _repeats(name, value)
    return kind is NameKind.UNSURE and is_key(value, UNSURE_SIZE)


def _repeats(name: bytes, value: bytes) -> bool:
    """A plain word or words of which one is a word of the name: ADMIN_PASSWORD="adminonly"."""
    if not value.replace(b"-", b"").replace(b"_", b"").isalpha():
        return False
    return any(word in value.lower().decode() for word in words_in(name) if len(word) >= SHORT_WORD)


def is_line_value(name: bytes, value: bytes) -> bool:
    """The same for a line `name: value` without quotes, where the value may be a type."""
    told = kind_of_name(name) is NameKind.PASSWORD or is_setting(name)
    if told and is_variable(value):
        # a plain word is literal in YAML, a type begins with a capital letter or is known
        long = len(value) >= KEY_SIZE or _has_digit(value)
        return value.islower() and value.isalnum() and long and is_password(value)
    return is_assigned_secret(name, value)


def is_set_value(name: bytes, value: bytes) -> bool:
    """The same for a line `name = value` without quotes, where the value may be a variable."""
    if is_variable(value) or _NEXT_SETTING.search(value):
        return False
    return is_assigned_secret(name, value)


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
    """The same for `name=value` between other words, where `password=password2` may be code.

    The value of a variable of the environment is literal there too.
    """
    if _ENVIRONMENT.fullmatch(name):
        return is_environment_secret(name, value)
    if kind_of_name(name) is NameKind.PASSWORD:
        return is_assigned_secret(name, value) and not is_variable(value)
    return is_assigned_secret(name, value) and not is_made_of_words(value)


def is_environment_secret(name: bytes, value: bytes) -> bool:
    """The same for a line NAME=value of an .env file, where each value is literal."""
    if is_assigned_secret(name, value):
        return True
    kind = kind_of_name(name)
    plain = len(value) >= KEY_SIZE and not is_placeholder(value) and not is_path(value)
    if kind is NameKind.PASSWORD or (kind is NameKind.KEY and b"SECRET" in name):
        return plain and value.isalnum() and not is_harmless(value)
    # no expression can stand here: a token with dots is no chain of names
    return kind is NameKind.KEY and plain and _has_digit(value) and not is_made_of_words(value)


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


def is_paired_secret(name: bytes, value: bytes) -> bool:
    """The same also for a password, where no address of mail is one: ("password", "a@b.c")."""
    if kind_of_name(name) is NameKind.PASSWORD:
        return is_told_secret(name, value) and not _MAIL.fullmatch(value)
    return is_paired_key(name, value)


def is_listed_secret(name: bytes, value: bytes) -> bool:
    """The value where forms and settings list name and value apart."""
    return is_told_secret(name, value)


def is_told_secret(name: bytes, value: bytes) -> bool:
    """The value beside a name in a table or a sentence, where most values are words of prose.

    A password has a digit or a sign there, or is a phrase of three words or more.
    """
    kind = kind_of_name(name) if name else NameKind.PASSWORD
    if kind is NameKind.KEY:
        return is_key(value) and is_assigned_secret(name, value)
    if kind is NameKind.UNSURE:
        return is_key(value, UNSURE_SIZE)
    if kind is not NameKind.PASSWORD or not is_password(value) or is_variable(value):
        return False
    drawn = _looks_drawn(value) or _PHRASE.fullmatch(value) is not None
    return drawn or _has_digit(value) or _SIGNS.search(value) is not None


def is_told_password(_name: bytes, value: bytes) -> bool:
    """A password in a sentence without a name for it: drawn, a phrase, or words and a number."""
    if not is_password(value) or _MAIL.fullmatch(value) or is_path(value):
        return False
    if _PHRASE.fullmatch(value):
        return value.count(b"-") >= _PHRASE_JOINTS
    mixed = _has_digit(value) and _has_letter(value)
    return mixed and (not is_made_of_words(value) or len(_DIGIT.findall(value)) > LEAST_DIGITS)


def is_cookie(_name: bytes, value: bytes) -> bool:
    """The value of a session's cookie: random, or signed."""
    return not is_placeholder(value) and is_random(b"", value) and not is_made_of_words(value)


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
