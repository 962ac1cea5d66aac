"""Finds out what changed in teams, answers, pairings and invitations, for the event log.

`facts` describes the present state; `news` compares it with the state that was reported last. So
every change is reported once, whether a command, a peer's document or the clock made it. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.domain.value import Value


class Fact(Value, frozen=True, kw_only=True):
    """One thing that is so: `who` is `what`; `why` adds where and how."""

    what: str
    who: str
    why: str


@dataclass(frozen=True)
class Known:
    """The present state that facts are made of.

    `me` is my tag. `paused_until` is a text: None if nothing is paused, "" for a pause without an
    end.
    """

    me: str
    teams: tuple[Team, ...]
    answers: tuple[Subscription, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    contacts: tuple[Contact, ...] = ()
    invitations: tuple[Invitation, ...] = ()
    paused_until: str | None = None


# The words for changes between two answers. Any other change is reported with the new answer.
_CHANGES: Mapping[tuple[str, str], str] = {
    (Status.ACCEPTED, Status.ACCEPTED): "changed",
    (Status.PAUSED, Status.ACCEPTED): "resumed",
    (Status.DECLINED, Status.OFFERED): "reopened",
}
# The words for the end of a fact, by its kind. The end of a fact of another kind is not reported.
_ENDS: Mapping[str, str] = {
    "team": "left",
    "member": "removed",
    "project": "unshared",
    "halt": "resumed",
}


_EVERYTHING = "everything"


def facts(known: Known) -> dict[str, Fact]:
    """Every fact, by its key `kind/…`."""
    found = dict(_of_teams(known))
    found |= _of_answers(known)
    found |= _of_requests(known)
    if known.paused_until is not None:
        why = f"{_EVERYTHING}{known.paused_until and f', until {known.paused_until}'}"
        found["halt/"] = Fact(what="paused", who=known.me, why=why)
    return found


def news(before: Mapping[str, Fact], after: Mapping[str, Fact]) -> list[Fact]:
    """The changes to report: teams and members first, then their answers.

    A member's document lists no project that the member has not answered. So if a decline
    disappears, the member has reopened the project.
    """
    found = []
    for key in sorted({*before, *after}, key=_rank):
        kind = key.partition("/")[0]
        old, new = before.get(key), after.get(key)
        if new is None:
            if old and (kind in _ENDS or _is_reopened(key, old, after)):
                what = _ENDS.get(kind, "reopened")
                found.append(old.changed(what=what, why=_ended(key, old)))
        elif new != old and (old or new.what != Status.OFFERED):
            what = _CHANGES.get((old.what, new.what), new.what) if old else new.what
            found.append(new.changed(what=what))
    return found


def _is_reopened(key: str, old: Fact, after: Mapping[str, Fact]) -> bool:
    if not key.startswith("answer/") or old.what != Status.DECLINED:
        return False
    project = key.removeprefix("answer/").rpartition("/")[0]
    member = f"member/{project.partition('/')[0]}/{key.rpartition('/')[2]}"
    return f"project/{project}" in after and member in after


def _ended(key: str, old: Fact) -> str:
    """The `why` for the end of a fact; for a pause without the moment at which it was to end."""
    return _EVERYTHING if key.startswith("halt/") else old.why


def moment(when: datetime) -> str:
    """A moment (UTC) in the form that news use."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _rank(key: str) -> tuple[int, str]:
    kinds = ("halt", "contact", "pairing", "invitation", "team", "member", "project", "answer")
    return kinds.index(key.partition("/")[0]), key


def _of_teams(known: Known) -> Iterator[tuple[str, Fact]]:
    for team in known.teams:
        where = f"team {team.name}"
        leader = next((m.tag for m in team.members if m.key == team.leader), "?")
        mine = "founded" if leader == known.me else "joined"
        yield f"team/{team.id}", Fact(what=mine, who=known.me, why=where)
        for member in team.members:
            if member.tag != known.me:
                what = "joined" if member.active else "added"
                yield f"member/{team.id}/{member.key}", Fact(what=what, who=member.tag, why=where)
        for project in team.projects:
            why = f"{project.identity} with {team.name}"
            yield f"project/{team.id}/{project.identity}", Fact(what="shared", who=leader, why=why)


def _of_answers(known: Known) -> Iterator[tuple[str, Fact]]:
    teams = {team.id: team for team in known.teams}
    for answer in known.answers:
        team = teams.get(answer.team)
        member = team.member(answer.member) if team else None
        if team is None or member is None:
            continue
        why = f"{answer.project} in {team.name}"
        if answer.engaged:
            why += f": {answer.direction}"
            why += f", since {moment(answer.limits.since)}" if answer.limits.since else ""
        key = f"answer/{answer.team}/{answer.project}/{answer.member}"
        yield key, Fact(what=answer.status.value, who=member.tag, why=why)


def _of_requests(known: Known) -> Iterator[tuple[str, Fact]]:
    for pairing in known.pairings:
        why = "its first invitation within 24 hours is accepted"
        yield f"pairing/{pairing.key}", Fact(what="paired", who=pairing.tag, why=why)
    for contact in known.contacts:
        what, why = _request(contact.answer, "contact", "asks to connect")
        yield f"contact/{contact.device}", Fact(what=what, who=contact.name, why=why)
    ready: Iterable[Invitation] = (i for i in known.invitations if i.ready)
    for invitation in ready:
        where = f"invites you to team {invitation.team_name}"
        what, why = _request(invitation.answer, "invitation", where)
        yield f"invitation/{invitation.folder}", Fact(what=what, who=invitation.leader_tag, why=why)


def _request(answer: Answer, kind: str, why: str) -> tuple[str, str]:
    if answer is Answer.PENDING:
        return kind, f"{why}: karma-sync inbox"
    return f"{kind} {answer.value}", why
