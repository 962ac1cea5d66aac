"""The log of what agents were given on this machine: which tool, which sessions, no text.

It stays here. Several servers may append at once, each a line in one write.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from karma_sync.files import PRIVATE_FILE, write_private

_MOST_BYTES = 2_000_000  # then the older half is dropped
_MOST_IDS = 30


@dataclass(frozen=True)
class Served:
    """One answer: when, by which tool, about which project ("" for all), and what it named.

    `reason` is the code of an error, "" if there was none. `items` is how many sessions or messages
    were named, `size` how many characters were given.
    """

    when: datetime
    tool: str
    project: str
    reason: str
    items: int
    size: int
    ids: Sequence[str] = ()


@dataclass(frozen=True)
class ServedLog:
    """The log in the file `path`."""

    path: Path

    def append(self, served: Served) -> None:
        """Note one answer; without a home, before `init`, there is nothing to note."""
        if not self.path.parent.is_dir():
            return
        fields = asdict(served) | {
            "when": served.when.astimezone(UTC).isoformat(timespec="seconds"),
            "ids": list(served.ids[:_MOST_IDS]),
        }
        line = json.dumps(fields).encode() + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, PRIVATE_FILE)
        try:
            os.write(descriptor, line)
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > _MOST_BYTES:
            self._shorten()

    def latest(self, most: int) -> list[Served]:
        """The latest answers, the newest first; lines that cannot be read are left out."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: list[Served] = []
        for each in _served(reversed(lines)):
            found.append(each)
            if len(found) >= most:
                break
        return found

    def _shorten(self) -> None:
        kept = self.path.read_bytes()[-_MOST_BYTES // 2 :]
        write_private(self.path, kept.partition(b"\n")[2])


def _served(lines: Iterator[bytes]) -> Iterator[Served]:
    for line in lines:
        try:
            fields = json.loads(line)
            yield Served(**{**fields, "when": datetime.fromisoformat(fields["when"])})
        except (ValueError, TypeError, KeyError):
            continue
