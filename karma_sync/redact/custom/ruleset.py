"""Puts together the rules to redact by: our own and those of the files that config.toml names.

If a file cannot be used, nothing may leave: `RefusingRedactor` then takes the redactor's place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.domain.session.frame import Frames
from karma_sync.errors import BadInput, RedactionFailed
from karma_sync.redact.allowlist import NOTHING_ALLOWED, AllowList, read_allowlist
from karma_sync.redact.custom.gitleaks import read_gitleaks
from karma_sync.redact.matching.rule import Rule
from karma_sync.redact.redactor import Redacted
from karma_sync.redact.rules.default_rules import DEFAULT_RULES

_FILE_BYTES = 4_000_000
_FILE = "name a readable text file; docs/commands.md describes its form"


@dataclass(frozen=True)
class Base:
    """The rules that always apply, the values that they exempt, and this machine's frames."""

    rules: tuple[Rule, ...] = DEFAULT_RULES
    allowed: AllowList = NOTHING_ALLOWED
    frames: Frames | None = None


OURS = Base()


def base_rules(gitleaks: Path | None, allowlist: Path | None) -> Base:
    """Our rules with those of the person's gitleaks file and allowlist, if config.toml names any.

    Raises:
        BadInput: a file is missing or not understood; nothing may leave.
    """
    rules: tuple[Rule, ...] = DEFAULT_RULES
    allowed = NOTHING_ALLOWED
    if gitleaks:
        rules = (*read_gitleaks(read_text(gitleaks), str(gitleaks)), *rules)
    if allowlist:
        allowed = read_allowlist(read_text(allowlist), str(allowlist))
    return Base(rules, allowed)


@dataclass(frozen=True)
class RefusingRedactor:
    """Takes the place of a redactor that could not be made: every call fails with the reason."""

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


def read_text(path: Path) -> str:
    """The text of a file of the person's.

    Raises:
        BadInput: the file cannot be read, is larger than 4 MB, or is not UTF-8.
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
