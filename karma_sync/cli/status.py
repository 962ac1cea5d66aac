"""The command that says how things stand."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.output import ago, next_step, say, say_json, table

if TYPE_CHECKING:
    from karma_sync.service.status import ProjectStatus, Status


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(status)


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show who you are, who is connected, what went out, what came in, what waits and why.

    Example: karma-sync status
    """
    from karma_sync.service import status as service
    from karma_sync.service.presence import running

    app = App.from_environment()
    daemon = running(app.paths)
    stores = service.Stores(app.state, app.work, app.library)
    found = service.status(stores, app.me, utc_now())
    if as_json:
        say_json(
            tag=app.me.tag,
            fingerprint=app.me.fingerprint,
            daemon=asdict(daemon) if daemon else None,
            peers=[_peer_json(found, i) for i in range(len(found.peers))],
            projects=[_project_json(p) for p in found.projects],
            paused=found.paused.model_dump(mode="json") if found.paused else None,
            inbox=len(found.inbox.contacts) + len(found.inbox.invitations),
        )
        return
    say(f"{app.me.tag}, key {app.me.fingerprint}")
    if daemon:
        say(f"up since {ago(daemon.since)}, Syncthing {daemon.syncthing}")
    else:
        say("the daemon is not running")
    if found.paused:
        until = found.paused.until
        say(f"everything is paused{f' until {until:%Y-%m-%d %H:%M} UTC' if until else ''}")
    _show_peers(found)
    for project in found.projects:
        _show_project(project)
    _show_next(found, daemon is not None)


def _show_peers(found: "Status") -> None:
    if not found.teams:
        say("in no team")
    if found.peers:
        say("")
        table(
            ("PEER", "", "LAST SEEN"),
            [
                (
                    p.member.tag,
                    "connected" if p.connected else "away",
                    "now" if p.connected else ago(p.last_seen),
                )
                for p in found.peers
            ],
        )


def _show_project(project: "ProjectStatus") -> None:
    mine = project.mine
    say("", f"{mine.project} in {project.team.name}: {mine.status}, {mine.direction}")
    if mine.sends:
        say(f"  sent {project.sent} sessions")
    for receiver in project.receivers:
        has = "has confirmed all" if receiver.whole else f"has confirmed {receiver.items}"
        say(f"    {receiver.tag} {has}")
    for member, count in sorted(project.received.items()):
        say(f"  received {count} sessions by {member}")
    if project.waiting:
        say(f"  {project.waiting} sessions wait for the rest of their content")
    for session, why in sorted(project.withheld.items()):
        say(f"  withheld {session}: {why}")
    for item, why in sorted(project.refused.items()):
        say(f"  refused {item}: {why}")


def _show_next(found: "Status", is_up: bool) -> None:
    if not is_up:
        next_step("karma-sync up -d")
    elif found.paused:
        next_step("karma-sync resume")
    elif found.inbox.contacts or found.inbox.invitations:
        next_step("karma-sync inbox")
    elif any(p.mine.status == "offered" for p in found.projects):
        next_step("karma-sync subscription list")
    elif not found.teams:
        next_step("karma-sync code, or karma-sync team create NAME")


def _peer_json(found: "Status", index: int) -> dict[str, object]:
    peer = found.peers[index]
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
    }
