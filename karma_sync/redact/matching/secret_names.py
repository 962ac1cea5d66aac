"""Judges names: does an identifier say that its value is a secret?"""

import re
from enum import StrEnum


class NameKind(StrEnum):
    """What a name says about its value."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105  the kind, not one
    KEY = "key"
    UNSURE = "unsure"  # a key of we know not what


def words(text: str) -> frozenset[str]:
    """The words of a list written as prose."""
    """The words of a list written as prose."""
    return frozenset(text.split())


# What stands before `key` in the name of a secret one.
_KEYED = words(
    """access account admin aes api apikey app application auth authkey bearer bot client consumer
    cookie crypto customer decrypt decryption deploy encrypt encryption function functions gpg
    hmac host integration jwt licence license login master merchant oauth partner private
    project publish read role root rsa sas secret secrets security sentry server service session
    shared sign signing ssh storage store stream subscription team tenant user webhook webhooks
    write"""
)
# What may follow in any name, and changes nothing.
_SUFFIXES = words(
    """b64 backup base base64 current dev development encoded env live local main new old plain
    prod production qa raw sandbox secondary stage staging str string temp test testing tmp v
    val value"""
)
# Before `token` and `key` where these are parts of a text, places in a list, or for everybody.
_OPEN_TOKENS = words(
    """authenticity bos cancel cancellation change cls color comma continuation csrf current
    cursor delta design eos expected format idempotency input keyword kind last lexer mask max
    next num output pad page pagination parse parser placeholder punctuation resume scroll sep
    start starting stop sync syntax total type unk update xsrf"""
)
_OPEN_KEYS = words(
    """aggregation any arrow asset attribute cache column composite compound context data dedupe
    dict each event every field file foreign group hash hot i18n idempotency index issue item
    keyboard label local locale lookup map message meta metadata name no node object option
    param partition path primary prop property pub public publishable query react record
    registry restore result row s schema shortcut some sort state storage template topic trailer
    translation type unique which"""
)
_ESCAPE = re.compile(rb"\A(?:u[0-9a-f]{4}|[nrt]-+)")  # an end of line before it, as JSON writes it
_PARTS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def bare(name: bytes) -> bytes:
    """Without what is no part of it: an escape before it, dashes and points around it."""
    return _ESCAPE.sub(b"", name).strip(b"-_.")


def kind_of_name(name: bytes) -> NameKind:
    """What the last words of an identifier (snake_case, kebab-case, camelCase) promise."""
    if name.startswith(b"AWS::"):  # a type of CloudFormation: AWS::ApiGateway::ApiKey
        return NameKind.NONE
    parts = [word.decode().lower() for word in _PARTS.findall(bare(name))]
    while parts and (parts[-1] in _SUFFIXES or parts[-1].isdigit()):
        parts.pop()
    if not parts:
        return NameKind.NONE
    *before, last = parts
    if last in {"pass", "pwd"} or (before and before[-1] + last == "password"):
        return NameKind.PASSWORD
    if last.endswith(("password", "passwd", "passphrase")):
        return NameKind.PASSWORD
    if last.endswith("secret"):
        return NameKind.KEY
    if last.endswith("token"):
        return NameKind.NONE if _OPEN_TOKENS.intersection(before) else NameKind.KEY
    return _kind_of_key(before, last)


def _kind_of_key(before: list[str], last: str) -> NameKind:
    if not last.endswith("key"):
        return NameKind.NONE
    before = [part for part in before if not part.isdigit()]  # S3Key
    whose = last.removesuffix("key") or (before[-1] if before else "")
    if whose in _KEYED:
        return NameKind.KEY
    return NameKind.NONE if last != "key" or not whose or whose in _OPEN_KEYS else NameKind.UNSURE
