"""intent.json: what limits sending, apart from the database, so that a lost one loosens nothing.

Written, fsynced, whenever state.db commits something else, and the version that was written is
kept in state.db. A file that is newer than that means that the database was lost, or came from a
backup: then the file wins wherever it limits more. An entry that the database does not know
stays: the daemon may not have rebuilt it yet.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import DecodeError

from karma_sync.domain.ids import next_version
from karma_sync.domain.session.selection import Exclusion, Limits, Share, Unshared, Withhold
from karma_sync.domain.team.subscription import Direction, Status, Subscription
from karma_sync.domain.value import Value
from karma_sync.errors import KarmaError, NotWritable
from karma_sync.files import fsync_dirs, write_private
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction

_RANK = {Status.ACCEPTED: 0, Status.PAUSED: 1, Status.DECLINED: 2, Status.OFFERED: 2}


class Limit(Value, frozen=True, kw_only=True):
    """How much of one project goes to one team; only of this incarnation of my answer."""

    team: str
    project: str
    incarnation: int
    status: Status
    direction: Direction
    limits: Limits = Limits()

    @classmethod
    def of(cls, answer: Subscription) -> "Limit":
        """What is to be remembered of an answer of mine."""
        return cls(
            team=answer.team,
            project=answer.project,
            incarnation=answer.incarnation,
            status=answer.status,
            direction=answer.direction,
            limits=answer.limits,
        )

    def applies_to(self, answer: Subscription) -> bool:
        """Whether it was written for exactly this answer."""
        return (self.team, self.project, self.incarnation) == (
            answer.team,
            answer.project,
            answer.incarnation,
        )

    def narrow(self, answer: Subscription) -> Subscription:
        """The answer, sending no more than both say."""
        status = max(answer.status, self.status, key=_RANK.__getitem__)
        receives = Direction.RECEIVE in {answer.direction, self.direction}
        return answer.changed(
            status=status,
            direction=Direction.RECEIVE if receives else answer.direction,
            limits=answer.limits.narrowed(self.limits),
        )


class Intent(Value, frozen=True, kw_only=True):
    """The whole file; `version` grows with each that is written."""

    format: Literal[1] = 1
    version: int = 0
    limits: tuple[Limit, ...] = ()
    withheld: tuple[Withhold, ...] = ()
    shares: tuple[Share, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    unshared: tuple[Unshared, ...] = ()
    halt: state.GlobalPause | None = None

    def limit(self, answer: Subscription) -> Subscription:
        """The answer as this file limits it.

        Paused if it sends and nothing was written for it: nobody knows how much was meant.
        """
        found = next((limit for limit in self.limits if limit.applies_to(answer)), None)
        if found:
            return found.narrow(answer)
        if answer.status is Status.ACCEPTED and answer.sends:
            return answer.pause()
        return answer


def read_intent(path: Path) -> Intent:
    """What the file says; nothing if there is none.

    Raises:
        KarmaError: it says nothing that could be relied on.
    """
    try:
        return Intent.from_json(path.read_bytes())
    except FileNotFoundError:
        return Intent()
    except DecodeError:
        raise KarmaError(f"{path} cannot be read", hint="karma-sync status") from None


class IntentFile:
    """The file beside the key; `say` is told what it changed in the database."""

    def __init__(self, path: Path, now: Callable[[], datetime], say: Callable[[str], None]) -> None:
        self._path = path
        self._now = now
        self._say = say

    @property
    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)

    def take_over(self, store: Database, member: str) -> None:
        """At the start: a file that is newer than the database, or broken, limits it."""
        try:
            found = read_intent(self._path)
        except KarmaError:
            found = None
        with store.reading() as tx:
            if found is not None and found.version <= state.intent_version(tx):
                return
        self.keep(store, member)

    def keep(self, store: Database, member: str) -> None:
        """Make file and database say the same of `member` (my key); untouched if they do.

        Raises:
            NotWritable: the database has the change, the file does not.
        """
        with store.reading() as tx:
            if self._agree(tx, member):
                return
        news: list[str] = []
        with store.transaction() as tx:  # nobody else writes either of them meanwhile
            before = self._read_or_halt(tx, news)
            version = state.intent_version(tx)
            if before.version > version:
                news += _adopt(tx, before, member)
            now = _content(tx, member, before)
            if now != before or before.version < version:
                version = next_version(max(version, before.version), self._now_ms)
                now = now.changed(version=version)
                self._write(now.to_json(indent=1).encode() + b"\n")
            state.put_intent_version(tx, now.version)
        for why in news:
            self._say(why)

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

    def _agree(self, tx: Transaction, member: str) -> bool:
        try:
            found = read_intent(self._path)
        except KarmaError:
            return False
        if found.version != state.intent_version(tx):
            return False
        return _content(tx, member, found) == found

    def _read_or_halt(self, tx: Transaction, news: list[str]) -> Intent:
        """The file; one that cannot be read is put aside, and everything is paused."""
        try:
            return read_intent(self._path)
        except KarmaError:
            aside = self._path.with_name(f"{self._path.name}.broken")
            self._path.replace(aside)
            fsync_dirs([aside.parent])
            why = f"what limits sending could not be read: see {aside}"
            state.halts.put(tx, state.GlobalPause(why=why))
            news.append(f"everything is paused, {why}")
            return Intent()


def _content(tx: Transaction, member: str, before: Intent) -> Intent:
    """What the file should say, as the database has it; it still has the version of before."""
    limits = {(limit.team, limit.project): limit for limit in before.limits}
    for answer in state.subscriptions.all(tx, member=member):
        limits[answer.team, answer.project] = Limit.of(answer)
    return Intent(
        version=before.version,
        limits=tuple(limits[key] for key in sorted(limits)),
        withheld=tuple(state.withholds.all(tx)),
        shares=tuple(state.shares.all(tx)),
        exclusions=tuple(state.exclusions.all(tx)),
        unshared=tuple(state.unshared.all(tx)),
        halt=state.halts.get(tx, "all"),
    )


def _adopt(tx: Transaction, intent: Intent, member: str) -> list[str]:
    """Limit the database as the newer file does; what changed, in words."""
    news = []
    for answer in state.subscriptions.all(tx, member=member):
        limited = intent.limit(answer)
        if limited != answer:
            state.subscriptions.put(tx, limited)
            news.append(f"{answer.project}, the database was older: it is {limited.status} again")
    state.withholds.put(tx, *intent.withheld)
    state.exclusions.put(tx, *intent.exclusions)
    state.unshared.put(tx, *intent.unshared)
    for share in state.shares.all(tx):
        state.shares.drop(tx, session=share.session, project=share.project)
    state.shares.put(tx, *intent.shares)
    halt = state.halts.get(tx, "all")
    if intent.halt and (halt is None or halt.ends_before(intent.halt)):
        state.halts.put(tx, intent.halt)
        news.append("everything is paused again, as it was")
    return news
