"""Finds a message of a session: in the index where that has its id, else by reading the session."""

from dataclasses import dataclass
from io import BytesIO
from itertools import islice

from karma_sync.agents.claude.passages import EXTRACTORS
from karma_sync.agents.growing_file import lines_before_too_long
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.passage import Extractor
from karma_sync.domain.session.readable import Readable
from karma_sync.errors import NotFound
from karma_sync.service.sessions.reading import ReadableSessions

_MOST_PLACES = 20  # that the index names are looked at; each may have the id within a text
_ALL_BYTES = 1 << 60


@dataclass(frozen=True)
class MessageFinder:
    """Finds messages of one session."""

    sessions: ReadableSessions
    scope: AccessScope
    readable: Readable

    def find(self, message: str, most: int = _ALL_BYTES) -> tuple[str, int]:
        """The file that has a message, and at which byte its line begins.

        `message` is the beginning of the message's id. Where the index does not have the id, at
        most `most` bytes of the session are read for it.

        Raises:
            NotFound: no message has such an id, or none in that part of the session.
        """
        extractor = EXTRACTORS.get(self.readable.manifest.session.agent)
        found = self._find(extractor, message, most) if extractor and message else None
        if found is None:
            session = self.readable.manifest.session.session_id
            raise NotFound(
                f"session {session} has no message {message!r}",
                hint=f"karma-sync session show {session}",
            )
        return found

    def _find(self, extractor: Extractor, message: str, most: int) -> tuple[str, int] | None:
        places = self.sessions.places(self.scope, self.readable, message)
        for path, at in islice(places, _MOST_PLACES):
            lines = self.sessions.content(self.scope, self.readable, path, at)
            block = next(lines_before_too_long(lines), b"")
            if extractor.name(block.partition(b"\n")[0]).startswith(message):
                return path, at
        for file in self.readable.manifest.files:
            if extractor.reads(file.path) and most > 0:
                found = self._begin(extractor, file.path, message, most)
                if found is not None:
                    return file.path, found
                most -= file.size
        return None

    def _begin(self, extractor: Extractor, path: str, message: str, most: int) -> int | None:
        """The start of the first record in a file whose id begins with `message`."""
        at = 0
        wanted = message.encode()
        for block in lines_before_too_long(self.sessions.content(self.scope, self.readable, path)):
            if wanted in block:
                for line in BytesIO(block):
                    if wanted in line and extractor.name(line).startswith(message):
                        return at
                    at += len(line)
            else:
                at += len(block)
            if at > most:
                return None
        return None
