"""Makes my own member document from my answers, and reads the answers in one."""

from collections.abc import Iterable

from karma_sync.domain import limits
from karma_sync.domain.team.member import How
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Status, Subscription, content_of
from karma_sync.domain.team.team import Team
from karma_sync.team.documents.models import Answered, MemberDocument, Proposal, Retracts


def member_document(
    team: Team, me: PairingCode, mine: Iterable[Subscription], version: int
) -> MemberDocument:
    """My own document in `team`: my addresses, my answers, and whether I left."""
    said = (s for s in mine if s.status is not Status.OFFERED or s.withdrawn or s.retracted)
    answered = sorted(said, key=lambda s: s.project)
    retracted = _retracted(answered)
    here = team.known(me.key)
    removal = here.removal if here else None
    return MemberDocument(
        team=team.id,
        writer=me.key,
        version=version,
        incarnation=here.incarnation if here else 0,
        addresses=me.addresses,
        subscriptions=tuple(
            Answered(
                project=s.project,
                status=s.status,
                direction=s.direction,
                content=s.content,
                incarnation=s.incarnation,
                offer=s.offer,
                withdrawn=s.withdrawn,
                retracted=retracted[s.project],
            )
            for s in answered
        ),
        proposals=tuple(
            Proposal(project=p) for p in (here.proposals if here else ()) if not team.project(p)
        ),
        machines=here.machines if here else (),
        retracts=tuple(
            Retracts(member=k, incarnation=n) for k, n in (here.retracts if here else ())
        ),
        left=removal is not None and removal.how is How.LEFT,
        retracted=removal is not None and removal.retracted,
    )


def answers_of(document: MemberDocument) -> list[Subscription]:
    """The answers in a verified document; they replace those that we knew of its writer."""
    return [
        Subscription(
            team=document.team,
            project=a.project,
            member=document.writer,
            status=a.status,
            direction=a.direction,
            content=content_of(a.content),
            incarnation=a.incarnation,
            offer=a.offer,
            withdrawn=a.withdrawn,
            retracted=a.retracted,
        )
        for a in document.subscriptions
    ]


def _retracted(answered: Iterable[Subscription]) -> dict[str, tuple[str, ...]]:
    """The items that a document names as taken back, by project: as many as it has room for."""
    room = limits.RETRACTED
    found = {}
    for each in answered:
        found[each.project] = each.retracted[-room:] if room else ()
        room -= len(found[each.project])
    return found
