"""Verifies signed documents: takes bytes, returns verified models; uses no disk and no clock.

Every member can write into a metadata folder, so the place of a file proves nothing. A document is
accepted only if these hold, in this order: the key that its place names signed it as this kind of
document (3), that key may write it (4), it belongs to this team (5), and it is newer than the
newest accepted one (6). The numbers are those of the steps that verify items (docs/format.md).
"""

from typing import TypeVar

from karma_sync.domain.ids import team_id
from karma_sync.domain.team.member import How
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.succession import RosterOrder
from karma_sync.domain.team.team import Team
from karma_sync.domain.value import Verified
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, open_document
from karma_sync.team.documents.models import MemberDocument, Roster, RosterMember
from karma_sync.team.documents.receipt import Receipt
from karma_sync.team.documents.term import order_of

S = TypeVar("S", MemberDocument, Receipt)


def verify_roster(
    raw: bytes, writer: str, newest: RosterOrder | None, me: str = ""
) -> Verified[Roster]:
    """Verify a roster signed by `writer` (hex key, from its place), newer than `newest`.

    The caller compares the team. `me` is my own key: see `RosterOrder.is_newer_than`.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    roster = open_document(raw, writer, PayloadType.ROSTER, Roster)
    # the team ID is a hash over the founder: nobody else can sign a first roster for it
    if team_id(roster.founder, roster.founded_as, roster.nonce) != roster.team:
        raise Unverified("5-team", f"the team id is not that of {roster.name} and its founder")
    if roster.writer != writer:
        raise Unverified("4-signer", f"key {writer[:8]} does not lead {roster.name}")
    order = order_of(roster)
    _check_unique(roster, order.links[-1].leader if order.links else roster.founder)
    if newest is not None and not order.is_newer_than(newest, me):
        raise Unverified("6-newer", f"roster {order.title} must be above {newest.title}")
    return Verified(roster)


def _check_unique(roster: Roster, leader: str) -> None:
    everybody: list[RosterMember] = [*roster.members, *roster.guests]
    projects = (*roster.projects, *roster.unshared)
    for what, values in (
        ("tag", [m.tag for m in everybody]),
        ("key", [m.key for m in everybody] + [m.key for m in roster.removed]),
        ("device", [m.device for m in everybody]),
        ("project", [name for p in roster.projects for name in (p.identity, *p.aliases)]),
        ("project", [p.identity for p in projects]),
    ):
        if len(set(values)) != len(values):
            raise Unverified("4-unique", f"the roster lists a {what} twice")
    if not {roster.writer, leader} <= {m.key for m in roster.members}:
        raise Unverified("4-signer", "the roster does not list its own leader")


def verify_member(
    raw: bytes, writer: str, team: Team, newest_version: int
) -> Verified[MemberDocument]:
    """Verify a member's own document, newer than the newest accepted version.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    document = _of_member(raw, writer, team, newest_version, MemberDocument)
    member = team.anybody(writer)
    if member and document.incarnation != member.incarnation:
        raise Unverified("6-newer", "the document is from before the member was removed")
    projects = [s.project for s in document.subscriptions]
    if len(set(projects)) != len(projects):
        raise Unverified("4-unique", "the document answers a project twice")
    return Verified(document)


def verify_last(
    raw: bytes, writer: str, team: Team, newest_version: int
) -> Verified[MemberDocument]:
    """Verify the last document of a member that left or was removed.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    gone = team.former(writer)
    document = _signed_by_itself(raw, writer, team, newest_version, MemberDocument)
    if gone is None or document.incarnation != gone.incarnation:
        raise Unverified("6-newer", "the document is from another time than the removal")
    return Verified(document)


def verify_receipt(raw: bytes, writer: str, team: Team, newest_version: int) -> Verified[Receipt]:
    """Verify a member's receipt, newer than the newest accepted version.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    return Verified(_of_member(raw, writer, team, newest_version, Receipt))


def _of_member(raw: bytes, writer: str, team: Team, newest_version: int, model: type[S]) -> S:
    """Verify a document that a member signs about itself, in the order of the steps."""
    if team.anybody(writer) is None:
        raise Unverified("4-signer", f"{team.name} has no member with key {writer[:8]}")
    return _signed_by_itself(raw, writer, team, newest_version, model)


def _signed_by_itself(
    raw: bytes, writer: str, team: Team, newest_version: int, model: type[S]
) -> S:
    payload_type = PayloadType.MEMBER if model is MemberDocument else PayloadType.RECEIPT
    document = open_document(raw, writer, payload_type, model)
    if document.writer != writer:
        raise Unverified("4-signer", "the document names another writer than its signer")
    if document.team != team.id:
        raise Unverified("5-team", "the document is for another team")
    if document.version <= newest_version:
        raise Unverified("6-newer", f"version {document.version} must be above {newest_version}")
    return document


def is_listed(roster: Roster, me: PairingCode) -> bool:
    """Whether a roster lists me, with exactly my tag, device and key, as a member or guest."""
    mine = (me.tag, me.device, me.key)
    return any((m.tag, m.device, m.key) == mine for m in (*roster.members, *roster.guests))


def incarnation_in(roster: Roster, key: str) -> int:
    """The incarnation of a member or guest whom a roster lists."""
    return max(m.incarnation for m in (*roster.members, *roster.guests) if m.key == key)


def is_removed(roster: Roster, me: PairingCode) -> bool:
    """Whether a roster lists my key as removed."""
    return any(m.key == me.key for m in roster.removed)


def is_told(roster: Roster, me: PairingCode) -> bool:
    """Whether the others tell me of the removal that a roster lists: the leader removed me."""
    return any(m.key == me.key and m.how is How.REMOVED and not m.stolen for m in roster.removed)
