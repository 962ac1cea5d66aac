"""Makes and checks names and ids that are hard to change later: members, keys, teams, items."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from os.path import commonprefix

from karma_sync.errors import BadInput
from karma_sync.paths import short_hash

TAG_PART = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
KEY = re.compile(r"[0-9a-f]{64}")
TEAM_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")


def member_tag(user: str, machine: str) -> str:
    """The tag `user.machine`; both parts are checked.

    Raises:
        BadInput: a part has characters that are not allowed; the hint proposes a valid part.
    """
    for name, part in (("user", user), ("machine", machine)):
        if not TAG_PART.fullmatch(part):
            proposed = clean_host(part) if name == "machine" else clean_part(part, name)
            raise BadInput(
                f"{part!r} cannot be a {name} name: small letters, digits, _ and -, up to 32,"
                " beginning with a letter or digit",
                hint=f"--{name} {proposed}",
            )
    return f"{user}.{machine}"


def is_tag(text: str) -> bool:
    """Whether `text` is a member tag: exactly one dot between two well-formed parts."""
    parts = text.split(".")
    return len(parts) == 2 and all(TAG_PART.fullmatch(part) for part in parts)


def clean_part(text: str, fallback: str) -> str:
    """The nearest well-formed part: `Zoë Müller` becomes `zoe-muller`."""
    letters = unicodedata.normalize("NFKD", text.lower())
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:32].rstrip("-_")
    return cleaned or fallback


def clean_host(name: str) -> str:
    """The nearest well-formed machine name: `MacBook Pro.local` becomes `macbook-pro`."""
    return clean_part(name.strip().split(".")[0], "machine")


def user_of(tag: str) -> str:
    """The user part of a tag: `alice` in `alice.mbp`."""
    return tag.split(".")[0]


def team_id(founder_key: str, name: str, nonce: str) -> str:
    """The id of a team: a hash over the founder's key, so that nobody else can found this team."""
    return short_hash("karma-sync team", founder_key, name, nonce)


def item_id(channel: "tuple[str, str, str]", source: str, source_id: str) -> str:
    """The name of one session's file in a channel: 128 bits, lower-case hex.

    `channel` is (team id, project, member key).
    """
    parts = ("karma-sync item", *channel, source, source_id)
    framed = b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    return hashlib.sha256(framed).hexdigest()[:32]


def fingerprint(key: str) -> str:
    """A form of a key that people can compare: six groups of four hex digits of the key's hash."""
    digest = hashlib.sha256(bytes.fromhex(key)).hexdigest()[:24]
    return " ".join(digest[i : i + 4] for i in range(0, 24, 4))


def short_ids(ids: Iterable[str], least: int = 8) -> dict[str, str]:
    """The beginning of each id, as long as it has to be to be told from the others.

    It has at least `least` characters, unless the id is shorter.
    """
    known = sorted(set(ids))
    need = dict.fromkeys(known, least)
    for one, other in pairwise(known):
        common = len(commonprefix([one, other])) + 1
        need[one], need[other] = max(need[one], common), max(need[other], common)
    return {each: each[: need[each]] for each in known}


def next_version(last: int, now_ms: int) -> int:
    """max(last + 1, Unix milliseconds): grows even if the clock or the database was set back."""
    return max(last + 1, now_ms)
