"""What of a session goes into its item, and what is said of it; pure."""

from karma_sync.domain import limits
from karma_sync.domain.profile import Profile, takes
from karma_sync.domain.session import FILE_NAME
from karma_sync.domain.source import TRANSCRIPT, PackedItem, SourceFile, SourceSession


def sendable(session: SourceSession, profile: Profile) -> list[SourceFile]:
    """The files of a session that the profile takes and that can be sent."""
    return [f for f in session.files if takes(profile, f.kind) and why_left_out(f) is None]


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


def why_left_out(file: SourceFile) -> str | None:
    """Why a file cannot be sent, though its session is; None if it can."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        return "not a name to send"  # bytes on disk that are no UTF-8: no JSON can hold them
    if FILE_NAME.fullmatch(file.name) is None:
        return "not a name to send"
    if not file.is_lines and file.stat.size > limits.TEXT_FILE_BYTES:
        return f"larger than {limits.TEXT_FILE_BYTES // 10**6} MB"  # it is redacted as a whole
    return None
