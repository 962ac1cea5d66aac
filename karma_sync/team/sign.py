"""Signs my member documents and the rosters of teams that I lead, and writes their files."""

from dataclasses import dataclass
from typing import TypeVar

from karma_sync.domain.ids import next_version
from karma_sync.paths import metadata_folder
from karma_sync.signing import PayloadType, read_accepted
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.models import MemberDocument, Roster, member_document, roster_of
from karma_sync.team.documents.stored import MEMBER, ROSTER

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
        with self._context.store.reading() as tx:
            mine = [d for d in state.documents(tx, team_id) if d.writer == self._context.me.key]
        names = [folder.write(d.kind, d.writer, d.envelope) for d in mine]
        return [Written(folder_id, name) for name in names if name]

    def _unsigned(self, tx: Transaction, team_id: str) -> bool:
        """Whether a document that I signed last differs from state.db."""
        return any(
            known is None or known != wanted for known, wanted in self._compared(tx, team_id)
        )

    def _sign_all(self, tx: Transaction, team_id: str) -> None:
        # signed and committed here, and written to disk afterwards, so a crash between the two
        # cannot make two contents under one version
        for known, wanted in self._compared(tx, team_id):
            if known == wanted:
                continue
            version = next_version(wanted.version, self._context.now_ms)
            signed = wanted.model_copy(update={"version": version})
            kind, payload_type = _KIND_OF[type(signed)]
            envelope = self._context.key.sign(payload_type, signed.model_dump_json().encode())
            state.put_document(
                tx,
                state.Document(
                    team=team_id,
                    kind=kind,
                    writer=self._context.me.key,
                    version=version,
                    envelope=envelope,
                ),
            )

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
        mine = [s for s in state.subscriptions.all(tx, team=team_id, member=me.key)]
        pairs: list[tuple[Roster | MemberDocument | None, Roster | MemberDocument]] = []
        if team.leader == me.key:
            roster = self._signed(tx, team_id, ROSTER, PayloadType.ROSTER, Roster)
            last = max(roster.version if roster else 0, state.minimum_version(tx, team_id, ROSTER))
            pairs.append((roster, roster_of(team, last)))
        own = self._signed(tx, team_id, MEMBER, PayloadType.MEMBER, MemberDocument)
        last = max(own.version if own else 0, state.minimum_version(tx, team_id, MEMBER))
        pairs.append((own, member_document(team, me.key, mine, me.addresses, last)))
        return pairs

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
