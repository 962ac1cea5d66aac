"""How commands speak: lines for people, one JSON object for programs, errors with a way out."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from karma_sync.errors import NeedsConsent

SCHEMA_VERSION = 1
CLEAR = "\x1b[2J\x1b[H"


def open_streams() -> None:
    """Make them such that every text can be written, whatever the caller closed or can show."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # `>&-`
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 for good
        elif mode == "w":
            stream.reconfigure(errors="replace")


def say(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        print(line)


def said() -> None:
    """Let who reads along have what was printed, also in a file or a pipe."""
    sys.stdout.flush()


def next_step(command: str) -> None:
    """Name the step that usually comes next."""
    say(f"Next: {command}")


def complain(message: str, hint: str) -> None:
    """Say on standard error what is wrong, and what to type next."""
    print(f"karma-sync: {message}", file=sys.stderr)
    if hint:
        print(f"  try: {hint}", file=sys.stderr)


def warn_of_closed(directories: Iterable[Path]) -> None:
    """Say which directories of the agent's are closed to us, before what is in them is not told."""
    for directory in directories:
        complain(
            f"{directory} cannot be read: its sessions are left out", f"chmod u+rx {directory}"
        )


def say_json(**fields: Any) -> None:
    """Print one JSON object; times are ISO 8601 in UTC, sizes bytes."""
    print(json_text(**fields))


def json_text(**fields: Any) -> str:
    """One JSON object as text."""
    import json

    return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, default=_plain)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns."""
    say(*columns(header, rows))


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with columns as wide as their widest cell."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def ask(question: str, default: str) -> str:
    """Ask on the terminal; an empty answer means the default."""
    sys.stdout.write(f"{question} [{default}]: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip() or default


def confirm(question: str) -> bool:
    """Ask on the terminal for a yes; anything else is a no."""
    sys.stdout.write(f"{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def size(count: int) -> str:
    """Bytes for people: 1.4 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def ago(when: datetime | None) -> str:
    """How long ago a moment was, roughly: 3m, 5h, 12d."""
    if when is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - when).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit} ago"
    return "just now"


def span(seconds: int) -> str:
    """A length of time, roughly: 40 s, 3 min, 5 h, 12 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def fit(lines: Sequence[str]) -> list[str]:
    """The lines as one screen of the terminal holds them; all of them where there is none.

    What is too wide goes on below: the reason often stands at the end. If that is too high, blank
    lines go first.
    """
    if not sys.stdout.isatty():
        return list(lines)
    import shutil

    width, height = shutil.get_terminal_size()
    rows = [row for line in lines for row in _wrapped(line, width)]
    room = height - 1  # for the prompt
    if len(rows) > room:
        rows = [row for row in rows if row]
    if len(rows) <= room:
        return rows
    left = len(rows) - room + 1
    return [*rows[: room - 1], f"… and {left} more lines: karma-sync status | less"]


def _wrapped(line: str, width: int) -> list[str]:
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()) + 4)
    whole = textwrap.TextWrapper(
        width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True
    )
    return whole.wrap(line) if len(line) > width else [line]


def write_raw(pieces: Iterable[bytes]) -> None:
    """Write bytes as they are; a reader that closes early (`| head`) is no error."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    return str(value)


_SHOW_EVERY_S = 0.1


def ask_unless(agreed: bool, hint: str) -> None:
    """Raises NeedsConsent if a person said no, or nobody is there to say yes."""
    if agreed:
        return
    if not is_terminal():
        raise NeedsConsent("nobody is here to say yes; nothing was changed", hint=hint)
    if not confirm("Go ahead?"):
        raise NeedsConsent("nothing was changed")


class Progress:
    """Shows on a terminal how far something is, and wipes that away at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = time.monotonic()  # nothing is shown of what is done at once
        self._wipe = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._wipe:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, done: int, of: int) -> None:
        """So many are done, of so many."""
        now = time.monotonic()
        if now - self._shown < _SHOW_EVERY_S or not sys.stderr.isatty():
            return
        self._shown, self._wipe = now, True
        sys.stderr.write(f"\r\x1b[K{self._what}: {done} of {of} sessions")
        sys.stderr.flush()
