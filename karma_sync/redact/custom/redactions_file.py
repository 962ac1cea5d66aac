"""Keeps redactions.json: the texts and rules that the person wants to be cut.

The file lies beside the key, with mode 0600. It holds the texts unencrypted: the transcripts that
hold them too lie on the same disk. The texts are written nowhere else: not into documents, events,
logs or messages.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from karma_sync.domain.session.frame import Frames
from karma_sync.errors import RedactionFailed
from karma_sync.files import write_private
from karma_sync.redact.custom.redactions import Entry, OwnRedactions, make_redactor
from karma_sync.redact.custom.ruleset import Base, base_rules
from karma_sync.redact.redactor import RuleRedactor
from karma_sync.settings import RedactionSettings


class RedactionsFile:
    """The file redactions.json, and the redactor made from it, config.toml and our own rules.

    The redactor also cuts what stands in `frames`.
    """

    def __init__(
        self,
        path: Path,
        chosen: RedactionSettings = RedactionSettings(),  # noqa: B008 frozen
        frames: Frames | None = None,
    ) -> None:
        self._path = path
        self._chosen = chosen
        self._frames = frames
        # the last redactor, and the state of the files from which it was made
        self._made: tuple[object, RuleRedactor] | None = None

    def redactor(self) -> RuleRedactor:
        """The redactor for the files as they are now; made anew only if one of them changed.

        Raises:
            RedactionFailed: redactions.json cannot be used; nothing may leave.
            BadInput: the files that config.toml names cannot be used; nothing may leave.
        """
        own, chosen = self._read(), (self._chosen.gitleaks, self._chosen.allowlist)
        source = (own, *map(_stamp, chosen))
        if self._made is None or self._made[0] != source:
            self._made = source, make_redactor(own, self._base())
        return self._made[1]

    def entries(self) -> list[Entry]:
        """The person's redactions, the oldest first.

        Raises:
            RedactionFailed: the file cannot be used.
        """
        own = self._read()
        return own.entries() if own else []

    def changed(self, change: Callable[[OwnRedactions], OwnRedactions]) -> RuleRedactor:
        """The redactor as it would be after `change`; nothing is written.

        Raises:
            RedactionFailed, BadInput: as `redactor` does.
        """
        before = self._read() or OwnRedactions(salt=secrets.token_hex(16))
        return make_redactor(change(before), self._base())

    def change(self, change: Callable[[OwnRedactions], OwnRedactions]) -> bool:
        """Apply `change` to the file, durably; returns whether that changed anything.

        Raises:
            RedactionFailed: the file cannot be used, or no redactor can be made after the change.
            BadInput: the changed rules are not understood.
        """
        before = self._read() or OwnRedactions(salt=secrets.token_hex(16))
        after = change(before)
        if after == before:
            return False
        make_redactor(after)
        write_private(self._path, after.model_dump_json(indent=1).encode() + b"\n")
        return True

    def _base(self) -> Base:
        base = base_rules(self._chosen.gitleaks, self._chosen.allowlist)
        return replace(base, frames=self._frames)

    def _read(self) -> OwnRedactions | None:
        try:
            return OwnRedactions.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            # without the cause: its message could quote the person's texts
            raise RedactionFailed(
                f"{self._path} is damaged or cannot be read",
                hint="restore it from a backup, or move it away and run karma-sync redact again",
            ) from None


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """A value that changes when the file does; None if it cannot be read."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
