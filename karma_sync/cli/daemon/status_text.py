"""How things stand as lines for people: what is usual in few words, what is not with its reason."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from karma_sync.cli.output import ago, columns, size, span
from karma_sync.domain.text import printable

if TYPE_CHECKING:
    from karma_sync.daemon.lock import Running
    from karma_sync.domain.team.pairing_code import PairingCode
    from karma_sync.sending.ledger.recalls import CalledBack
    from karma_sync.service.status_model import (
        Peer,
        ProjectStatus,
        ReceiverStatus,
        Renames,
        StatusReport,
        TransferStatus,
    )
from karma_sync.cli.notices import DOWN, STARTING

_EXAMPLES = 3
_ID_CHARS = 8


def status_lines(me: "PairingCode", found: "StatusReport", daemon: "Running | None") -> list[str]:
    """All of it; the most important first, as a terminal may cut the end off."""
    lines = [f"{me.tag}, key {me.fingerprint}", _daemon_line(found, daemon)]
    if found.paused:
        until = found.paused.until
        lines.append(f"everything is paused{f' until {until:%Y-%m-%d %H:%M} UTC' if until else ''}")
        lines += [f"  {found.paused.why}"] if found.paused.why else []
    lines += [_fault_line(each, why, found) for each, why in sorted(found.faults.items())]
    lines += _error_lines(found)
    lines += [_silent_line(team, days) for team, days in sorted(found.silent.items())]
    if daemon and found.packaging:
        lines.append(_packaging_line(found.packaging))
    step = _next(found, daemon is not None)
    lines += [f"Next: {step}"] if step else []
    lines += _peer_lines(found)
    for project in sorted(found.projects, key=lambda project: not project.ails):
        lines += _project_lines(project, found, daemon is not None)
        lines += [_called_back(each, found) for each in project.called_back]
    return [printable(" ".join(line.split("\n"))) for line in lines]


def _daemon_line(found: "StatusReport", daemon: "Running | None") -> str:
    if daemon is None:
        return STARTING if found.starting else DOWN
    return f"up since {daemon.since:%Y-%m-%d %H:%M} UTC, Syncthing {daemon.syncthing}"


def _fault_line(who: str, why: str, found: "StatusReport") -> str:
    error = found.last_error
    if error and (error.who, error.why) == (who, why):
        return f"fault, last error {ago(error.at)}: {who}: {why}"
    return f"fault: {who}: {why}"


def _error_lines(found: "StatusReport") -> list[str]:
    """The last refusal or fault, where it does not stand among the faults."""
    error = found.last_error
    if error is None or found.faults.get(error.who) == error.why:
        return []
    over = ", over since" if found.last_error_over else ""
    return [f"last error {ago(error.at)}{over}: {error.what}: {error.who}: {error.why}"]


def _silent_line(team: str, days: int | None) -> str:
    if days is None:
        return f"nobody of team {team} has answered yet"
    return f"nobody of team {team} has answered for {days} day{'s' if days > 1 else ''}"


def _packaging_line(left: "TransferStatus") -> str:
    are = "is" if left.items_left == 1 else "are"
    return f"{_sessions(left.items_left)} {are} still to be looked at: {_about(left)}"


def _peer_lines(found: "StatusReport") -> list[str]:
    if not found.teams:
        return ["in no team"]
    if not found.peers:
        return []
    rows = [
        (p.member.tag, _state(p), "now" if p.connected else ago(p.last_seen)) for p in found.peers
    ]
    return ["", *columns(("PEER", "", "LAST SEEN"), rows)]


def _state(peer: "Peer") -> str:
    if not peer.member.active:
        return "has not joined yet"
    return "connected" if peer.connected else "away"


def _project_lines(project: "ProjectStatus", found: "StatusReport", is_up: bool) -> list[str]:
    mine = project.mine
    way = f", {mine.direction}" if mine.engaged else ""
    lines = ["", f"{mine.project} in {project.team.name}: {mine.status}{way}"]
    if mine.sends:
        lines.append(f"  sent {_sessions(project.sent)}{_goes_to(project)}")
        if project.recovering:
            lines.append(f"  takes its sessions back from the others first: {project.recovering}")
        if project.sent:
            lines += [f"    {line}" for line in _receiver_lines(project, is_up)]
    if project.received:
        each = [f"{n} by {member}" for member, n in sorted(project.received.items())]
        lines.append(f"  received {', '.join(each)}")
    if is_up:
        lines += [_arriving_line(tag, t, found) for tag, t in sorted(project.arriving.items())]
    if project.waiting:
        lines.append(f"  waiting: {_sessions(project.waiting)}, for the rest of their content")
    lines += _renamed_lines(project.renames)
    lines += _grouped("withheld", _short(project.withheld))
    lines += _grouped("resting", _short(project.resting))
    lines += _grouped("did not leave", _short(project.failed))
    for sender in sorted(set(project.senders.values())):
        theirs = {i: why for i, why in project.refused.items() if project.senders[i] == sender}
        lines += _grouped(f"refused from {sender}", _short(theirs))
    return lines


def _renamed_lines(renames: "Renames") -> list[str]:
    """Where the remote changed, and nothing leaves until somebody says that it is the same."""
    lines = []
    for name, paths in sorted(renames.moved.items()):
        lines.append(f"  the remote of {_first(paths)} is {name} now: nothing leaves from there")
        lines.append(f"    if it is the same project: karma-sync project alias {name}")
    for name, paths in sorted(renames.told.items()):
        lines.append(f"  the team knows it as {name} too; nothing leaves from {_first(paths)}")
        lines.append(f"    until you agree: karma-sync project alias {name}")
    return lines


def _first(paths: list[str]) -> str:
    first = min(paths, key=lambda path: (len(path), path))
    return f"{first} and {len(paths) - 1} more" if len(paths) > 1 else first


def _goes_to(project: "ProjectStatus") -> str:
    """Who takes what leaves, while there is nobody or nothing to be confirmed."""
    if not project.receivers:
        return ", which nobody takes yet" if project.sent else ""
    if project.sent:
        return ""
    return f"; what leaves goes to {', '.join(r.tag for r in project.receivers)}"


def _receiver_lines(project: "ProjectStatus", is_up: bool) -> list[str]:
    """Who has all on one line: most have, most of the time."""
    whole = [receiver.tag for receiver in project.receivers if receiver.whole]
    have = "has" if len(whole) == 1 else "have"
    lines = [f"{', '.join(whole)} {have} confirmed all"] if whole else []
    others = [receiver for receiver in project.receivers if not receiver.whole]
    return lines + [_receiver_line(receiver, project.sent, is_up) for receiver in others]


def _receiver_line(receiver: "ReceiverStatus", sent: int, is_up: bool) -> str:
    line = f"{receiver.tag} has confirmed {receiver.items} of {sent}"
    if receiver.paused:
        return f"{line}; it has paused the project"
    if is_up and not receiver.peer.connected:
        return f"{line}; it was last seen {ago(receiver.peer.last_seen)}"
    return f"{line}; {_about(receiver.transfer)}" if is_up and receiver.transfer else line


def _arriving_line(sender: str, transfer: "TransferStatus", found: "StatusReport") -> str:
    """How long it takes is not known while its author is away, though others may have it."""
    seen = {p.member.tag: p.last_seen for p in found.peers if not p.connected}
    if sender in seen:
        left = f"about {size(transfer.bytes_left)} left"
        return f"  from {sender}: {left}; it was last seen {ago(seen[sender])}"
    return f"  from {sender}: {_about(transfer)}"


def _about(transfer: "TransferStatus") -> str:
    left = f"about {size(transfer.bytes_left)} left"
    if transfer.seconds_left is None:
        return left
    return f"{left}, about {span(transfer.seconds_left)}"


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _called_back(called: "CalledBack", found: "StatusReport") -> str:
    """Such as: retracted 1 session: 2 of 3 confirmed, the others last seen: carol.mini 2d ago."""
    everybody = len(called.confirmed) + len(called.waiting)
    line = f"  {called.what} {_sessions(called.sessions)}:"
    confirmed = f"{len(called.confirmed)} of {everybody} confirmed"
    line += f" {confirmed if everybody else 'nobody receives from you now'}"
    if called.left:
        line += f", {called.left} still to be packaged anew here"
    seen = {p.member.tag: "now" if p.connected else ago(p.last_seen) for p in found.peers}
    others = ", ".join(f"{tag} {seen.get(tag, 'never')}" for tag in called.waiting)
    return f"{line}, the others last seen: {others}" if others else line


def _short(reasons: Mapping[str, str]) -> dict[str, str]:
    """The same by the beginnings of session ids, which leaves room for the reason."""
    cut = {session: session[:_ID_CHARS] for session in reasons}
    is_clear = len(set(cut.values())) == len(cut)
    return {cut[s] if is_clear else s: why for s, why in reasons.items()}


def _grouped(what: str, reasons: Mapping[str, str]) -> list[str]:
    """One line per reason, with a few of those it concerns."""
    by_reason: dict[str, list[str]] = {}
    for each, why in sorted(reasons.items()):
        by_reason.setdefault(why, []).append(each)
    lines = []
    for why, found in sorted(by_reason.items()):
        which = found[0]
        if len(found) > 1:
            some = [each[:_ID_CHARS] for each in found[:_EXAMPLES]]
            more = ", …" if len(found) > _EXAMPLES else ""
            which = f"{len(found)}: {', '.join(some)}{more}"
        lines.append(f"  {what} {which}: {why}")
    return lines


def _next(found: "StatusReport", is_up: bool) -> str:
    if not is_up:
        return "" if found.starting else "karma-sync up -d"
    if found.paused:
        return "karma-sync resume"
    if found.inbox.contacts or found.inbox.invitations:
        return "karma-sync inbox"
    if any(p.mine.status == "offered" for p in found.projects):
        return "karma-sync subscription list"
    return "" if found.teams else "karma-sync code, or karma-sync team create NAME"
