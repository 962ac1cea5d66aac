"""The redactor as the person set it up: our rules, and theirs. It fails closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.allowlist import NOTHING_ALLOWED, AllowList, read_allowlist
from karma_sync.redact.custom.gitleaks import read_gitleaks
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.redactor import Redacted
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

_FILE_BYTES = 4_000_000
_FILE = "name a text file that you can read; docs/commands.md says what stands in it"


@dataclass(frozen=True)
class Base:
    """The rules of every day, and what is no secret to them."""

    rules: tuple[Rule, ...] = DEFAULT_RULES
    allowed: AllowList = NOTHING_ALLOWED


OURS = Base()


def configured(gitleaks: Path | None, allowlist: Path | None) -> Base:
    """Our rules with those of the person's files, as far as there are such files.

    Raises:
        BadInput: a file is missing, or something in it is not understood; nothing may leave then.
    """
    rules: tuple[Rule, ...] = DEFAULT_RULES
    allowed = NOTHING_ALLOWED
    if gitleaks:
        rules = (*read_gitleaks(text_of(gitleaks), str(gitleaks)), *rules)
    if allowlist:
        allowed = read_allowlist(text_of(allowlist), str(allowlist))
    return Base(rules, allowed)


@dataclass(frozen=True)
class RefusingRedactor:
    """Stands in where the redactor cannot be made: it lets nothing through, and says why."""

    why: str
    version: str = "none"

    def lines(self, raw: bytes) -> Redacted:
        """Raises RedactionFailed, always."""
        raise RedactionFailed(self.why)

    def text(self, raw: bytes) -> Redacted:
        """Raises RedactionFailed, always."""
        raise RedactionFailed(self.why)

    def string(self, value: str) -> tuple[str, Mapping[str, int]]:
        """Raises RedactionFailed, always."""
        raise RedactionFailed(self.why)


def text_of(path: Path) -> str:
    """A file of the person's, at most 4 MB.

    Raises:
        BadInput: it cannot be read, is larger, or is not UTF-8.
    """
    try:
        with path.open("rb") as source:
            raw = source.read(_FILE_BYTES + 1)
        if len(raw) > _FILE_BYTES:
            raise BadInput(f"{path} is larger than {_FILE_BYTES} bytes", hint=_FILE)
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint=_FILE) from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", hint=_FILE) from None
