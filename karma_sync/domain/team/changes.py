"""Finds out what changed in teams, answers, pairings and invitations, for the event log.

`facts` describes the present state; `news` compares it with the state that was reported last. So
every change is reported once, whether a command, a peer's document or the clock made it. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from karma_sync.domain.session.selection import Unshared, Whose
from karma_sync.domain.team.invitation import Answer, Contact, Invitation, Pairing
from karma_sync.domain.team.member import How, as_guest
from karma_sync.domain.team.subscription import Status, Subscription
from karma_sync.domain.team.team import Team
from karma_sync.domain.value import Value


class Fact(Value, frozen=True, kw_only=True):
    """One thing that is so: `who` is `what`; `why` adds where and how.

    `what` is the value of an `EventType`, or a word that is no news. `team` (its name), `project`
    and `actor` (a tag) are what the event can be found by.
    """

    what: str
    who: str
    why: str
    team: str = ""
    project: str = ""
    actor: str = ""


@dataclass(frozen=True)
class Known:
    """The present state that facts are made of.

    `me` is my tag. `former` are the teams in which I am no longer: id, name, how. `muted` are key
    and tag of the members whose sessions I do not read. `unshared` is what I took back for good.
    `paused_until` is a text: None if nothing is paused, "" for a pause without an end.
    """

    me: str
    teams: tuple[Team, ...]
    answers: tuple[Subscription, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    contacts: tuple[Contact, ...] = ()
    invitations: tuple[Invitation, ...] = ()
    paused_until: str | None = None
    former: tuple[tuple[str, str, str], ...] = ()
    muted: tuple[tuple[str, str], ...] = ()
    unshared: tuple[Unshared, ...] = ()


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
    "pairing": "unpaired",
    "unshared session": "session shared",
    "unshared observation": "observation shared",
    "machine": "machine removed",
    "mute": "unmuted",
}


_EVERYTHING = "everything"


def facts(known: Known) -> dict[str, Fact]:
    """Every fact, by its key `kind/…`."""
    found = dict(_of_teams(known))
    found |= _of_answers(known)
    found |= _of_requests(known)
    for key, tag in known.muted:
        found[f"mute/{key}"] = Fact(what="muted", who=tag, why="what it sends is not read here")
    found |= _of_unshared(known)
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
        if kind in _ONLY_AS_CHANGES and not _is_change(key, old, new, before):
            continue
        if new is None and _is_said_by_another(key, after):
            continue
        if old and new and _is_restated(kind, old, new):
            found += _renamed(key, old, new, after)
        elif new is None:
            if old and (kind in _ENDS or _is_reopened(key, old, after)):
                what = _ENDS.get(kind, "reopened")
                found.append(old.changed(what=what, why=_ended(key, old)))
        elif new != old and (old or new.what != Status.OFFERED):
            what = _CHANGES.get((old.what, new.what), new.what) if old else new.what
            found.append(new.changed(what=what))
    return found


# Facts whose `who` is the present leader.
_DONE_BY_LEADER = {"dissolved", "project"}
# Facts that are no news when a team is seen first.
_ONLY_AS_CHANGES = {"leader", "gone", "former"}
# The kinds of facts whose end is told by a fact of another kind, if there is one.
_SAID_BY: Mapping[str, str] = {"team": "former/", "member": "gone/"}
# The kinds of facts about members and projects of a team: they do not end when I leave it.
_IN_A_TEAM = {"member", "machine", "project"}


def _is_said_by_another(key: str, after: Mapping[str, Fact]) -> bool:
    """Whether another fact tells how this one ended, or only that I know of it no longer."""
    kind, _, rest = key.partition("/")
    if kind in _IN_A_TEAM and f"team/{rest.partition('/')[0]}" not in after:
        return True
    return f"{_SAID_BY.get(kind, '')}{rest}" in after


def _is_change(key: str, old: Fact | None, new: Fact | None, before: Mapping[str, Fact]) -> bool:
    """Whether this fact is a change of something that was known before."""
    kind, _, rest = key.partition("/")
    if new is None:
        return False
    if kind == "leader":
        return old is not None and old.who != new.who
    known = f"{'member' if kind == 'gone' else 'team'}/{rest}"
    return old is None and known in before


def _is_restated(kind: str, old: Fact, new: Fact) -> bool:
    """Whether only the name of the team differs, or who leads it.

    The new leader did not repeat what the earlier leader did.
    """
    by = {"who": new.who} if kind in _DONE_BY_LEADER else {}
    why = old.why.replace(old.team, new.team)
    return old.changed(team=new.team, why=why, actor=new.actor, **by) == new


def _renamed(key: str, old: Fact, new: Fact, after: Mapping[str, Fact]) -> list[Fact]:
    """The news that a team has another name, which only its leader can give it."""
    kind, _, team = key.partition("/")
    if kind != "team" or old.team == new.team:
        return []
    leader = after[f"leader/{team}"].who
    return [new.changed(what="renamed", who=leader, actor=leader, why=f"team {new.team}")]


def _is_reopened(key: str, old: Fact, after: Mapping[str, Fact]) -> bool:
    if not key.startswith("answer/") or old.what != Status.DECLINED:
        return False
    project = key.removeprefix("answer/").rpartition("/")[0]
    member = f"member/{project.partition('/')[0]}/{key.rpartition('/')[2]}"
    return f"project/{project}" in after and member in after


def _ended(key: str, old: Fact) -> str:
    """The `why` for the end of a fact; for a pause without the moment at which it was to end."""
    kind = key.partition("/")[0]
    return {"halt": _EVERYTHING, "pairing": "it is in no team with you any more"}.get(kind, old.why)


def moment(when: datetime) -> str:
    """A moment (UTC) in the form that news use."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _rank(key: str) -> tuple[int, str]:
    kinds = (
        *(
            "halt",
            "mute",
            "unshared session",
            "unshared observation",
            "contact",
            "pairing",
            "invitation",
            "team",
            "former",
            "dissolved",
            "leader",
        ),
        *("member", "gone", "machine", "project", "proposal", "answer"),
    )
    return kinds.index(key.partition("/")[0]), key


def _of_teams(known: Known) -> Iterator[tuple[str, Fact]]:
    for team in known.teams:
        where, name = f"team {team.name}", team.name
        founder = team.known(team.founder)
        leader = next((m.tag for m in team.members if m.key == team.leader), "?")
        mine = "founded" if founder and founder.tag == known.me else "joined"
        here = next((m for m in team.everybody if m.tag == known.me), None)
        why = f"{where}{as_guest(here.limited_to) if here else ''}"
        yield f"team/{team.id}", Fact(what=mine, who=known.me, why=why, team=name)
        passed = "leadership taken over" if team.rank else "leadership transferred"
        yield (
            f"leader/{team.id}",
            Fact(what=passed, who=leader, why=where, team=name, actor=leader),
        )
        if team.is_dissolved:
            yield (
                f"dissolved/{team.id}",
                Fact(what="dissolved", who=leader, why=where, team=name, actor=leader),
            )
        yield from _of_members(known, team, leader)
        for project in team.projects:
            why = f"{project.identity} with {name}"
            yield (
                f"project/{team.id}/{project.identity}",
                _of_project(Fact(what="shared", who=leader, why=why, team=name), project.identity),
            )
    for team_id, name, how in known.former:
        fact = Fact(what=how, who=known.me, why=f"team {name}", team=name)
        yield f"former/{team_id}", fact


def _of_members(known: Known, team: Team, leader: str) -> Iterator[tuple[str, Fact]]:
    where, name = f"team {team.name}", team.name
    for member in team.everybody:
        if member.tag != known.me:
            what = "joined" if member.active else "added"
            actor = member.tag if member.active else leader
            yield (
                f"member/{team.id}/{member.key}",
                Fact(
                    what=what,
                    who=member.tag,
                    why=f"{where}{as_guest(member.limited_to)}",
                    team=name,
                    actor=actor,
                ),
            )
        for project in member.proposals:
            if not team.project(project):
                why = f"{project} for {name}"
                fact = Fact(what="proposed", who=member.tag, why=why, team=name)
                yield f"proposal/{team.id}/{member.key}/{project}", _of_project(fact, project)
        for other in team.machines_of(member.key) if member.machines else ():
            if member.tag < other.tag:
                why = f"another machine of {member.tag}, in {where}"
                fact = Fact(what="machine added", who=other.tag, why=why, team=name)
                yield f"machine/{team.id}/{member.key}/{other.key}", fact
    yield from _of_removed(known, team, leader)


def _of_removed(known: Known, team: Team, leader: str) -> Iterator[tuple[str, Fact]]:
    where, name = f"team {team.name}", team.name
    for gone in team.removed:
        if gone.removal and gone.tag != known.me:
            left = gone.removal.how is How.LEFT
            actor = gone.tag if left else leader
            yield (
                f"gone/{team.id}/{gone.key}",
                Fact(
                    what="left" if left else "removed",
                    who=gone.tag,
                    why=where,
                    team=name,
                    actor=actor,
                ),
            )


def _of_project(fact: Fact, project: str) -> Fact:
    return fact.changed(project=project, actor=fact.who)


def _of_answers(known: Known) -> Iterator[tuple[str, Fact]]:
    teams = {team.id: team for team in known.teams}
    for answer in known.answers:
        team = teams.get(answer.team)
        member = team.anybody(answer.member) if team else None
        if team is None or member is None:
            continue
        why = f"{answer.project} in {team.name}"
        if answer.engaged:
            why += f": {answer.direction}"
            why += f", since {moment(answer.limits.since)}" if answer.limits.since else ""
        key = f"answer/{answer.team}/{answer.project}/{answer.member}"
        fact = Fact(what=answer.status.value, who=member.tag, why=why, team=team.name)
        yield key, _of_project(fact, answer.project)


def _of_unshared(known: Known) -> Iterator[tuple[str, Fact]]:
    for each in known.unshared:
        if each.lifted:
            continue
        kind = "observation" if each.whose is Whose.OBSERVATION else "session"
        why = f"all of {each.name}" if each.whose is Whose.AGENT else each.name
        fact = Fact(what=f"{kind} unshared", who=known.me, why=why, actor=known.me)
        yield f"unshared {kind}/{each.whose}/{each.name}", fact


def _of_requests(known: Known) -> Iterator[tuple[str, Fact]]:
    for pairing in known.pairings:
        why = "its first invitation within 24 hours is accepted"
        yield f"pairing/{pairing.key}", Fact(what="paired", who=pairing.tag, why=why)
    members = {member.device for team in known.teams for member in team.everybody}
    for contact in known.contacts:
        if contact.answer is Answer.PENDING and contact.device in members:
            continue  # it asked just before its leader added it
        what, why = _request(contact.answer, "contact", "asks to connect")
        yield f"contact/{contact.device}", Fact(what=what, who=contact.name, why=why)
    ready: Iterable[Invitation] = (i for i in known.invitations if i.ready)
    for invitation in ready:
        where = f"invites you to team {invitation.team_name}{as_guest(invitation.limited_to)}"
        what, why = _request(invitation.answer, "invitation", where)
        yield f"invitation/{invitation.folder}", Fact(what=what, who=invitation.leader_tag, why=why)


def _request(answer: Answer, kind: str, why: str) -> tuple[str, str]:
    if answer is Answer.PENDING:
        return kind, f"{why}: karma-sync inbox"
    return f"{kind} {answer.value}", why
