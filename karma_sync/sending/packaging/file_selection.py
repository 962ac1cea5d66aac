"""Selects the files of a session that its item holds, and gives a reason for each other; no I/O."""

from functools import lru_cache

from karma_sync.domain import limits
from karma_sync.domain.session.manifest import FILE_NAME
from karma_sync.domain.session.profile import TRANSCRIPT, Profile, takes
from karma_sync.domain.session.source_files import PackedItem, SourceFile, SourceSession
from karma_sync.redact.redactor import Redactor

_BAD_NAME = "its name has characters or parts that a manifest does not allow"


def sendable(session: SourceSession, profile: Profile, redactor: Redactor) -> list[SourceFile]:
    """The files of a session that the profile takes and that can be sent."""
    taken = (f for f in session.files if takes(profile, f.kind))
    return [f for f in taken if why_left_out(f, redactor) is None]


def running(packed: PackedItem | None, session: SourceSession) -> bool | None:
    """Whether the agent has the session open; None if the agent never recorded it.

    Also None if a session grows after the agent closed it: then a program has it open that does
    not record that.
    """
    if session.running:
        return True
    if packed is None:
        return session.running
    if packed.running is None:
        return None
    known = packed.files.get(TRANSCRIPT)
    grew = known is None or not known.position.is_current(session.transcript.stat)
    return None if grew and not packed.running else False


@lru_cache(maxsize=1 << 16)
def may_be_named(name: str, redactor: Redactor) -> bool:
    """Whether a file's name may stand in the manifest: redaction cuts nothing from it.

    Raises:
        RedactionFailed: redaction failed, so the name must not be sent.
    """
    return name == TRANSCRIPT or not redactor.string(name)[1]


def why_left_out(file: SourceFile, redactor: Redactor) -> str | None:
    """The reason why a file cannot be sent although its session is; None if it can."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        return _BAD_NAME  # bytes on disk that are not UTF-8: JSON cannot hold them
    if FILE_NAME.fullmatch(file.name) is None:
        return _BAD_NAME
    if not may_be_named(file.name, redactor):
        return "its name holds text that redaction cuts"
    if not file.is_lines and file.stat.size > limits.TEXT_FILE_BYTES:
        # such a file is redacted as a whole, in memory
        return f"larger than {limits.TEXT_FILE_BYTES // 10**6} MB"
    return None
