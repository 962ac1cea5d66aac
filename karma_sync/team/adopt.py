"""Adopts the rosters and member documents that other members signed."""

from collections.abc import Sequence
from contextlib import suppress

from karma_sync.domain.events import Topic
from karma_sync.domain.mesh.channels import document_title
from karma_sync.domain.team.succession import RosterOrder
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.paths import metadata_folder
from karma_sync.runtime.event_log import reason
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.store.intent import void_unknown
from karma_sync.team.context import TeamContext
from karma_sync.team.departures import answer_removal, end_removed
from karma_sync.team.documents.folder import DocumentFile
from karma_sync.team.documents.models import MemberDocument, Roster, team_of
from karma_sync.team.documents.stored import MEMBER, ROSTER
from karma_sync.team.documents.term import links_of, order_of
from karma_sync.team.documents.verify import (
    is_listed,
    is_removed,
    is_told,
    verify_member,
    verify_roster,
)
from karma_sync.team.last_document import adopt_last, replace_answers


class Adopter:
    """Reads the documents of a team, and stores those that `team/documents/verify.py` verified.

    A verified document replaces what I knew about its writer.
    """

    def __init__(self, context: TeamContext) -> None:
        self._context = context
        self._leaders: dict[str, str] = {}  # at the last call, by team

    def adopt_all(self, team_id: str) -> list[DocumentFile]:
        """Adopt every document of a team that changed since the last call; returns my own.

        All of them if somebody else leads since then: a document that was refused because its
        writer led may count now.
        """
        folder, me = self._context.metadata(metadata_folder(team_id)), self._context.me.key
        if self._leads_anew(team_id):
            folder.forget()
        changed = folder.changed()
        while self._adopt_rosters(team_id, changed):
            folder.forget()  # read again the documents of members that the old roster did not list
            changed = folder.changed()
        found = [f for f in changed if f.writer != me]
        with self._context.store.reading() as tx:
            team = state.teams.get(tx, team_id)
        members = [each for each in found if each.kind == MEMBER and team]
        here = [each for each in members if team and not team.former(each.writer)]
        for each in members:
            if each not in here:
                self._adopt_last(team_id, each)
        self._adopt(team_id, here)
        return [f for f in changed if (f.kind, f.writer) == (MEMBER, me)]

    def _adopt_rosters(self, team_id: str, changed: Sequence[DocumentFile]) -> bool:
        """Adopt the rosters among these documents; returns whether any was adopted."""
        rosters = [f for f in changed if f.kind == ROSTER]
        me = self._context.me.key
        adopted = [self._adopt(team_id, [f]) for f in rosters if f.writer != me]
        adopted += [self._adopt_own(team_id, f) for f in rosters if f.writer == me]
        return any(adopted)

    def _leads_anew(self, team_id: str) -> bool:
        """Whether a command gave the team another leader since the last call: I took over."""
        with self._context.store.reading() as tx:
            team = state.teams.get(tx, team_id)
        before = self._leaders.pop(team_id, None)
        if team:
            self._leaders[team_id] = team.leader
        return team is not None and before is not None and before != team.leader

    def _adopt(self, team_id: str, found: Sequence[DocumentFile]) -> bool:
        """Adopt those documents that are new and verify; returns whether any was adopted.

        All in one transaction: a newcomer to a team of many would wait for the disk as often as the
        team has members. A refusal is recorded, once.
        """
        if not found:
            return False
        refused: list[tuple[DocumentFile, str]] = []
        adopted = False
        with self._context.store.transaction() as tx:
            for each in found:
                try:
                    adopted |= self._adopt_one(tx, team_id, each)
                except Unverified as error:
                    refused.append((each, reason(error)))
            team = state.teams.get(tx, team_id)
        for each, why in refused:
            if team:
                who, about = document_title(team, each.kind, each.writer), Topic(team=team.name)
                self._context.event_log.record_fault("document refused", who, why, about)
        return adopted

    def _adopt_one(self, tx: Transaction, team_id: str, found: DocumentFile) -> bool:
        """Adopt one document if it is new; returns whether it was.

        Raises:
            Unverified: it does not verify. Nothing was written.
        """
        team = state.teams.get(tx, team_id)
        known = state.get_document(tx, team_id, found.kind, found.writer)
        if team is None or (known and known.envelope == found.raw):
            return False
        if found.kind == ROSTER:
            self._adopt_roster(tx, team, found)
        else:
            self._adopt_member(tx, team, found, known)
        return True

    def _adopt_own(self, team_id: str, found: DocumentFile) -> bool:
        """Adopt a roster of mine that is newer than the database, which then is an old backup.

        Otherwise members that I removed since would come back, and if the backup is from before I
        led, nobody would lead. A roster that does not verify is written over by my next one.
        Returns whether it was adopted.
        """
        try:
            with self._context.store.transaction() as tx:
                team = state.teams.get(tx, team_id)
                known = state.get_document(tx, team_id, ROSTER, found.writer)
                if team is None or (known and known.envelope == found.raw):
                    return False
                self._adopt_roster(tx, team, found)
                void_unknown(tx, (), self._context.now())
        except Unverified:
            return False
        why = f"team {team.name}: the database was older than the roster that I signed"
        self._context.event_log.record("rebuilt", self._context.me.tag, why)
        return True

    def _adopt_last(self, team_id: str, found: DocumentFile) -> None:
        """Adopt what a former member answered last, which tells what it took back before.

        Nothing is recorded of what does not verify: an old document may lie there for ever.
        """
        with self._context.store.transaction() as tx, suppress(Unverified):
            team = state.teams.get(tx, team_id)
            if team:
                adopt_last(tx, team, found.writer, found.raw)

    def _adopt_roster(self, tx: Transaction, team: Team, found: DocumentFile) -> None:
        me = self._context.me
        newest = newest_order(tx, team)
        roster = verify_roster(found.raw, found.writer, newest, me.key).value
        if roster.team != team.id:
            raise Unverified("5-team", f"the roster is for another team, {roster.name}")
        if not is_listed(roster, me):
            self._end(tx, team, roster)
            return
        after = team_of(roster, order_of(roster), team).seen_by(me.key)
        if team.is_leaving(me.key) and after.anybody(me.key):
            state.forget_team(tx, team)  # added again after I left: that is for me to answer
            return
        mine = after.anybody(me.key)
        if mine and not mine.active:  # removed and added again before I knew
            after = after.activate(me.key, me.addresses)
        state.put_changed(tx, team, after)
        state.put_document(tx, document_of(team.id, found, roster.version))
        for member in after.everybody:
            if not member.active:
                self._adopt_known(tx, after.id, member.key)

    def _adopt_known(self, tx: Transaction, team_id: str, writer: str) -> None:
        """Have a member say what it said before, if this roster undoes its removal.

        Its document was adopted as the last one of a former member, or before that. It writes
        another only when it has more to say.
        """
        team = state.teams.get(tx, team_id)
        known = state.get_document(tx, team_id, MEMBER, writer)
        if team and known:
            with suppress(Unverified):  # it is from an earlier time, or who leads now had left
                document = _verified_member(team, writer, known.envelope, 0)
                self._replace(tx, team, document)

    def _end(self, tx: Transaction, team: Team, roster: Roster) -> None:
        if not is_removed(roster, self._context.me):
            raise Unverified("4-member", "the roster does not list me")
        if is_told(roster, self._context.me):
            answer_removal(tx, self._context, team)
        end_removed(tx, self._context, team, roster.on_removal)

    def _adopt_member(
        self, tx: Transaction, team: Team, found: DocumentFile, known: state.Document | None
    ) -> None:
        version = known.version if known else 0
        document = _verified_member(team, found.writer, found.raw, version)
        state.put_document(tx, document_of(team.id, found, document.version))
        self._replace(tx, team, document)

    def _replace(self, tx: Transaction, team: Team, document: MemberDocument) -> None:
        """Have what a verified document says in the place of what I knew of its writer."""
        replace_answers(tx, document)
        if document.left:
            self._let_go(tx, team, document)
            return
        proposals = tuple(p.project for p in document.proposals)
        retracts = tuple((each.member, each.incarnation) for each in document.retracts)
        said = document.addresses, proposals, document.machines, retracts
        state.teams.put(tx, team.activate(document.writer, *said))

    def _let_go(self, tx: Transaction, team: Team, document: MemberDocument) -> None:
        """Have a member leave by its own document; its last answers tell what stays of it."""
        now_ms = self._context.now_ms
        after = team.leave(document.writer, now_ms, retracted=document.retracted)
        state.put_changed(tx, team, after)


def _verified_member(team: Team, writer: str, raw: bytes, version: int) -> MemberDocument:
    """The document of a member, if it verifies and is above this version.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    document = verify_member(raw, writer, team, version).value
    if document.left and writer == team.leader and not team.is_dissolved:
        raise Unverified("4-signer", "the leader cannot leave")
    return document


def newest_order(tx: Transaction, team: Team) -> RosterOrder:
    """The order that the next roster must exceed: the accepted one's, or mine before I sign."""
    known = state.get_document(tx, team.id, ROSTER, team.publisher)
    links = links_of(team.id, team.founder, team.chain)
    version = known.version if known else 0
    return RosterOrder(links=links, handover=bool(team.handed_by), version=version)


def document_of(team_id: str, found: DocumentFile, version: int) -> state.Document:
    """The row that keeps an accepted document, byte for byte."""
    return state.Document(
        team=team_id, kind=found.kind, writer=found.writer, version=version, envelope=found.raw
    )
