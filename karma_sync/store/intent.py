"""Keeps intent.json: the limits on sending, and the open invitation codes, outside of the database.

If state.db is lost, or restored from a backup, karma-sync must not send more than the person
allowed. So the limits are also written to this file (fsynced) whenever a commit changes them in
state.db, and state.db keeps the version that was written. A file with a higher version means that
the database is older than the file: then the file overrides the database wherever it limits more.
An answer that the person gave after the backup was made replaces the one in the backup: whatever
was sent or taken back since belongs to it. Entries that the database does not know stay in the
file, because the daemon may not have rebuilt them in the database yet. In a team that I left
everything counts as paused, and as declined if I took back what I had sent. The file also knows
those teams: a backup still has me as a member, and nobody there would tell me again. Which
directories and names belong to a project is as the file says, too: they decide what leaves.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from karma_sync.domain.ids import next_version
from karma_sync.domain.team.invite import InviteStatus
from karma_sync.domain.team.member import How
from karma_sync.domain.team.subscription import Status
from karma_sync.errors import KarmaError, NotWritable
from karma_sync.files import fsync_dirs, write_private
from karma_sync.store import state
from karma_sync.store.database import Database, Transaction
from karma_sync.store.intent_content import Intent, Limit, OpenInvite, read_intent


class IntentFile:
    """Keeps intent.json and state.db in agreement; `report` gets a text for each change."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        report: Callable[[str], None],
        is_replaced: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_replaced` tells whether another program than this one is installed meanwhile."""
        self._path = path
        self._now = now
        self._report = report
        self._is_replaced = is_replaced

    @property
    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)

    def take_over(self, store: Database, member: str) -> None:
        """At start-up, limit the database by the file, if the file is newer or damaged.

        `member` is my key in hex.
        """
        try:
            found = read_intent(self._path)
        except KarmaError:
            found = None
        with store.reading() as tx:
            if found is not None and found.version <= state.intent_version(tx):
                return
        self.keep(store, member)

    def keep(self, store: Database, member: str) -> None:
        """Make the file and the database agree on the limits of `member` (my key in hex).

        Writes nothing if they already agree.

        Raises:
            NotWritable: the database has the change, but the file could not be written.
        """
        with store.reading() as tx:
            if self._agree(tx, member):
                return
        news: list[str] = []
        with store.transaction() as tx:  # locks out everybody who might write either of them
            before = self._read_or_pause(tx, news)
            version = state.intent_version(tx)
            if before.version > version:
                news += _adopt(tx, before, member)
            if before.version != version:
                void_unknown(tx, before.invites, self._now())
            now = _content(tx, member, before)
            if now != before or before.version < version:
                version = next_version(max(version, before.version), self._now_ms)
                now = now.changed(version=version)
                self._write(now.to_json(indent=1).encode() + b"\n")
            state.put_intent_version(tx, now.version)
        for why in news:
            self._report(why)

    def _write(self, content: bytes) -> None:
        try:
            write_private(self._path, content)
        except OSError as error:
            why = error.strerror or error
            raise NotWritable(
                f"{self._path} cannot be written: {why}. The change is in effect, but it is lost if"
                " the database is lost",
                hint="free some space there, then type the same command again",
            ) from error

    def _agree(self, tx: Transaction, member: str) -> bool:
        try:
            found = read_intent(self._path)
        except KarmaError:
            return False
        if found.version != state.intent_version(tx):
            return False
        return _content(tx, member, found) == found

    def _read_or_pause(self, tx: Transaction, news: list[str]) -> Intent:
        """The content of the file; a damaged file is renamed, and everything is paused.

        Raises:
            KarmaError: the program was replaced, so the file may be sound for its new version.
        """
        try:
            return read_intent(self._path)
        except KarmaError as error:
            if self._is_replaced():
                raise KarmaError(
                    f"{error}: karma-sync was upgraded, and this is still the earlier program",
                    hint="start it again; the daemon does so by itself",
                ) from error
            aside = self._path.with_name(f"{self._path.name}.broken")
            self._path.replace(aside)
            fsync_dirs([aside.parent])
            why = f"the limits on sending could not be read: see {aside}"
            state.halts.put(tx, state.GlobalPause(why=why))
            news.append(f"everything is paused, {why}")
            return Intent()


def _content(tx: Transaction, member: str, before: Intent) -> Intent:
    """The content that the file should have by the database, still with the version of `before`."""
    limits = {(limit.team, limit.project): limit for limit in before.limits}
    joined = _joined(tx, member)
    for answer in state.subscriptions.all(tx, member=member):
        limits[answer.team, answer.project] = Limit.of(answer, joined.get(answer.team, 0))
    for former in state.formers.all(tx):
        least = Status.DECLINED if former.retracted else Status.PAUSED
        limits |= {k: each.at_least(least) for k, each in limits.items() if k[0] == former.team}
    return Intent(
        version=before.version,
        limits=tuple(limits[key] for key in sorted(limits)),
        withheld=tuple(state.withholds.all(tx)),
        observations=tuple(state.withheld_observations.all(tx)),
        shares=tuple(state.shares.all(tx)),
        exclusions=tuple(state.exclusions.all(tx)),
        unshared=tuple(state.unshared.all(tx)),
        forks=tuple(state.forks.all(tx)),
        halt=state.halts.get(tx, "all"),
        invites=tuple(
            OpenInvite(id=i.id, used=i.used) for i in state.invites.all(tx) if i.admission_key
        ),
        policies=tuple(state.policies.all(tx)),
        machines=tuple(state.machines.all(tx)),
        formers=tuple(state.formers.all(tx)),
        mapped=tuple(root for root in state.roots.all(tx) if root.mapped),
        agreements=tuple(state.agreements.all(tx)),
    )


def _joined(tx: Transaction, member: str) -> dict[str, int]:
    """My incarnation in each team that the database knows, by the team's id."""
    known = ((team.id, team.known(member)) for team in state.teams.all(tx))
    return {team: mine.incarnation for team, mine in known if mine}


def void_unknown(tx: Transaction, known: Collection[OpenInvite], now: datetime) -> None:
    """Void every invitation code of mine that can be used and is not among these.

    The database may be an old backup, in which a used code is open. A code that the newer file
    knows as it is was not used since.
    """
    for invite in state.invites.all(tx):
        is_known = OpenInvite(id=invite.id, used=invite.used) in known
        if invite.status is InviteStatus.OPEN and not is_known:
            state.invites.put(tx, invite.void(now))


def _adopt(tx: Transaction, intent: Intent, member: str) -> list[str]:
    """Limit the database by the newer file; returns a sentence for each change."""
    news = []
    known = {(a.team, a.project): a for a in state.subscriptions.all(tx, member=member)}
    joined = _joined(tx, member)
    limited = [intent.limit(answer) for answer in known.values()]
    limited += [
        each.answered(member)
        for each in intent.limits
        if (each.team, each.project) not in known and joined.get(each.team) == each.joined
    ]
    for answer in limited:
        if answer != known.get((answer.team, answer.project)):
            state.subscriptions.put(tx, answer)
            news.append(
                f"the database was older than intent.json: {answer.project} is {answer.status}"
                " again"
            )
    state.withholds.put(tx, *intent.withheld)
    state.withheld_observations.put(tx, *intent.observations)
    state.exclusions.put(tx, *intent.exclusions)
    state.unshared.put(tx, *intent.unshared)
    state.forks.put(tx, *intent.forks)
    news += _drop_unknown(tx, intent)
    news += _place_again(tx, intent)
    news += _end_teams(tx, intent, member)
    for share in state.shares.all(tx):
        state.shares.drop(tx, session=share.session, project=share.project)
    state.shares.put(tx, *intent.shares)
    halt = state.halts.get(tx, "all")
    if intent.halt and (halt is None or halt.ends_before(intent.halt)):
        state.halts.put(tx, intent.halt)
        news.append("everything is paused again, as before")
    return news


def _drop_unknown(tx: Transaction, intent: Intent) -> list[str]:
    """Drop the policies and machines that the newer file does not know: they were taken back."""
    news = []
    for policy in state.policies.all(tx):
        if policy not in intent.policies:
            state.policies.drop(tx, team=policy.team)
            news.append("the database was older than intent.json: new projects are asked about")
    for machine in state.machines.all(tx):
        if machine not in intent.machines:
            state.machines.drop(tx, key=machine.key)
    state.machines.put(tx, *(machine for machine in intent.machines if not machine.is_mine))
    return news


def _place_again(tx: Transaction, intent: Intent) -> list[str]:
    """Have directories belong to projects as the person said last, and under the agreed names."""
    news = []
    for root in state.roots.all(tx):
        if root.mapped and root not in intent.mapped:
            state.roots.drop(tx, path=root.path)
            why = f"{root.path} is not mapped to {root.project}"
            news.append(f"the database was older than intent.json: {why}")
    state.roots.put(tx, *intent.mapped)
    for each in state.agreements.all(tx):
        if each not in intent.agreements:
            state.agreements.drop(tx, team=each.team, project=each.project, name=each.name)
            news.append(f"the database was older than intent.json: {each.name} is not agreed to")
    state.agreements.put(tx, *intent.agreements)
    return news


def _end_teams(tx: Transaction, intent: Intent, member: str) -> list[str]:
    """Leave the teams again that I left by the newer file, or from which I was removed."""
    news = []
    known = {former.team: former for former in intent.formers}
    for before in state.formers.all(tx):
        if before.team not in known:  # I joined it again
            state.formers.drop(tx, team=before.team)
    state.formers.put(tx, *intent.formers)
    for team in state.teams.all(tx):
        former, mine = known.get(team.id), team.anybody(member)
        if former is None or mine is None or mine.incarnation > former.incarnation:
            continue
        if former.how is How.LEFT and team.leader != member:
            # whether others know it is not known: they are told again
            at_ms = int(former.at.timestamp() * 1000)
            state.teams.put(tx, team.leave(member, at_ms, retracted=former.retracted))
        else:
            state.forget_team(tx, team)
        news.append(f"the database was older than intent.json: you are not in {team.name} any more")
    return news
