"""redactions.json: texts and rules that the person had cut out, beside the key, mode 0600.

The texts stand in it as they are: the transcripts they came from lie on the same disk anyway.
Nothing of them goes anywhere else: into no document, event, log or message.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from karma_sync.errors import RedactionFailed
from karma_sync.files import write_private
from karma_sync.redact.custom.redactions import OwnRedactions, redactor_of
from karma_sync.redact.custom.ruleset import Base, configured
from karma_sync.redact.redactor import RuleRedactor
from karma_sync.settings import RedactionSettings


class RedactionsFile:
    """The file, and the redactor that it makes of it with the rules of config.toml and ours."""

    def __init__(self, path: Path, chosen: RedactionSettings = RedactionSettings()) -> None:  # noqa: B008 frozen
        self._path = path
        self._chosen = chosen
        self._made: tuple[object, RuleRedactor] | None = None  # and of what it was made

    def redactor(self) -> RuleRedactor:
        """The redactor as the files want it now; made anew only when one of them is another.

        Raises:
            RedactionFailed: the file cannot be used; then nothing may leave.
            BadInput: nor can the person's rules in config.toml.
        """
        own, chosen = self._read(), (self._chosen.gitleaks, self._chosen.allowlist)
        source = (own, *map(_stamp, chosen))
        if self._made is None or self._made[0] != source:
            self._made = source, redactor_of(own, self._base())
        return self._made[1]

    def changed(self, change: Callable[[OwnRedactions], OwnRedactions]) -> RuleRedactor:
        """The redactor as it would be with what `change` makes of the file; nothing is written.

        Raises:
            RedactionFailed, BadInput: as `redactor` does.
        """
        before = self._read() or OwnRedactions(salt=secrets.token_hex(16))
        return redactor_of(change(before), self._base())

    def change(self, change: Callable[[OwnRedactions], OwnRedactions]) -> bool:
        """Write what `change` makes of it, durably; whether it says something else now.

        Raises:
            RedactionFailed: the file cannot be used, or with the change no redactor can be made.
        """
        before = self._read() or OwnRedactions(salt=secrets.token_hex(16))
        after = change(before)
        if after == before:
            return False
        redactor_of(after)
        write_private(self._path, after.model_dump_json(indent=1).encode() + b"\n")
        return True

    def _base(self) -> Base:
        return configured(self._chosen.gitleaks, self._chosen.allowlist)

    def _read(self) -> OwnRedactions | None:
        try:
            return OwnRedactions.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            # what is wrong with it is not said: the message would quote it
            raise RedactionFailed(
                f"{self._path} is damaged, or cannot be read",
                hint="put it back from a backup, or move it away and type karma-sync redact again",
            ) from None


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What is another once the file is; None if there is none to read."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
