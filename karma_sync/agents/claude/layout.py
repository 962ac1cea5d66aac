"""The places of a session's files below Claude Code's directory (docs/agent-files.md)."""

from pathlib import PurePosixPath

from karma_sync.domain.session.profile import TRANSCRIPT

_MOST_UNITS = 200  # of a directory's name; a hash follows a longer one
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_INT32 = 1 << 32
# The places of an item's files that lie apart from the session's own folder, by folder.
_APART = {
    "todos": "todos/{rest}",
    "tasks": "tasks/{session}/{rest}",
    "plans": "plans/{rest}",
    "file-history": "file-history/{session}/{rest}",
    "debug": "debug/{rest}",
}


def directory_name(cwd: str) -> str:
    """The name of the project directory for sessions that start in a working directory."""
    units = _utf16(cwd)
    name = "".join(chr(u) if u < 128 and chr(u).isalnum() else "-" for u in units)
    if len(units) <= _MOST_UNITS:
        return name
    number = 0
    for unit in units:
        number = (number * 31 + unit) % _INT32
    signed = number - _INT32 if number >= _INT32 // 2 else number
    return f"{name[:_MOST_UNITS]}-{_base36(abs(signed))}"


def place_of(name: str, session: str, cwd: str) -> PurePosixPath:
    """The path of an item's file below an agent's directory.

    `name` and `session` have the forms that a verified manifest may have, so the path has no `..`.
    """
    project = PurePosixPath("projects", directory_name(cwd))
    if name == TRANSCRIPT:
        return project / f"{session}.jsonl"
    folder, _, rest = name.partition("/")
    if folder in _APART:
        return PurePosixPath(_APART[folder].format(session=session, rest=rest))
    return project / session / name


def _utf16(text: str) -> list[int]:
    raw = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
