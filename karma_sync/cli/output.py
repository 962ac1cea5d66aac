"""The output of every command: lines for people, JSON for programs, errors with a hint."""

import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from karma_sync.cli.screen import Line, Tone, print_drawn
from karma_sync.domain.text import printable

SCHEMA_VERSION = 1
_MINUTE_S = 60
_TYPES = 12  # of records, in one line


def open_streams() -> None:
    """Replace closed streams, and let a stream print `?` for a character that it cannot encode."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # `>&-`
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 for good
        elif mode == "w":
            stream.reconfigure(errors="replace")


def print_line(*lines: str) -> None:
    """Print lines to standard output."""
    for line in lines:
        print(line)


def flush() -> None:
    """Flush standard output, so that a program that reads a pipe gets each line at once."""
    sys.stdout.flush()


def drop_output() -> None:
    """Drop the text left in standard output; the interpreter would complain about it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_next(command: str) -> None:
    """Print the command that usually comes next."""
    print_line(f"Next: {command}")


def print_error(message: str, hint: str) -> None:
    """Print to standard error what happened, and what to type next."""
    lines = [Line(f"karma-sync: {printable(message)}", Tone.STUCK)]
    lines += [Line(f"  try: {printable(hint)}")] if hint else []
    print_drawn(lines, sys.stderr)


def warn_of_unreadable(directories: Iterable[Path]) -> None:
    """Name the directories of the agent that this user may not read."""
    for directory in directories:
        print_error(
            f"{directory} cannot be read: its sessions are left out", f"chmod u+rx {directory}"
        )


def print_json(**fields: Any) -> None:
    """Print one JSON object; times are ISO 8601 in UTC, sizes are bytes."""
    print_line(json_text(**fields))


def json_text(**fields: Any) -> str:
    """Return one JSON object as text."""
    import json

    return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, default=_plain)


def size(count: int) -> str:
    """Return a number of bytes as people read it: 1.4 MB."""
    from humanize import naturalsize

    return naturalsize(count)


def record_types(types: Mapping[str, tuple[int, int]]) -> str:
    """Return the number and size of records by type, the largest first: `date 2 (1.0 kB)`."""
    largest = sorted(types.items(), key=lambda each: (-each[1][1], each[0]))
    shown = [f"{name} {count} ({size(total)})" for name, (count, total) in largest[:_TYPES]]
    more = len(largest) - len(shown)
    return ", ".join(shown) + (f" and {more} more types" if more else "")


def ago(when: datetime | None) -> str:
    """Return how long ago a moment was: just now, 5 hours ago; `never` for None."""
    if when is None:
        return "never"
    passed = datetime.now(UTC) - when
    if passed.total_seconds() < _MINUTE_S:
        return "just now"
    from humanize import naturaltime

    return naturaltime(passed)


def span(seconds: int) -> str:
    """Return a length of time as people read it: 40 seconds, 3 minutes."""
    from humanize import naturaldelta

    return naturaldelta(timedelta(seconds=seconds))


def write_raw(pieces: Iterable[bytes]) -> None:
    """Write bytes as they are; a reader that closes early (`| head`) is no error."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        drop_output()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value)
    return str(value)
