"""Defines every error that a person may see, as one tree; each class has an exit code.

KarmaError                       1  something outside failed: a disk, a network, a program
├── NotWritable                  1  karma-sync cannot write one of its folders
├── DatabaseUnusable             1  a database is damaged, full, or of a newer karma-sync
├── BadInput                     2  typed, pasted or configured text cannot be used
│   └── BadCursor                   an agent gave a cursor that no answer named
├── NotInitialised               3  this home has no identity yet
├── SyncthingError               4  Syncthing is missing, too old, or does not answer
│   ├── SyncthingMissing
│   ├── SyncthingUnreachable
│   ├── SyncthingRefused            Syncthing answered with an error
│   └── PortTaken
├── NotFound                     5  no such team, project, session or invitation
│   └── NoProject                   an agent works in a directory that is in no project
├── Conflict                     6  the present state does not allow the request
│   ├── IllegalMove                 the present status does not allow this verb
│   └── AlreadyRunning              another daemon runs on the same home
├── Stuck                        7  `status --check` found something that makes no progress
├── NeedsConsent                 8  a question needed an answer, and nobody could give it
├── TimedOut                     9  an expected event did not happen in time
├── Unverified                  10  a file from a peer failed verification
├── RedactionFailed             11  the redactor failed, so the item was not packaged
└── NotLeader                   12  only the leader of the team can do that

`str(error)` is what happened to which thing; `error.hint` is what to type next.
Exit code 0 means success. A test compares the table in docs/exit-codes.md with this tree.
"""

from typing import ClassVar

_NOT_FOUND = 404  # a number, so that short commands need not load the module `http`


class KarmaError(Exception):
    """Base of every error that a person may see."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotWritable(KarmaError):
    """karma-sync cannot write one of its files or folders."""


class DatabaseUnusable(KarmaError):
    """A database of karma-sync cannot be read or written."""


class BadInput(KarmaError):
    """Typed, pasted or configured text cannot be used as it is."""

    exit_code = 2


class BadCursor(BadInput):
    """An agent gave a cursor that no answer to the same question named."""


class NotInitialised(KarmaError):
    """This home has no identity yet."""

    exit_code = 3


class SyncthingError(KarmaError):
    """Syncthing is missing, does not answer, or refuses a request."""

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
        """Whether the thing does not exist; some requests also answer so for paused folders."""
        return self.status == _NOT_FOUND


class PortTaken(SyncthingError):
    """Another program listens on a port that karma-sync needs."""


class NotFound(KarmaError):
    """No team, project, session or invitation has that name."""

    exit_code = 5


class NoProject(NotFound):
    """An agent works in a directory that belongs to no project."""


class Conflict(KarmaError):
    """The present state does not allow the request."""

    exit_code = 6


class IllegalMove(Conflict):
    """The present status does not allow this verb."""


class AlreadyRunning(Conflict):
    """Another daemon runs on this home."""


class Stuck(KarmaError):
    """Something makes no progress and needs a person."""

    exit_code = 7


class NeedsConsent(KarmaError):
    """A question needed an answer, and nobody could give it."""

    exit_code = 8


class TimedOut(KarmaError):
    """An expected event did not happen in time."""

    exit_code = 9


class Unverified(KarmaError):
    """A file from a peer failed verification; `code` names the step and the reason."""

    exit_code = 10

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RedactionFailed(KarmaError):
    """The redactor could not finish, so the item must not leave this machine."""

    exit_code = 11


class NotLeader(KarmaError):
    """Only the leader of the team can make this change."""

    exit_code = 12
