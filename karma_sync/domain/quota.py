"""How large a folder may become before it is paused: pure."""

from karma_sync.domain import limits
from karma_sync.paths import is_metadata_folder


def above_quota(folder: str, files: int, size: int) -> str:
    """Why a folder with so many files, of so many bytes, is too large; "" if it is not."""
    if not is_metadata_folder(folder):
        return _above("bytes", size, limits.CHANNEL_BYTES)
    return _above("bytes", size, limits.METADATA_BYTES) or _above(
        "files", files, limits.METADATA_FILES
    )


def _above(what: str, count: int, most: int) -> str:
    return f"it is paused: it holds more than {most:,} {what}" if count > most else ""
