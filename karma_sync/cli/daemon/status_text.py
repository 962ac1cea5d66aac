"""The status as lines for people; the most important lines first, as a screen cuts the end off."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from karma_sync.cli.notices import DOWN, STARTING
from karma_sync.cli.output import ago, record_types, size, span
from karma_sync.cli.screen import Line, Tone, columns
from karma_sync.domain.ids import short_ids
from karma_sync.domain.text import printable
from karma_sync.settings import Keep

if TYPE_CHECKING:
    from karma_sync.daemon.lock import Running
    from karma_sync.domain.session.fork import SessionFork
    from karma_sync.domain.team.pairing_code import PairingCode
    from karma_sync.sending.ledger.recalls import CalledBack
    from karma_sync.service.archive import ArchiveStatus
    from karma_sync.service.status_model import (
        Peer,
        ProjectStatus,
        ReceiverStatus,
        Renames,
        StatusReport,
        TransferStatus,
    )

_EXAMPLES = 3


def status_lines(me: "PairingCode", found: "StatusReport", daemon: "Running | None") -> list[Line]:
    """Return the whole status; faults come first."""
    lines = [Line(f"{me.tag}, key {me.fingerprint}", Tone.TITLE), _daemon_line(found, daemon)]
    if found.paused:
        until = f" until {found.paused.until:%Y-%m-%d %H:%M} UTC" if found.paused.until else ""
        lines.append(Line(f"all sync is paused{until}", Tone.WAITS))
        lines += [Line(f"  {found.paused.why}", Tone.STUCK)] if found.paused.why else []
    lines += [_fault_line(each, why, found) for each, why in sorted(found.faults.items())]
    lines += _error_lines(found)
    lines += [_silent_line(team, days) for team, days in sorted(found.silent.items())]
    if daemon and found.packaging:
        lines.append(_packaging_line(found.packaging))
    step = _next(me, found, daemon is not None)
    lines += [Line(f"Next: {step}")] if step else []
    lines += _waiting_lines(found)
    lines += _peer_lines(found)
    lines += _team_lines(found)
    lines += _archive_lines(found.archive) if found.archive else []
    lines += [orphan_line(each) for each in found.orphans]
    for project in sorted(found.projects, key=lambda project: not project.needs_attention):
        lines += _project_lines(project, found, daemon is not None)
        lines += [_called_back(each, found) for each in project.called_back]
    return [Line(printable(" ".join(line.text.split("\n"))), line.tone) for line in lines]


def _archive_lines(archive: "ArchiveStatus") -> list[Line]:
    """Return the content of the archive, and the projects in it that the agent purged."""
    held = archive.holdings
    if archive.settings.keep is Keep.OFF and not held.sessions:
        return []
    kept = f", {held.kept} of them deleted by the agent" if held.kept else ""
    what = f"{_sessions(held.sessions)}, {size(held.stored)} on disk{kept}"
    off = "off, and still has " if archive.settings.keep is Keep.OFF else ""
    lines = [Line(f"archive: {off}{what}", Tone.SECONDARY)]
    for each in held.purged:
        lines.append(
            Line(
                f"  the agent purged {each.directory}: forget {_sessions(each.sessions)} with"
                f" karma-sync session purge --directory {shlex.quote(each.directory)}",
                Tone.WAITS,
            )
        )
    return lines


def orphan_line(fork: "SessionFork") -> Line:
    """Return the fate of a fork's parent, and the command that deletes the fork."""
    return Line(
        f"{fork.author} withdrew the session that {fork.session} goes on from: delete the fork with"
        f" karma-sync session fork --delete {fork.session}",
        Tone.WAITS,
    )


def _daemon_line(found: "StatusReport", daemon: "Running | None") -> Line:
    if daemon:
        since = f"up since {daemon.since:%Y-%m-%d %H:%M} UTC"
        if not daemon.syncthing:
            return Line(f"{since}, without Syncthing: nothing is shared", Tone.WAITS)
        return Line(f"{since}, Syncthing {daemon.syncthing}", Tone.SECONDARY)
    return Line(STARTING, Tone.WAITS) if found.starting else Line(DOWN, Tone.STUCK)


def _fault_line(who: str, why: str, found: "StatusReport") -> Line:
    error = found.last_error
    is_last = error is not None and (error.subject, error.payload) == (who, why)
    when = f", last error {ago(error.at)}" if error and is_last else ""
    return Line(f"fault{when}: {who}: {why}", Tone.STUCK)


def _error_lines(found: "StatusReport") -> list[Line]:
    """Return the last error, unless a fault shows it already."""
    error = found.last_error
    if error is None or found.faults.get(error.subject) == error.payload:
        return []
    over = ", over since" if found.last_error_over else ""
    tone = Tone.SECONDARY if over else Tone.STUCK
    told = f"{error.type}: {error.subject}: {error.payload}"
    return [Line(f"last error {ago(error.at)}{over}: {told}", tone)]


def _silent_line(team: str, days: int | None) -> Line:
    if days is None:
        return Line(f"no member of team {team} has answered yet", Tone.WAITS)
    since = f"{days} day{'s' if days > 1 else ''}"
    return Line(f"no member of team {team} has answered for {since}", Tone.WAITS)


def _packaging_line(left: "TransferStatus") -> Line:
    wait = "waits" if left.items_left == 1 else "wait"
    return Line(f"{_sessions(left.items_left)} {wait} to be packaged: {_about(left)}", Tone.WAITS)


def _waiting_lines(found: "StatusReport") -> list[Line]:
    """Return the requests that wait for an answer, and the members whose invitation is awaited."""
    lines = [f"{each.name} wants to connect" for each in found.inbox.contacts]
    lines += [f"{each.tag} asks to join with a code of yours" for each in found.inbox.asking]
    lines += [
        f"{member.tag} proposes {project} for {team.name}: karma-sync inbox"
        for team, member, project in found.proposed
    ]
    lines += [
        f"{each.member.tag} is said to be another machine of yours" for each in found.inbox.machines
    ]
    lines += [
        f"{each.leader_tag} invites you to {each.team_name}"
        + (" as a guest" if each.limited_to else "")
        for each in found.inbox.invitations
    ]
    lines += [
        f"paired with {each.tag}: its first invitation is accepted, until"
        f" {each.until:%Y-%m-%d %H:%M} UTC"
        for each in found.inbox.paired
    ]
    lines += [f"no invitation from {each.name} has arrived yet" for each in found.inbox.awaited]
    lines += [f"you were removed from {name} {ago(at)}" for name, at in found.removed]
    lines += [
        f"{each.by} took over {each.team} {ago(each.at)}, and leads it" for each in found.taken_over
    ]
    return [Line(line, Tone.WAITS) for line in lines]


def _team_lines(found: "StatusReport") -> list[Line]:
    """Return the teams that have no other member, or no project."""
    lines = []
    for team in found.teams:
        if len(team.members) == 1:
            lines.append(f"team {team.name} has no other member yet")
        if not team.projects:
            lines.append(f"team {team.name} shares no project yet")
    return [Line(line, Tone.WAITS) for line in lines]


def _peer_lines(found: "StatusReport") -> list[Line]:
    if not found.teams:
        return [Line("in no team", Tone.WAITS)]
    if not found.peers:
        return []
    rows = [
        (p.member.tag, _state(p), "now" if p.connected else ago(p.last_seen)) for p in found.peers
    ]
    header, *lines = columns(("PEER", "", "LAST SEEN"), rows)
    tones = [Tone.CONFIRMED if peer.connected else Tone.SECONDARY for peer in found.peers]
    drawn = [Line(line, tone) for line, tone in zip(lines, tones, strict=True)]
    return [Line(""), Line(header, Tone.TITLE), *drawn]


def _state(peer: "Peer") -> str:
    if not peer.member.active:
        return "has not joined yet"
    return "connected" if peer.connected else "away"


def _project_lines(project: "ProjectStatus", found: "StatusReport", is_up: bool) -> list[Line]:
    mine = project.mine
    way = f", {mine.direction}" if mine.engaged else ""
    where = f"{project.team.name}, dissolved" if project.team.is_dissolved else project.team.name
    title = f"{mine.project} in {where}: {mine.status}{way}"
    lines = [Line(""), Line(title, Tone.TITLE)]
    if mine.sends:
        lines += _sent_lines(project, is_up)
    if project.received:
        each = [f"{n} by {member}" for member, n in sorted(project.received.items())]
        lines.append(Line(f"  received {', '.join(each)}"))
    if is_up:
        lines += [_arriving_line(tag, t, found) for tag, t in sorted(project.arriving.items())]
    if project.waiting:
        waits = f"  waiting: {_sessions(project.waiting)}, for the rest of their content"
        lines.append(Line(waits, Tone.WAITS))
    lines += _renamed_lines(project.renames)
    lines += _unknown_lines(project.unknown)
    lines += _grouped("withheld", _short(project.withheld), Tone.SECONDARY)
    lines += _grouped("resting", _short(project.resting), Tone.WAITS)
    lines += _grouped("did not leave", _short(project.failed), Tone.STUCK)
    for sender in sorted(set(project.senders.values())):
        theirs = {i: why for i, why in project.refused.items() if project.senders[i] == sender}
        lines += _grouped(f"refused from {sender}", _short(theirs), Tone.STUCK)
    return lines


def _sent_lines(project: "ProjectStatus", is_up: bool) -> list[Line]:
    lines = [Line(f"  sent {_sessions(project.sent)}{_goes_to(project)}")]
    if project.recovering:
        why = f"  gets its sessions back from the other members first: {project.recovering}"
        lines.append(Line(why, Tone.WAITS))
    return lines + (_receiver_lines(project, is_up) if project.sent else [])


def _unknown_lines(unknown: "Mapping[str, tuple[int, int]]") -> list[Line]:
    if not unknown:
        return []
    text = f"  records of unknown types stay here: {record_types(unknown)}"
    return [Line(printable(text), Tone.WAITS)]


def _renamed_lines(renames: "Renames") -> list[Line]:
    """Return the directories from which nothing leaves, because their remote was renamed."""
    lines = []
    for name, paths in sorted(renames.moved.items()):
        lines.append(f"  the remote of {_first(paths)} is {name} now: nothing leaves from there")
        lines.append(f"    if it is the same project: karma-sync project alias {name}")
    for name, paths in sorted(renames.told.items()):
        lines.append(f"  the team also calls it {name}; nothing leaves from {_first(paths)}")
        lines.append(f"    until you agree: karma-sync project alias {name}")
    return [Line(line, Tone.WAITS) for line in lines]


def _first(paths: list[str]) -> str:
    first = min(paths, key=lambda path: (len(path), path))
    return f"{first} and {len(paths) - 1} more" if len(paths) > 1 else first


def _goes_to(project: "ProjectStatus") -> str:
    """Return the receivers, while there is none or nothing to confirm."""
    if not project.receivers:
        return "; no member receives them yet" if project.sent else ""
    if project.sent:
        return ""
    return f"; the receivers are {', '.join(r.tag for r in project.receivers)}"


def _receiver_lines(project: "ProjectStatus", is_up: bool) -> list[Line]:
    """Return one line for the members that confirmed all, as most have, and one for each other."""
    whole = [receiver.tag for receiver in project.receivers if receiver.whole]
    have = "has" if len(whole) == 1 else "have"
    all_ = f"    {', '.join(whole)} {have} confirmed all"
    lines = [Line(all_, Tone.CONFIRMED)] if whole else []
    others = [receiver for receiver in project.receivers if not receiver.whole]
    return lines + [_receiver_line(receiver, project.sent, is_up) for receiver in others]


def _receiver_line(receiver: "ReceiverStatus", sent: int, is_up: bool) -> Line:
    line = f"    {receiver.tag} has confirmed {receiver.items} of {sent}"
    if receiver.paused:
        line = f"{line}; it has paused the project"
    elif is_up and not receiver.peer.connected:
        line = f"{line}; last seen {ago(receiver.peer.last_seen)}"
    elif is_up and receiver.transfer:
        line = f"{line}; {_about(receiver.transfer)}"
    return Line(line, Tone.WAITS)


def _arriving_line(sender: str, transfer: "TransferStatus", found: "StatusReport") -> Line:
    """Return how much is on its way; no time is known while its author is away."""
    seen = {p.member.tag: p.last_seen for p in found.peers if not p.connected}
    about = _about(transfer)
    if sender in seen:
        about = f"about {size(transfer.bytes_left)} left; last seen {ago(seen[sender])}"
    return Line(f"  from {sender}: {about}", Tone.WAITS)


def _about(transfer: "TransferStatus") -> str:
    left = f"about {size(transfer.bytes_left)} left"
    if transfer.seconds_left is None:
        return left
    return f"{left}, about {span(transfer.seconds_left)}"


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _called_back(called: "CalledBack", found: "StatusReport") -> Line:
    """Return a line such as: retracted 1 session: 2 of 3 confirmed, the others last seen: …"""
    everybody = len(called.confirmed) + len(called.waiting)
    line = f"  {called.what} {_sessions(called.sessions)}:"
    if called.what == "redacted anew":  # each of them, whether it held a new cut or not
        line = f"  packaged again with the redaction of now, {_sessions(called.sessions)}:"
    confirmed = f"{len(called.confirmed)} of {everybody} confirmed"
    line += f" {confirmed if everybody else 'no member receives from you now'}"
    if called.left:
        line += f", {called.left} still to be packaged again here"
    seen = {p.member.tag: "now" if p.connected else ago(p.last_seen) for p in found.peers}
    others = ", ".join(f"{tag} {seen.get(tag, 'never')}" for tag in called.waiting)
    waits = bool(others or called.left)
    line = f"{line}, the others last seen: {others}" if others else line
    return Line(line, Tone.WAITS if waits else Tone.CONFIRMED)


def _short(reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons by the beginnings of session ids."""
    cut = short_ids(reasons)
    return {cut[session]: why for session, why in reasons.items()}


def _grouped(what: str, reasons: Mapping[str, str], tone: Tone) -> list[Line]:
    """Return one line for each reason, with a few of the ids."""
    by_reason: dict[str, list[str]] = {}
    for each, why in sorted(reasons.items()):
        by_reason.setdefault(why, []).append(each)
    lines = []
    for why, found in sorted(by_reason.items()):
        which = found[0]
        if len(found) > 1:
            more = ", …" if len(found) > _EXAMPLES else ""
            which = f"{len(found)}: {', '.join(found[:_EXAMPLES])}{more}"
        lines.append(Line(f"  {what} {which}: {why}", tone))
    return lines


def _next(me: "PairingCode", found: "StatusReport", is_up: bool) -> str:
    from karma_sync.service.next_step import Situation, next_step

    if not is_up:
        return "" if found.starting else "karma-sync up -d"
    answers = [project.mine for project in found.projects]
    is_paused = found.paused is not None
    return next_step(
        Situation(me.key, found.inbox, found.teams, answers, is_paused, found.personal)
    )
