"""Joins a team after its roster was verified and the person accepted the invitation."""

from collections.abc import Iterator

from karma_sync.domain.team.invitation import Answer, Invitation
from karma_sync.domain.team.member import How
from karma_sync.errors import Unverified
from karma_sync.paths import metadata_folder
from karma_sync.runtime.event_log import reason
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.adopt import document_of
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.folder import DocumentFile
from karma_sync.team.documents.models import Roster, team_of
from karma_sync.team.documents.stored import ROSTER
from karma_sync.team.documents.term import links_of, order_of
from karma_sync.team.documents.verify import incarnation_in, is_listed, verify_roster


class Joiner:
    """Reads the metadata folders of teams that invite me."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context

    def process(self, invitation: Invitation) -> None:
        """Verify the roster that came with an invitation, and join if it was accepted."""
        if invitation.answer is Answer.DECLINED:
            return
        newest: tuple[DocumentFile, Roster] | None = None
        for each in self._rosters(invitation):
            if newest is None or order_of(each[1]).is_newer_than(order_of(newest[1])):
                newest = each
        if newest is None:
            return
        found, roster = newest
        with self._context.store.transaction() as tx:
            fresh = state.invitations.get(tx, invitation.folder)
            if fresh is None or fresh.answer is Answer.DECLINED:
                return
            fresh = self._ready(tx, fresh, roster)
            if fresh.answer is Answer.ACCEPTED and fresh.leader_key == roster.writer:
                self._join(tx, found, roster)
                state.invitations.drop(tx, folder=fresh.folder)
            else:
                state.invitations.put(tx, fresh)

    def _rosters(self, invitation: Invitation) -> Iterator[tuple[DocumentFile, Roster]]:
        folder = self._context.metadata(invitation.folder)
        if invitation.answer is Answer.ACCEPTED or self._is_paired(invitation):
            folder.forget()
        for found in folder.changed():
            if found.kind != ROSTER:
                continue
            try:
                roster = verify_roster(found.raw, found.writer, None).value
                if metadata_folder(roster.team) != invitation.folder:
                    raise Unverified("5-team", "it lies in another team's folder")  # noqa: TRY301
                with self._context.store.reading() as tx:
                    former = state.formers.get(tx, roster.team)
                if self._is_from_after_i_left(roster, former):
                    continue
                self._require_listed(roster, former)
                self._require_way_through_code(roster)
            except Unverified as error:
                self._context.event_log.record_fault(
                    "invitation refused", invitation.id, reason(error)
                )
                continue
            yield found, roster

    def _is_paired(self, invitation: Invitation) -> bool:
        """Whether an invitation waits whose leader I paired with, perhaps after it came."""
        with self._context.store.reading() as tx:
            pairing = state.pairings.get(tx, invitation.leader_key)
        waits = invitation.answer is Answer.PENDING
        return waits and pairing is not None and pairing.open_at(self._context.now())

    def _is_from_after_i_left(self, roster: Roster, former: state.Former | None) -> bool:
        """Whether a roster only says what I know: I am in the team no longer.

        The others share it with me for a while after I left, for I have to see that they know.
        Whoever is on its way back connects with them within that time.
        """
        key = self._context.me.key
        gone = [m.incarnation for m in roster.removed if m.key == key]
        return former is not None and any(each <= former.incarnation for each in gone)

    def _require_listed(self, roster: Roster, former: state.Former | None) -> None:
        me = self._context.me
        if not is_listed(roster, me):
            raise Unverified("4-member", "the roster does not list me")
        if former and incarnation_in(roster, me.key) <= former.incarnation:
            were = "left" if former.how is How.LEFT else f"were {former.how}"
            raise Unverified("6-newer", f"it is from before you {were}")

    def _require_way_through_code(self, roster: Roster) -> None:
        """My yes to an invitation code was to a team that the maker of the code led.

        A former leader can sign two ways on: to the leader whose code I have, and to somebody else.
        """
        with self._context.store.reading() as tx:
            codes = [j.key for j in state.joinings.all(tx) if j.team == roster.team and j.is_open]
        links = links_of(roster.team, roster.founder, roster.chain)
        leaders = {roster.founder, *(link.leader for link in links)}
        if codes and leaders.isdisjoint(codes):
            raise Unverified("4-signer", "who made the invitation code never led this team")

    def _ready(self, tx: Transaction, invitation: Invitation, roster: Roster) -> Invitation:
        """The invitation with the data of its roster; accepted if I paired with the leader before.

        Any member may be the first to send the roster. Only the key that signed it counts.
        """
        leader = next(m for m in roster.members if m.key == roster.writer)
        me = self._context.me.key
        ready = invitation.changed(
            team=roster.team,
            team_name=roster.name,
            leader_tag=leader.tag,
            leader_key=roster.writer,
            limited_to=next((g.projects for g in roster.guests if g.key == me), ()),
        )
        pairing = state.pairings.get(tx, roster.writer)
        paired = (
            pairing is not None
            and pairing.device == leader.device
            and pairing.team in ("", roster.team)
        )
        if (
            pairing
            and paired
            and pairing.open_at(self._context.now())
            and ready.answer is Answer.PENDING
        ):
            state.pairings.put(tx, pairing.changed(used=True))
            return ready.answered("accept")
        return ready

    def _join(self, tx: Transaction, found: DocumentFile, roster: Roster) -> None:
        if state.teams.get(tx, roster.team) is None:
            me = self._context.me
            team = team_of(roster, order_of(roster), None).seen_by(me.key)
            state.teams.put(tx, team.activate(me.key, me.addresses))
            state.put_document(tx, document_of(team.id, found, roster.version))
            state.formers.drop(tx, team=team.id)
        # the documents of the other members were skipped until now
        self._context.metadata(metadata_folder(roster.team)).forget()
