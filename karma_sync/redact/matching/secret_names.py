"""Judges names: whether the value of an identifier, such as `apiKey`, is a secret."""

import re
from enum import StrEnum
from functools import lru_cache


class NameKind(StrEnum):
    """The kind of value that a name promises."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105  the name of the kind, not a password
    KEY = "key"
    UNSURE = "unsure"  # some key, which may be a secret or not


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as prose."""
    return frozenset(text.split())


# Words before `key` that make it the name of a secret.
_KEYED = words(
    """access account admin aes api apikey app application auth authkey bearer bot client consumer
    cookie crypto customer decrypt decryption deploy encrypt encryption function functions gpg
    hmac host integration jwt licence license login master merchant oauth partner private
    project publish read role root rsa sas secret secrets security sentry server service session
    shared sign signing ssh storage store stream subscription team tenant user webhook webhooks
    write"""
)
# Words at the end of a name that do not change its kind.
_SUFFIXES = words(
    """b64 backup base base64 current dev development encoded env live local main new old plain
    prod production qa raw sandbox secondary stage staging str string temp test testing tmp v
    val value"""
)
# Words before `token` and `key` where these are parts of a text, positions in a list, or public.
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
# The rest of a JSON escape before a name, as of a newline.
_ESCAPE = re.compile(rb"\A(?:u[0-9a-f]{4}|[nrt]-+)")
_SETTING = re.compile(rb"(?:[A-Z][A-Z0-9]*_)*(?:SECRET|TOKEN|PRIVATE_?KEY|API_?KEY)=?")
_PARTS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def bare(name: bytes) -> bytes:
    """The name without the escape before it and the dashes and dots around it."""
    return _ESCAPE.sub(b"", name).strip(b"-_.")


def is_setting(name: bytes) -> bool:
    """Whether a setting of a program for a secret has this name, such as CLIENT_SECRET."""
    return _SETTING.fullmatch(bare(name)) is not None


@lru_cache(maxsize=4096)
def kind_of_name(name: bytes) -> NameKind:
    """The kind that the last words of an identifier promise (snake_case, kebab-case, camelCase)."""
    if name.startswith(b"AWS::"):  # a type in CloudFormation, such as AWS::ApiGateway::ApiKey
        return NameKind.NONE
    parts = [word.decode().lower() for word in _PARTS.findall(bare(name))]
    while parts and (parts[-1] in _SUFFIXES or parts[-1].isdigit()):
        parts.pop()
    if not parts:
        return NameKind.NONE
    *before, last = parts
    if last in {"pass", "pwd", "psk", "pw"} or (before and before[-1] + last == "password"):
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
    before = [part for part in before if not part.isdigit()]  # such as the 3 of S3Key
    whose = last.removesuffix("key") or (before[-1] if before else "")
    if whose in _KEYED:
        return NameKind.KEY
    return NameKind.NONE if last != "key" or not whose or whose in _OPEN_KEYS else NameKind.UNSURE
