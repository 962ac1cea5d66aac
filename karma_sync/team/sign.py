"""Signs my member documents and the rosters of teams that I lead, and writes their files."""

from dataclasses import dataclass
from typing import TypeVar

from karma_sync.domain import limits
from karma_sync.domain.ids import next_version
from karma_sync.domain.team.member import How
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder
from karma_sync.signing import PayloadType, read_accepted
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.answers import member_document
from karma_sync.team.documents.models import MemberDocument, Roster, roster_of
from karma_sync.team.documents.stored import MEMBER, ROSTER
from karma_sync.team.documents.term import notice_of

_WAITS_S = 60.0  # others put a document back within a minute

D = TypeVar("D", Roster, MemberDocument)


@dataclass(frozen=True)
class Written:
    """A file that was written into a folder, and that Syncthing must scan."""

    folder: str
    name: str


class Signer:
    """Compares state.db with the documents that I signed last, and signs what changed."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context
        self._awaited_until: dict[str, float] = {}

    def write_mine(self, team_id: str) -> list[Written]:
        """Sign and write my documents of a team if they changed; returns the written files."""
        folder_id = metadata_folder(team_id)
        if not self._context.paths.folder(folder_id).is_dir():
            return []  # the reconciler makes it before Syncthing knows it; the next run writes
        folder = self._context.metadata(folder_id)
        with self._context.store.reading() as tx:
            unsigned = self._unsigned(tx, team_id)
        if unsigned:
            with self._context.store.transaction() as tx:
                self._sign_all(tx, team_id)
        me = self._context.me.key
        with self._context.store.reading() as tx:
            team = state.teams.get(tx, team_id)
            mine = [d for d in state.documents(tx, team_id) if d.writer == me]
        if team is None:
            return []
        leads = team.publisher == me
        names = [
            folder.write(d.kind, d.writer, d.envelope) for d in mine if d.kind == MEMBER or leads
        ]
        # rosters of former leaders are of no use to anybody, and would only be refused
        former = [w for w in folder.writers(ROSTER) if w != team.publisher and (leads or w == me)]
        names += [folder.remove_read(ROSTER, writer) for writer in former]
        return [Written(folder_id, name) for name in names if name]

    def _unsigned(self, tx: Transaction, team_id: str) -> bool:
        """Whether a document that I signed last differs from state.db."""
        team = state.teams.get(tx, team_id)
        if team and team != self._as_i_say(tx, team):
            return True
        return any(
            known is None or known != wanted for known, wanted in self._compared(tx, team_id)
        )

    def _sign_all(self, tx: Transaction, team_id: str) -> None:
        team = state.teams.get(tx, team_id)
        if team and team != self._as_i_say(tx, team):
            state.teams.put(tx, self._as_i_say(tx, team))
        # signed and committed here, and written to disk afterwards, so a crash between the two
        # cannot make two contents under one version
        for known, wanted in self._compared(tx, team_id):
            if known != wanted:
                self._sign(tx, wanted)

    def sign_last(self, tx: Transaction, team_id: str) -> state.Document | None:
        """Sign my member document of a team that ends if it changed; returns the newest one.

        No later one can come back any more, so it is signed at once if it says something new.
        Otherwise the later one stays in force.
        """
        team, me = state.teams.get(tx, team_id), self._context.me
        if team:
            own = self._signed(tx, team_id, MEMBER, PayloadType.MEMBER, MemberDocument)
            mine = state.answers(tx, team=team_id, member=me.key)
            version = own.version if own else 0
            wanted = member_document(team, me, mine, version)
            if wanted != own:
                seen = state.minimum_version(tx, team_id, MEMBER)
                self._sign(tx, wanted.model_copy(update={"version": max(version, seen)}))
        return state.get_document(tx, team_id, MEMBER, me.key)

    def _sign(self, tx: Transaction, wanted: Roster | MemberDocument) -> None:
        version = next_version(wanted.version, self._context.now_ms)
        signed = wanted.model_copy(update={"version": version})
        kind, payload_type = _KIND_OF[type(signed)]
        envelope = self._context.key.sign(payload_type, signed.model_dump_json().encode())
        state.put_document(
            tx,
            state.Document(
                team=signed.team,
                kind=kind,
                writer=self._context.me.key,
                version=version,
                envelope=envelope,
            ),
        )

    def _as_i_say(self, tx: Transaction, team: Team) -> Team:
        """The team with what only I say about it: as its leader, and of my other machines."""
        me = self._context.me.key
        mine = state.my_machines(tx, me)
        # only machines that everybody in this team knows: no team learns of a machine elsewhere
        named = sorted(m.key for m in team.members if m.key in mine)[: limits.MACHINES]
        return self._as_leader(team).naming(me, tuple(named))

    def _as_leader(self, team: Team) -> Team:
        """The team with what only its leader signs: notices to the removed, a handover's end."""
        if team.leader != self._context.me.key:
            return team
        led = team.changed(handed_by="")
        for gone in team.removed:
            removal = gone.removal
            if removal is None or removal.notice or removal.told or removal.stolen:
                continue
            if removal.how is How.REMOVED:
                notice = notice_of(self._context.key, team, gone, removal.at)
                led = led.noting(gone.key, notice=notice)
        return led

    def _compared(
        self, tx: Transaction, team_id: str
    ) -> list[tuple[Roster | MemberDocument | None, Roster | MemberDocument]]:
        """Each document of mine as it was signed last, and as it should be.

        Both have the same version. If others have seen a higher version, the second has that one,
        because I have lost my counter.
        """
        team = state.teams.get(tx, team_id)
        if team is None:
            return []
        me = self._context.me
        mine = [s for s in state.answers(tx, team=team_id, member=me.key)]
        pairs: list[tuple[Roster | MemberDocument | None, Roster | MemberDocument]] = []
        if team.publisher == me.key:
            roster = self._signed(tx, team_id, ROSTER, PayloadType.ROSTER, Roster)
            last = max(roster.version if roster else 0, state.minimum_version(tx, team_id, ROSTER))
            # others may have a newer one of mine that a restored database lost: without a change
            # of mine, that one comes back, and is adopted
            same = roster is not None and roster == roster_of(team, roster.version)
            pairs.append((roster, roster if same and roster else roster_of(team, last)))
        own = self._signed(tx, team_id, MEMBER, PayloadType.MEMBER, MemberDocument)
        version = own.version if own else 0
        seen = state.minimum_version(tx, team_id, MEMBER)
        if own is None or not self._awaits_later(team_id, version, seen):
            pairs.append((own, member_document(team, me, mine, max(version, seen))))
        return pairs

    def _awaits_later(self, team_id: str, version: int, seen: int) -> bool:
        """Whether others have a later document of mine, and may still bring it back.

        Then all files here are those of a backup. What I said since counts, so I sign nothing over
        it for a while: once in the life of a daemon, or a member that lies could silence me.
        """
        if seen <= version:
            return False
        until = self._context.monotonic() + _WAITS_S
        return self._context.monotonic() < self._awaited_until.setdefault(team_id, until)

    def _signed(
        self, tx: Transaction, team_id: str, kind: str, payload_type: PayloadType, model: type[D]
    ) -> D | None:
        known = state.get_document(tx, team_id, kind, self._context.me.key)
        return (
            read_accepted(known.envelope, self._context.me.key, payload_type, model)
            if known
            else None
        )


_KIND_OF: dict[type[Roster | MemberDocument], tuple[str, PayloadType]] = {
    Roster: (ROSTER, PayloadType.ROSTER),
    MemberDocument: (MEMBER, PayloadType.MEMBER),
}
