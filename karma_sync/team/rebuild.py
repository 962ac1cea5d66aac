"""Restores teams and answers from my signed documents, if state.db was lost or is an old backup.

If the roster in a metadata folder lists me, and the folder holds a document that my own key signed,
I joined that team: nobody else could have signed the document. It has my answers. It does not have
my limits: those are in intent.json, and a sending subscription without a matching entry there
starts paused. A document of mine that is newer than the database also limits the database's
answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from karma_sync.domain import limits
from karma_sync.domain.team.machine import Machine
from karma_sync.domain.team.member import How
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.paths import is_metadata_folder, metadata_folder
from karma_sync.signing import PayloadType, read_accepted
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.store.intent import void_unknown
from karma_sync.store.intent_content import Intent, Limit, read_intent
from karma_sync.team.adopt import document_of, newest_order
from karma_sync.team.context import TeamContext
from karma_sync.team.documents.answers import answers_of
from karma_sync.team.documents.folder import DocumentFile, MetadataFolder
from karma_sync.team.documents.models import MemberDocument, Roster, team_of
from karma_sync.team.documents.stored import MEMBER, ROSTER
from karma_sync.team.documents.term import order_of
from karma_sync.team.documents.verify import incarnation_in, is_listed, verify_roster


@dataclass(frozen=True)
class _Found:
    """The newest roster in a metadata folder, and my own document beside it, with their files."""

    roster: Roster
    roster_file: DocumentFile
    own: MemberDocument
    own_file: DocumentFile


class Rebuilder:
    """Reads the metadata folders that are on disk when the daemon starts."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context

    def run(self) -> None:
        """Restore teams and version counters that the database has lost."""
        root = self._context.paths.folders
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        for name in filter(is_metadata_folder, names):
            found = MetadataFolder(root / name).changed()
            newest = self._newest(name, [f for f in found if f.kind == ROSTER])
            if newest:
                self._rebuild(*newest, found)

    def _newest(
        self, folder: str, files: Iterable[DocumentFile]
    ) -> tuple[Roster, DocumentFile] | None:
        """The newest roster in a metadata folder, and its file; None if none verifies."""
        newest: tuple[Roster, DocumentFile] | None = None
        for file in files:
            try:
                roster = verify_roster(file.raw, file.writer, None).value
            except Unverified:
                continue  # an invitation, or forged: `Joiner` and `Adopter` decide
            if metadata_folder(roster.team) == folder and (
                newest is None or order_of(roster).is_newer_than(order_of(newest[0]))
            ):
                newest = roster, file
        return newest

    def _rebuild(
        self, roster: Roster, roster_file: DocumentFile, found: list[DocumentFile]
    ) -> None:
        me = self._context.me
        try:
            (own_file,) = [f for f in found if f.kind == MEMBER and f.writer == me.key]
            own = read_accepted(own_file.raw, me.key, PayloadType.MEMBER, MemberDocument)
        except (Unverified, ValueError):
            return  # an invitation, or forged: `Joiner` and `Adopter` decide
        if own.team != roster.team or not is_listed(roster, me):
            return
        with self._context.store.transaction() as tx:
            former = state.formers.get(tx, roster.team)
            here = incarnation_in(roster, me.key)
            if former and here <= former.incarnation:
                if former.how is not How.LEFT or own.incarnation != here:
                    return
            elif own.left:
                return  # I was added again, which is for me to answer
            else:
                former = None
            team = state.teams.get(tx, roster.team)
            files = _Found(roster, roster_file, own, own_file)
            if team is None:
                self._restore(tx, files, former)
            elif own.incarnation == here and _incarnation(team, me.key) < here:
                self._catch_up(tx, files, team)
            self._raise_minimum_version(tx, roster)
            self._follow(tx, own, own_file)

    def _restore(self, tx: Transaction, found: "_Found", leaving: state.Former | None) -> None:
        """Restore a team; with `leaving` as one that I left, because not all may know that yet."""
        me, roster, own = self._context.me, found.roster, found.own
        team = team_of(roster, order_of(roster), None).seen_by(me.key)
        retracts = tuple((each.member, each.incarnation) for each in own.retracts)
        team = team.activate(me.key, me.addresses, (), (), retracts)
        if leaving:
            at_ms = int(leaving.at.timestamp() * 1000)
            team = team.leave(me.key, at_ms, retracted=leaving.retracted)
        state.teams.put(tx, team)
        state.put_document(tx, document_of(roster.team, found.roster_file, roster.version))
        state.put_document(tx, document_of(roster.team, found.own_file, own.version))
        intent = read_intent(self._context.paths.intent)
        answers = [intent.limit(answer) for answer in answers_of(own)]
        if incarnation_in(roster, me.key) == own.incarnation:
            state.subscriptions.put(tx, *answers)
        self._restore_machines(tx, team, own)
        why = f"team {roster.name}"
        if any(a.status is Status.PAUSED and a.sends for a in answers):
            why += ": what you send is paused, karma-sync subscription resume PROJECT"
        self._context.event_log.record("rebuilt", me.tag, why)

    def _catch_up(self, tx: Transaction, found: "_Found", team: Team) -> None:
        """Follow the roster on disk if I was added again after the database was copied.

        The answers that I gave since come from my own document. Those in the database are not of
        this time, so they would be dropped when the roster is adopted.
        """
        roster, me = found.roster, self._context.me
        if not order_of(roster).is_newer_than(newest_order(tx, team)):
            return
        after = team_of(roster, order_of(roster), team).seen_by(me.key)
        state.put_changed(tx, team, after.activate(me.key, me.addresses))
        state.put_document(tx, document_of(roster.team, found.roster_file, roster.version))

    def _restore_machines(self, tx: Transaction, team: Team, own: MemberDocument) -> None:
        """Go on to call those machines mine that my own document names."""
        for key in own.machines:
            member = team.member(key)
            if member and state.machines.get(tx, key) is None:
                now = self._context.now()
                known = Machine(key=key, tag=member.tag, device=member.device, at=now)
                state.machines.put(tx, known)

    def follow(self, team_id: str, found: DocumentFile) -> None:
        """Follow a member document of mine that others had, if the database is an old backup.

        So are the files beside it then: all of the home was replaced by a copy.
        """
        try:
            own = read_accepted(found.raw, self._context.me.key, PayloadType.MEMBER, MemberDocument)
        except (Unverified, ValueError):
            return  # forged: my own is written over it
        if own.team == team_id and not own.left:
            with self._context.store.transaction() as tx:
                self._follow(tx, own, found)

    def _raise_minimum_version(self, tx: Transaction, roster: Roster) -> None:
        me = self._context.me.key
        known = state.get_document(tx, roster.team, ROSTER, me)
        if roster.writer == me and known and known.version < roster.version:
            state.raise_minimum_version(tx, roster.team, ROSTER, roster.version)
            void_unknown(tx, (), self._context.now())

    def _follow(self, tx: Transaction, own: MemberDocument, file: DocumentFile) -> None:
        """Take over what my document says if it is newer than the database."""
        team = state.teams.get(tx, own.team)
        known = state.get_document(tx, own.team, MEMBER, own.writer)
        if team is None or (known.version if known else 0) >= own.version:
            return
        if _incarnation(team, own.writer) != own.incarnation:
            return  # it is from another time in the team
        state.put_document(tx, document_of(own.team, file, own.version))
        void_unknown(tx, (), self._context.now())
        self._narrow(tx, own)
        self._say_again(tx, team, own)

    def _narrow(self, tx: Transaction, own: MemberDocument) -> None:
        """Limit my answers to those in my newer document: the database is an old backup.

        Answers that it does not know are put into it, as after a loss.
        """
        mine = self._context.me.key
        intent = read_intent(self._context.paths.intent)
        said = answers_of(own)
        newer = Intent(limits=tuple(Limit.of(answer).changed(limits=None) for answer in said))
        known = {a.project: a for a in state.subscriptions.all(tx, team=own.team, member=mine)}
        # those that are later came from intent.json, with their limits
        later = {a.project for a in said if a.project in known and _is_later(known[a.project], a)}
        limited = [newer.limit(a) for a in known.values() if a.project not in later]
        limited += [intent.limit(answer) for answer in said if answer.project not in known]
        for answer in limited:
            if answer != known.get(answer.project):
                state.subscriptions.put(tx, answer)
                why = f"{answer.project}: the database was older than my document"
                self._context.event_log.record("limited", self._context.me.tag, why)

    def _say_again(self, tx: Transaction, team: Team, own: MemberDocument) -> None:
        """Go on to propose and to retract what my newer document does: it is in no answer."""
        mine = team.anybody(own.writer)
        if mine is None:
            return
        proposals = tuple(each.project for each in own.proposals)
        said = ((each.member, each.incarnation) for each in own.retracts)
        retracts = tuple(dict.fromkeys((*mine.retracts, *said)))[-limits.MACHINES :]
        said_all = mine.addresses, proposals, mine.machines, retracts
        state.teams.put(tx, team.activate(mine.key, *said_all))


def _incarnation(team: Team, key: str) -> int:
    """That of the member with this key in a team; 0 if there is none."""
    member = team.anybody(key)
    return member.incarnation if member else 0


def _is_later(answer: Subscription, than: Subscription) -> bool:
    return answer.incarnation > than.incarnation
