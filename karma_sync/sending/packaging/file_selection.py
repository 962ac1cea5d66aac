"""What of a session goes into its item, and what is said of it; no I/O."""

from functools import lru_cache

from karma_sync.domain import limits
from karma_sync.domain.session.manifest import FILE_NAME
from karma_sync.domain.session.profile import Profile, takes
from karma_sync.domain.session.source_files import TRANSCRIPT, PackedItem, SourceFile, SourceSession
from karma_sync.redact.redactor import Redactor


def sendable(session: SourceSession, profile: Profile, redactor: Redactor) -> list[SourceFile]:
    """The files of a session that the profile takes and that can be sent."""
    taken = (f for f in session.files if takes(profile, f.kind))
    return [f for f in taken if why_left_out(f, redactor) is None]


def running(packed: PackedItem | None, session: SourceSession) -> bool | None:
    """Whether the agent has the session open, as far as it ever said; None if it did not.

    A session that goes on after its end was seen is open somewhere that does not say so.
    """
    if session.running:
        return True
    if packed is None or packed.running is None:
        return None
    known = packed.files.get(TRANSCRIPT)
    grew = known is None or not known.position.same(session.transcript.stat)
    return None if grew and not packed.running else False


@lru_cache(maxsize=1 << 16)
def may_be_named(name: str, redactor: Redactor) -> bool:
    """Whether a file's name, which stands in the manifest, holds nothing that is to be cut.

    Raises:
        RedactionFailed: it cannot be told.
    """
    return name == TRANSCRIPT or not redactor.string(name)[1]


def why_left_out(file: SourceFile, redactor: Redactor) -> str | None:
    """Why a file cannot be sent, though its session is; None if it can."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        return "not a name to send"  # bytes on disk that are no UTF-8: no JSON can hold them
    if FILE_NAME.fullmatch(file.name) is None:
        return "not a name to send"
    if not may_be_named(file.name, redactor):
        return "its name holds what is cut"
    if not file.is_lines and file.stat.size > limits.TEXT_FILE_BYTES:
        return f"larger than {limits.TEXT_FILE_BYTES // 10**6} MB"  # it is redacted as a whole
    return None
