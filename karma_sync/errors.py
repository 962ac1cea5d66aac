"""Everything that can go wrong, as one tree; each class knows its exit code.

KarmaError                       1  something outside failed: a disk, a network, a program
├── NotWritable                  1  a folder of ours cannot be written
├── DatabaseUnusable             1  a database of ours is damaged, newer than we are, or full
├── BadInput                     2  what was typed, pasted or configured cannot be used
├── NotInitialised               3  no identity here yet
├── SyncthingError               4  Syncthing is missing, too old, or does not answer
│   ├── SyncthingMissing
│   ├── SyncthingUnreachable
│   ├── SyncthingRefused            it answered, with an error
│   └── PortTaken
├── NotFound                     5  no such team, project, session, invitation
├── Conflict                     6  not possible as things stand
│   ├── IllegalMove                 a verb that this status does not allow
│   └── AlreadyRunning              a second daemon on one home
├── Stuck                        7  `status --check` found something that does not move
├── NeedsConsent                 8  nobody was there to say yes
├── TimedOut                     9  what was waited for did not come
├── Unverified                  10  what arrived cannot be believed
└── RedactionFailed             11  the redactor failed: nothing was packaged

`str(error)` says what happened to which thing; `error.hint` is what to type next.
Exit code 0 is success; the table in docs/exit-codes.md is checked against this tree by a test.
"""

from typing import ClassVar

_NOT_FOUND = 404  # `http` is loaded for nothing else by a short command


class KarmaError(Exception):
    """Base of every error a person may see."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotWritable(KarmaError):
    """A folder of ours cannot be written."""


class DatabaseUnusable(KarmaError):
    """A database of ours cannot be read or written."""


class BadInput(KarmaError):
    """What was typed, pasted or configured cannot be used as it is."""

    exit_code = 2


class NotInitialised(KarmaError):
    """This home has no identity yet."""

    exit_code = 3


class SyncthingError(KarmaError):
    """Syncthing did not do its part."""

    exit_code = 4


class SyncthingMissing(SyncthingError):
    """No usable Syncthing program was found."""


class SyncthingUnreachable(SyncthingError):
    """Syncthing does not answer on its REST address."""


class SyncthingRefused(SyncthingError):
    """Syncthing answered a request with an error status."""

    def __init__(self, message: str, *, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def is_not_found(self) -> bool:
        """Whether there is no such thing: a folder that is paused is none to some requests."""
        return self.status == _NOT_FOUND


class PortTaken(SyncthingError):
    """A port we are to listen on belongs to another program."""


class NotFound(KarmaError):
    """Nothing here answers to that name."""

    exit_code = 5


class Conflict(KarmaError):
    """The request makes sense, but not as things stand."""

    exit_code = 6


class IllegalMove(Conflict):
    """A verb that the present status does not allow."""


class AlreadyRunning(Conflict):
    """Another daemon holds this home."""


class Stuck(KarmaError):
    """Something waits that will not move by itself."""

    exit_code = 7


class NeedsConsent(KarmaError):
    """A question was due and nobody was there to answer it."""

    exit_code = 8


class TimedOut(KarmaError):
    """What was waited for did not come in time."""

    exit_code = 9


class Unverified(KarmaError):
    """A file from a peer failed verification; `code` names the step and the reason."""

    exit_code = 10

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RedactionFailed(KarmaError):
    """The redactor could not finish: the item must not leave."""

    exit_code = 11
