"""What of a session goes into its item, and what is said of it; pure."""

from karma_sync.domain.profile import Profile, takes
from karma_sync.domain.session import FILE_NAME
from karma_sync.domain.source import TRANSCRIPT, PackedItem, SourceFile, SourceSession


def sendable(session: SourceSession, profile: Profile) -> list[SourceFile]:
    """The files of a session that the profile takes and whose names a reader accepts."""
    return [f for f in session.files if takes(profile, f.kind) and travels(f.name)]


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


def travels(name: str) -> bool:
    """Whether a reader accepts a file of this name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False  # bytes on disk that are no UTF-8: no JSON can hold them
    return FILE_NAME.fullmatch(name) is not None
