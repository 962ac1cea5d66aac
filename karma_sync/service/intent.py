"""intent.json: what limits sending, apart from the database, so that a lost one loosens nothing.

Written, fsynced, whenever state.db commits something else; a rebuilt database takes it from
here. An entry the database does not know stays: the database may just have been lost.
"""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from karma_sync.domain.subscription import Status, Subscription
from karma_sync.domain.withdrawal import Unshared
from karma_sync.errors import NotWritable
from karma_sync.paths import write_private
from karma_sync.store import state
from karma_sync.store.database import Database


class Limit(BaseModel):
    """How much of one project goes to one team; only of this incarnation of my answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: str
    project: str
    incarnation: int
    status: Status
    since: datetime | None = None

    def applies_to(self, answer: Subscription) -> bool:
        """Whether it was written for exactly this answer."""
        return (self.team, self.project, self.incarnation) == (
            answer.team,
            answer.project,
            answer.incarnation,
        )


class Intent(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    limits: tuple[Limit, ...] = ()
    halt: state.Halt | None = None
    unshared: tuple[Unshared, ...] = ()

    def limit_of(self, answer: Subscription) -> Limit | None:
        """What was written for this answer; None if nothing was."""
        return next((limit for limit in self.limits if limit.applies_to(answer)), None)


class IntentFile:
    """The file beside the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Intent:
        """What it says; nothing if there is none, or it cannot be read."""
        try:
            return Intent.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return Intent()

    def keep(self, store: Database, member: str) -> None:
        """Make it say what the database says of `member` (my key); untouched if it does.

        Raises:
            NotWritable: the database has the change, the file does not.
        """
        with store.reading() as tx:
            mine = state.subscriptions.all(tx, member=member)
            halt = state.halts.get(tx, "all")
            unshared = state.unshared.all(tx)
        before = self.read()
        limits = {(limit.team, limit.project): limit for limit in before.limits}
        for answer in mine:
            limits[answer.team, answer.project] = Limit(
                team=answer.team,
                project=answer.project,
                incarnation=answer.incarnation,
                status=answer.status,
                since=answer.since,
            )
        held = {(u.whose, u.name): u for u in (*before.unshared, *unshared)}
        now = Intent(
            limits=tuple(limits[key] for key in sorted(limits)),
            halt=halt or before.halt,
            unshared=tuple(held[key] for key in sorted(held)),
        )
        if now != before:
            self._write(now.model_dump_json(indent=1).encode() + b"\n")

    def _write(self, content: bytes) -> None:
        try:
            write_private(self._path, content)
        except OSError as error:
            why = error.strerror or error
            raise NotWritable(
                f"{self._path} cannot be written: {why}. The change is in effect, but would be"
                " forgotten with the database",
                hint="make room there, then type the same once more",
            ) from error
