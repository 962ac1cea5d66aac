"""The command that says how things stand."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.output import CLEAR, ago, columns, json_text, say
from karma_sync.errors import Stuck

if TYPE_CHECKING:
    from karma_sync.service.presence import Running
    from karma_sync.service.status import Peer, ProjectStatus, Status

_LOOK_S = 0.5


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again whenever it changes.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit 7 if something is stuck.")] = False,
) -> None:
    """Show who you are, who is connected, what went out, what came in, what waits and why.

    Example: karma-sync status --watch
    """
    app = App.from_environment()
    shown = ""
    while True:
        found, daemon = _found(app)
        text = _as_json(app, found, daemon) if as_json else _as_text(app, found, daemon)
        if text != shown:
            say(*([CLEAR] if watch and shown and not as_json else []), text)
            shown = text
        if not watch:
            break
        time.sleep(_LOOK_S)
    stuck = found.stuck(running=daemon is not None)
    if check and stuck:
        raise Stuck("; ".join(stuck), hint="karma-sync events")


def _found(app: App) -> "tuple[Status, Running | None]":
    from karma_sync.service import status as service
    from karma_sync.service.presence import running

    stores = service.Stores(app.state, app.work, app.library)
    return service.status(stores, app.me, utc_now()), running(app.paths)


def _as_json(app: App, found: "Status", daemon: "Running | None") -> str:
    return json_text(
        tag=app.me.tag,
        fingerprint=app.me.fingerprint,
        daemon=asdict(daemon) if daemon else None,
        paused=found.paused.model_dump(mode="json") if found.paused else None,
        peers=[_peer_json(peer) for peer in found.peers],
        projects=[_project_json(p) for p in found.projects],
        inbox=len(found.inbox.contacts) + len(found.inbox.invitations),
        faults=found.faults,
        stuck=found.stuck(running=daemon is not None),
    )


def _as_text(app: App, found: "Status", daemon: "Running | None") -> str:
    lines = [f"{app.me.tag}, key {app.me.fingerprint}"]
    if daemon:
        lines.append(f"up since {daemon.since:%Y-%m-%d %H:%M} UTC, Syncthing {daemon.syncthing}")
    else:
        lines.append("the daemon is not running")
    if found.paused:
        until = found.paused.until
        lines.append(f"everything is paused{f' until {until:%Y-%m-%d %H:%M} UTC' if until else ''}")
    lines += _peer_lines(found)
    for project in found.projects:
        lines += _project_lines(project)
    lines += [f"fault in {folder}: {why}" for folder, why in sorted(found.faults.items())]
    step = _next(found, daemon is not None)
    return "\n".join([*lines, *([f"Next: {step}"] if step else [])])


def _peer_lines(found: "Status") -> list[str]:
    if not found.teams:
        return ["in no team"]
    if not found.peers:
        return []
    rows = [
        (
            p.member.tag,
            "connected" if p.connected else "away",
            "now" if p.connected else ago(p.last_seen),
        )
        for p in found.peers
    ]
    return ["", *columns(("PEER", "", "LAST SEEN"), rows)]


def _project_lines(project: "ProjectStatus") -> list[str]:
    mine = project.mine
    lines = ["", f"{mine.project} in {project.team.name}: {mine.status}, {mine.direction}"]
    if mine.sends:
        lines.append(f"  sent {project.sent} sessions")
    for receiver in project.receivers:
        has = "has confirmed all" if receiver.whole else f"has confirmed {receiver.items}"
        lines.append(f"    {receiver.tag} {has}")
    lines += [
        f"  received {n} sessions by {member}" for member, n in sorted(project.received.items())
    ]
    if project.waiting:
        lines.append(f"  {project.waiting} sessions wait for the rest of their content")
    lines += [f"  withheld {s}: {why}" for s, why in sorted(project.withheld.items())]
    lines += [f"  did not leave {s}: {why}" for s, why in sorted(project.failed.items())]
    lines += [f"  refused {item}: {why}" for item, why in sorted(project.refused.items())]
    return lines


def _next(found: "Status", is_up: bool) -> str:
    if not is_up:
        return "karma-sync up -d"
    if found.paused:
        return "karma-sync resume"
    if found.inbox.contacts or found.inbox.invitations:
        return "karma-sync inbox"
    if any(p.mine.status == "offered" for p in found.projects):
        return "karma-sync subscription list"
    return "" if found.teams else "karma-sync code, or karma-sync team create NAME"


def _peer_json(peer: "Peer") -> dict[str, object]:
    return {
        "tag": peer.member.tag,
        "device": peer.member.device,
        "active": peer.member.active,
        "connected": peer.connected,
        "last_seen": peer.last_seen,
    }


def _project_json(project: "ProjectStatus") -> dict[str, object]:
    return {
        "project": project.mine.project,
        "team": project.team.name,
        "status": project.mine.status,
        "direction": project.mine.direction,
        "sent": project.sent,
        "receivers": {r.tag: {"items": r.items, "whole": r.whole} for r in project.receivers},
        "received": project.received,
        "waiting": project.waiting,
        "refused": project.refused,
        "withheld": project.withheld,
        "failed": project.failed,
    }
