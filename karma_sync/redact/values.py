"""Judges what a pattern cannot: is this name one of a secret, and is this value a real one?

Used by the rules for assignments and headers, where the form alone proves little:
`token = nextToken`, `apiKey: config.apiKey` and `PASSWORD=your-password-here` hold no secret.
"""

import base64
import re
from enum import StrEnum

KEY_SIZE = 8  # a token or key shorter than this opens nothing by itself
UNSURE_SIZE = 16  # the same for names like `cache_token_key`, of which we know nothing
PASSWORD_SIZE = 6  # shorter than any policy allows
ALIKE = 5  # so many of one character in a row is a drawing of a secret: xxxxx, *****
DISTINCT = 5  # random values of KEY_SIZE or more have more different characters than this


class Kind(StrEnum):
    """What a name says about its value."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105  the kind, not one
    KEY = "key"
    UNSURE = "unsure"


_KEYED = frozenset(
    [
        "access",
        "account",
        "admin",
        "aes",
        "api",
        "apikey",
        "app",
        "application",
        "auth",
        "authkey",
        "bearer",
        "bot",
        "client",
        "consumer",
        "cookie",
        "crypto",
        "customer",
        "decrypt",
        "decryption",
        "deploy",
        "encrypt",
        "encryption",
        "function",
        "functions",
        "gpg",
        "hmac",
        "host",
        "integration",
        "jwt",
        "licence",
        "license",
        "login",
        "master",
        "merchant",
        "oauth",
        "partner",
        "private",
        "project",
        "publish",
        "read",
        "role",
        "root",
        "rsa",
        "sas",
        "secret",
        "secrets",
        "security",
        "sentry",
        "server",
        "service",
        "session",
        "shared",
        "sign",
        "signing",
        "ssh",
        "storage",
        "store",
        "stream",
        "subscription",
        "team",
        "tenant",
        "user",
        "webhook",
        "webhooks",
        "write",
    ]
)
_SUFFIXES = frozenset(
    [
        "b64",
        "backup",
        "base",
        "base64",
        "current",
        "dev",
        "development",
        "encoded",
        "env",
        "live",
        "local",
        "main",
        "new",
        "old",
        "plain",
        "prod",
        "production",
        "qa",
        "raw",
        "sandbox",
        "secondary",
        "stage",
        "staging",
        "str",
        "string",
        "temp",
        "test",
        "testing",
        "tmp",
        "v",
        "value",
        "val",
    ]
)
_OPEN_TOKENS = frozenset(
    [
        "bos",
        "cancel",
        "cancellation",
        "cls",
        "color",
        "comma",
        "continuation",
        "current",
        "cursor",
        "delta",
        "design",
        "eos",
        "expected",
        "format",
        "keyword",
        "kind",
        "last",
        "lexer",
        "mask",
        "max",
        "next",
        "num",
        "pad",
        "page",
        "pagination",
        "parse",
        "parser",
        "placeholder",
        "punctuation",
        "resume",
        "scroll",
        "sep",
        "start",
        "stop",
        "sync",
        "syntax",
        "total",
        "type",
        "unk",
    ]
)
_OPEN_KEYS = frozenset(
    [
        "arrow",
        "aggregation",
        "asset",
        "attribute",
        "cache",
        "column",
        "composite",
        "compound",
        "context",
        "data",
        "dedupe",
        "dict",
        "event",
        "field",
        "file",
        "foreign",
        "group",
        "hash",
        "hot",
        "i18n",
        "idempotency",
        "index",
        "issue",
        "item",
        "keyboard",
        "label",
        "local",
        "locale",
        "lookup",
        "map",
        "message",
        "meta",
        "metadata",
        "name",
        "node",
        "object",
        "option",
        "param",
        "partition",
        "path",
        "pub",
        "public",
        "publishable",
        "primary",
        "prop",
        "property",
        "query",
        "react",
        "record",
        "registry",
        "restore",
        "row",
        "schema",
        "shortcut",
        "sort",
        "state",
        "storage",
        "template",
        "trailer",
        "translation",
        "type",
        "unique",
    ]
)
_WORDS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def kind_of_name(name: bytes) -> Kind:
    """What the last words of an identifier (snake_case, kebab-case, camelCase) promise."""
    words = [word.decode().lower() for word in _WORDS.findall(name)]
    while words and (words[-1] in _SUFFIXES or words[-1].isdigit()):
        words.pop()
    if not words:
        return Kind.NONE
    *before, last = words
    if last in {"pass", "pwd"} or (before and before[-1] + last == "password"):
        return Kind.PASSWORD
    if last.endswith(("password", "passwd", "passphrase")):
        return Kind.PASSWORD
    if last.endswith("secret"):
        return Kind.KEY
    if last.endswith("token"):
        return Kind.NONE if _OPEN_TOKENS.intersection(before) else Kind.KEY
    return _kind_of_key(before, last)


def _kind_of_key(before: list[str], last: str) -> Kind:
    if not last.endswith("key"):
        return Kind.NONE
    whose = last.removesuffix("key") or (before[-1] if before else "")
    if whose in _KEYED:
        return Kind.KEY
    return Kind.NONE if last != "key" or not whose or whose in _OPEN_KEYS else Kind.UNSURE


_STAND_IN = re.compile(
    rb"""(?i)
    \.\.\.|\xe2\x80\xa6|\*\*\*|<[a-z]|\$\{|\$\(|\{\{|%\(|\#\{|<%|\[redacted
    | your[_\-. ]?|change[_\-]?(?:me|this)|replace[_\-]?|place[_\-]?holder|insert[_\-]|redacted
    | (?:^|[^a-z])(?:example|dummy|sample|fake|mock|foo|bar|foobar|todo|tbd|test|testing|demo
        |goes|here|none|null|undefined|nil|true|false|required|optional|string|secret[_\-]?key
        |api[_\-]?key|my[_\-]?(?:token|secret|key|password))(?:[^a-z]|$)
    """,
    re.VERBOSE,
)
_REFERENCE = re.compile(rb"\$[A-Za-z_{(]|%[A-Za-z_({]|[{<\[(]|\*[a-z]|!(?:vault|secret|sub|ref)")
_CODE = re.compile(
    rb"""
    [A-Za-z_][A-Za-z0-9_]*(?:\??\.[A-Za-z_][A-Za-z0-9_]*)+[;,]?   # config.apiKey, process.env.X
    | (?:\.{0,2}|~|[A-Za-z]:)[/\\][\w.@ -]+(?:[/\\][\w.@ -]*)+      # a path
    | [A-Za-z][A-Za-z0-9+.-]*://.*                                # an address
    | [A-Za-z_$][\w.$]*[(\[](?:.*[)\]])?[;,.]?                      # a call, an element
    | .*(?:=>|&&|\|\||\ [=+]\ ).*                                # an expression
    """,
    re.VERBOSE | re.DOTALL,
)
_SPOKEN = re.compile(rb"(?:v?[0-9]{1,8}|[A-Za-z]{2,15}[0-9]{0,5}|[A-Za-z][0-9]{0,3})")
_JOINTS = re.compile(rb"[_\-./: @]+")
_ROW = re.compile(rb"(.)\1{%d}" % (ALIKE - 1), re.DOTALL)
_CAMEL = re.compile(rb"[a-z]+(?:[A-Z][a-z]+)+[0-9]{0,3}|(?:[A-Z][a-z]+){2,}[0-9]{0,3}")


def is_stand_in(value: bytes) -> bool:
    """Written to show where a secret goes: your-key-here, xxxx, ${VAR}, <token>, …."""
    if _REFERENCE.match(value) or _STAND_IN.search(value):
        return True
    return bool(_ROW.search(value)) and len(set(value)) <= len(value) // 2


def is_code(value: bytes) -> bool:
    """Names a secret instead of being one: an expression, a path, an address."""
    return bool(_CODE.fullmatch(value))


def is_spoken(value: bytes) -> bool:
    """Made of words and numbers as people name things: test-token-1, claude-3-opus, sha256."""
    parts = [part for part in _JOINTS.split(value) if part]
    if len(parts) == 1 and value.isalpha():
        return value.islower() or value.isupper() or bool(_CAMEL.fullmatch(value))
    return all(_SPOKEN.fullmatch(part) for part in parts)


def is_password(value: bytes) -> bool:
    """Could be a password somebody set: no stand-in, and with a digit or a sign in it."""
    if not len(value) >= PASSWORD_SIZE or any(byte <= 0x20 for byte in value):
        return False
    if is_stand_in(value) or is_code(value):
        return False
    return _has_digit(value) or bool(re.search(rb"[!$%^&*+?~|;]|.@|.#", value))


def is_key(value: bytes, size: int = KEY_SIZE) -> bool:
    """Could be a token a machine made: letters and digits mixed, or long and of mixed case."""
    if len(value) < size or any(byte <= 0x20 or byte >= 0x7F for byte in value):
        return False
    if is_stand_in(value) or is_code(value) or len(set(value)) <= DISTINCT:
        return False
    return (
        not is_spoken(value)
        and _has_letter(value)
        and (_has_digit(value) or len(value) >= 2 * size)
    )


def _has_digit(value: bytes) -> bool:
    return any(0x30 <= byte <= 0x39 for byte in value)


def _has_letter(value: bytes) -> bool:
    return any(byte | 0x20 in range(0x61, 0x7B) for byte in value)


def assigned(name: bytes, value: bytes) -> bool:
    """The value of `name = value` is a secret: the check of the assignment rules."""
    kind = kind_of_name(name)
    if kind is Kind.PASSWORD:
        return is_password(value)
    if kind is Kind.KEY:
        return is_key(value)
    return kind is Kind.UNSURE and is_key(value, UNSURE_SIZE)


def assigned_inline(name: bytes, value: bytes) -> bool:
    """The same between other words, where `password=password2` is more likely code."""
    return assigned(name, value) and not is_spoken(value)


def assigned_in_environment(name: bytes, value: bytes) -> bool:
    """The same in a line NAME=value of an .env file, where a value is always literal."""
    if assigned(name, value):
        return True
    kind = kind_of_name(name)
    plain = len(value) >= KEY_SIZE and value.isalnum() and not is_stand_in(value)
    return plain and (kind is Kind.PASSWORD or name.upper().endswith(b"SECRET"))


def is_credential(_name: bytes, value: bytes) -> bool:
    """What follows `Bearer ` and the like: long, or with a digit in it, and no stand-in."""
    return is_key(value) or (value.isdigit() and len(value) >= UNSURE_SIZE)


def is_basic(_name: bytes, value: bytes) -> bool:
    """What follows `Basic `: base64 of user:password."""
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False
    return b":" in decoded or is_key(value, UNSURE_SIZE)


def is_real(_name: bytes, value: bytes) -> bool:
    """For tokens with a telling prefix: everything but a drawing of one (ghp_xxxx, sk-ant-your-…)."""
    drawing = rb"(?i)x{5}|\*{3}|\.{3}|example|your[_\-]|placeholder|redacted|[_\-]here$|dummy"
    return not re.search(drawing, value)
