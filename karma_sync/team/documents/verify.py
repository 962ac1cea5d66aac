"""Bytes in, verified documents out: no disk, no clock.

A metadata folder can be written by every member, so no byte in it is believed because of where
it lies. A document is adopted only if, in this order, the key that its place names signed it as
this kind of document (3), that key may write it (4), it speaks of this team (5), and it is newer
than the newest accepted (6). The numbers are those of the verification of items.
"""

from typing import TypeVar

from karma_sync.domain.ids import team_id
from karma_sync.domain.session.manifest import Verified
from karma_sync.domain.team.team import Team
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, opened
from karma_sync.team.documents.models import MemberDocument, Roster
from karma_sync.team.documents.receipt import Receipt

S = TypeVar("S", MemberDocument, Receipt)


def verify_roster(raw: bytes, writer: str, newest: Roster | None) -> Verified[Roster]:
    """A roster that `writer` (hex key, from its place) may sign, newer than `newest`.

    Raises:
        Unverified: with the number of the step that failed.
    """
    roster = opened(raw, writer, PayloadType.ROSTER, Roster)
    # the id commits to the founder, so nobody else can sign a first roster for it
    if team_id(roster.founder, roster.name, roster.nonce) != roster.team:
        raise Unverified("5-team", f"the team id is not that of {roster.name} and its founder")
    if writer != roster.founder or roster.writer != writer:
        raise Unverified("4-signer", f"key {writer[:8]} does not lead {roster.name}")
    _check_unique(roster)
    if newest is not None:
        if roster.team != newest.team:
            raise Unverified("5-team", f"it is about another team, {roster.name}")
        if roster.order <= newest.order:
            raise Unverified("6-newer", f"roster {roster.order} must be above {newest.order}")
    return Verified(roster)


def _check_unique(roster: Roster) -> None:
    for what, values in (
        ("tag", [m.tag for m in roster.members]),
        ("key", [m.key for m in roster.members]),
        ("device", [m.device for m in roster.members]),
        ("project", [name for p in roster.projects for name in (p.identity, *p.aliases)]),
    ):
        if len(set(values)) != len(values):
            raise Unverified("4-unique", f"the roster lists a {what} twice")
    if roster.writer not in {m.key for m in roster.members}:
        raise Unverified("4-signer", "the roster does not list its own leader")


def verify_member(
    raw: bytes, writer: str, team: Team, newest_version: int
) -> Verified[MemberDocument]:
    """A member's own document, newer than the newest accepted.

    Raises:
        Unverified: with the number of the step that failed.
    """
    document = _of_member(raw, writer, team, newest_version, MemberDocument)
    projects = [s.project for s in document.subscriptions]
    if len(set(projects)) != len(projects):
        raise Unverified("4-unique", "it answers a project twice")
    return Verified(document)


def verify_receipt(raw: bytes, writer: str, team: Team, newest_version: int) -> Verified[Receipt]:
    """A member's receipt, newer than the newest accepted.

    Raises:
        Unverified: with the number of the step that failed.
    """
    return Verified(_of_member(raw, writer, team, newest_version, Receipt))


def _of_member(raw: bytes, writer: str, team: Team, newest_version: int, model: type[S]) -> S:
    """What a member signs of itself, in the order of the steps."""
    if team.member(writer) is None:
        raise Unverified("4-signer", f"{team.name} has no member with key {writer[:8]}")
    payload_type = PayloadType.MEMBER if model is MemberDocument else PayloadType.RECEIPT
    document = opened(raw, writer, payload_type, model)
    if document.writer != writer:
        raise Unverified("4-signer", "it names another writer than its signer")
    if document.team != team.id:
        raise Unverified("5-team", "it is about another team")
    if document.version <= newest_version:
        raise Unverified("6-newer", f"version {document.version} must be above {newest_version}")
    return document
