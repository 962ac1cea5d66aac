"""Ends memberships: notifies removed members, and notices my own removal.

A removed member's device is in no folder of the team any more, so nothing of the team reaches it.
Every member therefore offers it a small folder that holds only the signed notice. The removed one
verifies the notice, leaves, and puts a signed acknowledgement into the folder, with its last
document: what it took back before it knew reaches the others in no other way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from karma_sync.domain import limits
from karma_sync.domain.ids import team_id
from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.team.direction import AfterRemoval
from karma_sync.domain.team.member import How, Member
from karma_sync.domain.team.succession import RosterOrder, TermLink
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.files import write_private
from karma_sync.paths import metadata_folder, removal_folder
from karma_sync.runtime.event_log import reason
from karma_sync.signing import PayloadType, open_document, parse
from karma_sync.store import state
from karma_sync.store.database import Transaction
from karma_sync.team.context import TeamContext
from karma_sync.team.documents import folder as files
from karma_sync.team.documents.stored import MEMBER
from karma_sync.team.documents.term import (
    Acknowledgement,
    NoticeFile,
    RemovalNotice,
    links_of,
)
from karma_sync.team.last_document import adopt_last
from karma_sync.team.sign import Signer, Written

NOTICE, ACKNOWLEDGED, LAST = "removal.json", "acknowledged.json", "last.json"
IGNORES = f"!/{NOTICE}\n!/{ACKNOWLEDGED}\n!/{LAST}\n*\n"

_KEPT_AFTER_LEAVING = timedelta(days=7)
_TRIED_FOR = timedelta(days=7)  # after that, nobody reads the document of a member who left
_OFFERED_FOR = timedelta(hours=24)  # so that every member gets the acknowledgement
_REFUSED_FOR = timedelta(hours=1)  # a notice that counts may come to the place of one that does not


@dataclass(frozen=True)
class LeaveTerms:
    """The terms on which I leave a team at `now` (UTC): what I take back, and what I keep."""

    now: datetime
    retracted: bool
    keep: bool


def leave(tx: Transaction, team: Team, me: str, terms: LeaveTerms) -> Team:
    """Leave a team: I send and receive nothing more, and my last document says so to the others.

    It has my last answers: members that were away learn from them what I took back before.

    The items that I received are deleted after seven days, unless they are to be kept.

    Raises:
        IllegalMove: I lead the team.
        NotFound: I am leaving already.
    """
    left = team.leave(me, int(terms.now.timestamp() * 1000), retracted=terms.retracted)
    purge_at = None if terms.keep else terms.now + _KEPT_AFTER_LEAVING
    _remember(tx, team, me, _End(How.LEFT, terms.now, purge_at, terms.retracted))
    state.agreements.drop(tx, team=team.id)
    state.teams.put(tx, left)
    return left


def makes_known(team: Team, witness: str) -> bool:
    """Whether all others learn that I left this team if the member `witness` has seen it.

    The leader lists me until it knows. It may remove every other member who does; whom it removes,
    it does not hear any more. Where nobody leads, everybody is as good.
    """
    leaders = {team.leader, team.publisher} & {member.key for member in team.members}
    return team.is_dissolved or not leaders or witness in leaders


def end_removed(tx: Transaction, context: TeamContext, team: Team, policy: AfterRemoval) -> None:
    """Take note that the leader removed me: all about the team goes."""
    me, now = context.me.key, context.now()
    if not team.is_leaving(me):
        purge_at = now if policy is AfterRemoval.PURGE else None
        _remember(tx, team, me, _End(How.REMOVED, now, purge_at))
    state.forget_team(tx, team)


def answer_removal(tx: Transaction, context: TeamContext, team: Team) -> None:
    """Have the others told that I know of my removal, and what I said last, which I sign now."""
    last = Signer(context).sign_last(tx, team.id)
    offer = offer_of(team, context.me.key).changed(until=context.now() + _OFFERED_FOR)
    if last:
        offer = offer.changed(last=last.envelope.decode(), version=last.version)
    state.removals.put(tx, offer)


def offer_of(team: Team, me: str) -> state.RemovalOffer:
    """The folder in which my removal is told; all others in the team have it, or will."""
    mine = team.known(me)
    incarnation = mine.incarnation if mine else 0
    # shared with all of them, so that each gets the acknowledgement
    others = (m for m in team.everybody if m.key != me)
    return state.RemovalOffer(
        folder=removal_folder(team.id, me, incarnation),
        team=team.id,
        incarnation=incarnation,
        devices=tuple(Device(m.device, m.tag, m.addresses or ("dynamic",)) for m in others),
    )


@dataclass(frozen=True)
class _End:
    how: How
    at: datetime
    purge_at: datetime | None
    retracted: bool = False


def _remember(tx: Transaction, team: Team, me: str, end: _End) -> None:
    mine = team.known(me)
    answered = state.subscriptions.all(tx, team=team.id, member=me)
    former = state.Former(
        team=team.id,
        name=team.name,
        how=end.how,
        at=end.at,
        key=me,
        incarnation=mine.incarnation if mine else 0,
        projects=tuple(sorted({s.project for s in answered if s.incarnation})),
        devices=tuple(m.device for m in team.everybody if m.key != me),
        purge_at=end.purge_at,
        retracted=end.retracted,
    )
    state.formers.put(tx, former)


class Departures:
    """Writes and reads the folders of notices, and ends what is left of teams that I left."""

    def __init__(self, context: TeamContext) -> None:
        self._context = context

    def run(self) -> list[Written]:
        """Do all that is due; returns the files that were written."""
        context = self._context
        with context.store.reading() as tx:
            teams, offers = state.teams.all(tx), state.removals.all(tx)
        written = []
        for team in teams:
            if team.is_leaving(context.me.key):
                self._end_if_unheard(team)
            else:
                written += self._tell(team)
        for offer in offers:
            written += self._hear(offer)
        return written

    def _end_if_unheard(self, team: Team) -> None:
        """Forget a team that I left if nobody is there to see it, or nobody did for a week."""
        with self._context.store.transaction() as tx:
            former = state.formers.get(tx, team.id)
            late = former is None or self._context.now() - former.at > _TRIED_FOR
            if late or not team.everybody:
                state.forget_team(tx, team)

    def _tell(self, team: Team) -> list[Written]:
        """Offer the notices of a team to those who were removed, and read what they answer."""
        written = []
        for gone in team.removed:
            if gone.removal is None or not gone.removal.notice:
                continue
            folder = removal_folder(team.id, gone.key, gone.incarnation)
            path = self._context.paths.folder(folder)
            if not path.is_dir():
                continue  # the reconciler makes it first
            file = NoticeFile(
                founder=team.founder,
                founded_as=team.founded_as,
                nonce=team.nonce,
                chain=team.chain,
                notice=gone.removal.notice,
            )
            written += self._write(folder, NOTICE, file.model_dump_json().encode())
            written += self._read_answer(team, gone, path)
        return written

    def _read_answer(self, team: Team, gone: Member, path: Path) -> list[Written]:
        """Note that a removed member was told, once I have what it said last."""
        raw = files.content(path / ACKNOWLEDGED)
        if raw is None:
            return []
        try:
            found = open_document(raw, gone.key, PayloadType.ACKNOWLEDGEMENT, Acknowledgement)
            if (found.team, found.incarnation) != (team.id, gone.incarnation):
                raise Unverified("5-team", "it acknowledges another removal")  # noqa: TRY301
            last = self._adopted_last(team, gone, path, found.last)
        except Unverified as error:
            self._context.event_log.record_fault("document refused", gone.tag, reason(error))
            return []
        if last is None:
            return [] if found.last else self._note_told(team, gone)
        # the others get it from here; written first, so that a crash does not lose it
        folder_id = metadata_folder(team.id)
        name = self._context.metadata(folder_id).write(MEMBER, gone.key, last.envelope)
        self._note_told(team, gone)
        return [Written(folder_id, name)] if name else []

    def _adopted_last(
        self, team: Team, gone: Member, path: Path, version: int
    ) -> state.Document | None:
        """The last document of a removed member, at least of this version; None if it is not here.

        Raises:
            Unverified: it is not its last document.
        """
        raw = files.content(path / LAST)
        with self._context.store.transaction() as tx:
            known = state.get_document(tx, team.id, MEMBER, gone.key)
            fresh = state.teams.get(tx, team.id)
            if fresh and raw is not None and (known is None or known.version < version):
                adopt_last(tx, fresh, gone.key, raw)
                known = state.get_document(tx, team.id, MEMBER, gone.key)
        return known if known and known.version >= version else None

    def _note_told(self, team: Team, gone: Member) -> list[Written]:
        with self._context.store.transaction() as tx:
            fresh = state.teams.get(tx, team.id)
            if fresh:
                state.teams.put(tx, fresh.noting(gone.key, told=True))
        return []

    def _hear(self, offer: state.RemovalOffer) -> list[Written]:
        """Read a notice that others offer; leave if it is genuine, and acknowledge it."""
        context, now = self._context, self._context.now()
        if offer.until:
            if now >= offer.until:
                with context.store.transaction() as tx:
                    state.removals.drop(tx, folder=offer.folder)
                return []
            return self._acknowledge(offer)
        raw = files.content(context.paths.folder(offer.folder) / NOTICE)
        if raw is None:
            return []
        try:
            with context.store.transaction() as tx:
                team = state.teams.get(tx, offer.team)
                policy = self._verified(tx, raw, offer, team)
                if team:
                    answer_removal(tx, context, team)
                    end_removed(tx, context, team, policy)
                else:
                    state.removals.put(tx, offer.changed(until=now + _OFFERED_FOR))
                told = state.removals.get(tx, offer.folder) or offer
        except Unverified as error:
            context.event_log.record_fault("notice refused", offer.folder, reason(error))
            self._refuse(offer)
            return []
        return self._acknowledge(told)

    def _refuse(self, offer: state.RemovalOffer) -> None:
        """Give up a folder with a refused notice after a while; who still offers it is heard again.

        A takeover undoes removals of the former leader, which ends their folders at its side.
        """
        now = self._context.now()
        if offer.refused and now - offer.refused < _REFUSED_FOR:
            return
        with self._context.store.transaction() as tx:
            if offer.refused:
                state.removals.drop(tx, folder=offer.folder)
            else:
                state.removals.put(tx, offer.changed(refused=now))

    def _verified(
        self, tx: Transaction, raw: bytes, offer: state.RemovalOffer, team: Team | None
    ) -> AfterRemoval:
        """The team's rule for what a removed member received, from a notice that verifies.

        A notice from an earlier term counts if I lead in the later ones and nobody follows me: the
        others removed me before they could hear of it, and hear nothing of me any more.

        Raises:
            Unverified: the links that I know are newer than its own, no leader whom its links name
                signed it, or it is not for me as I am on the roster.
        """
        if len(raw) > limits.DOCUMENT_BYTES:
            raise Unverified("2-size", f"it is larger than {limits.DOCUMENT_BYTES} bytes")
        file = parse(raw, NoticeFile)
        if team_id(file.founder, file.founded_as, file.nonce) != offer.team:
            raise Unverified("5-team", "the notice is for another team")
        links = links_of(offer.team, file.founder, file.chain)
        if team:
            known = self._followed_links(tx, team)
            if links != known and not _begun(links).is_newer_than(_begun(known)):
                raise Unverified("6-newer", "the notice is from an earlier term")
        leaders = [file.founder, *(link.leader for link in links)]
        notice = self._signed(file.notice.encode(), leaders)
        me = self._context.me.key
        if (notice.team, notice.member) != (offer.team, me):
            raise Unverified("5-team", "the notice is for somebody else")
        if notice.incarnation != offer.incarnation:
            raise Unverified("6-newer", "the notice is from before I was added again")
        return notice.on_removal

    def _followed_links(self, tx: Transaction, team: Team) -> tuple[TermLink, ...]:
        """The links of a team, without the terms in which I lead and nobody follows me yet."""
        links = links_of(team.id, team.founder, team.chain)
        known = state.followed.get(tx, team.id)
        count = len(links)
        while count and links[count - 1].leader == self._context.me.key:
            if known and known.link == team.chain[count - 1]:
                break
            count -= 1
        return links[:count]

    def _signed(self, envelope: bytes, leaders: Iterable[str]) -> RemovalNotice:
        for leader in dict.fromkeys(leaders):
            try:
                found = open_document(envelope, leader, PayloadType.REMOVAL, RemovalNotice)
            except Unverified as error:
                if error.code == "3-signature":
                    continue
                raise
            if found.writer != leader:
                raise Unverified("4-signer", "the notice names another writer than its signer")
            return found
        raise Unverified("3-signature", "no leader of the team signed the notice")

    def _acknowledge(self, offer: state.RemovalOffer) -> list[Written]:
        me = self._context.me.key
        if not self._context.paths.folder(offer.folder).is_dir():
            return []
        told = Acknowledgement(
            team=offer.team, writer=me, incarnation=offer.incarnation, last=offer.version
        )
        payload = told.model_dump_json().encode()
        envelope = self._context.key.sign(PayloadType.ACKNOWLEDGEMENT, payload)
        last = self._write(offer.folder, LAST, offer.last.encode()) if offer.last else []
        return [*last, *self._write(offer.folder, ACKNOWLEDGED, envelope)]

    def _write(self, folder: str, name: str, content: bytes) -> list[Written]:
        path = self._context.paths.folder(folder) / name
        if files.content(path) == content:
            return []
        write_private(path, content)
        return [Written(folder, name)]


def _begun(links: tuple[TermLink, ...]) -> RosterOrder:
    """The order of a roster in the term that these links begin; a notice has no version."""
    return RosterOrder(links=links, handover=False, version=0)


def my_removal_folders(teams: Iterable[Team], me: str) -> dict[str, Team]:
    """The teams, by the ID of the folder in which a notice of my removal would come."""
    found = {}
    for team in teams:
        mine = team.known(me)
        if mine:
            found[removal_folder(team.id, me, mine.incarnation)] = team
    return found
