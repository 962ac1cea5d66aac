"""The command `status`."""

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.notices import warn_of_unsearched
from karma_sync.cli.options import JsonOption
from karma_sync.cli.output import flush, json_text, print_line
from karma_sync.cli.screen import clear_screen, fit, print_drawn
from karma_sync.errors import Stuck
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.daemon.lock import Running
    from karma_sync.domain.session.fork import SessionFork
    from karma_sync.service.archive import ArchiveStatus
    from karma_sync.service.status_model import Peer, ProjectStatus, StatusReport, TransferStatus

_LOOK_S = 0.5


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(status)


def status(
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Print it again when it changes.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 7 if something is stuck.")
    ] = False,
) -> None:
    """Show the status.

    It shows the connected members, the sent and received sessions, and each waiting session with
    its reason. On a terminal it fits one screen.

    Example: karma-sync status --watch
    """
    from karma_sync.cli.daemon.status_text import status_lines

    app = App.from_environment()
    warn_of_unsearched(app)
    shown: object = None
    while True:
        found, daemon = _found(app)
        text = _as_json(app, found, daemon) if as_json else ""
        lines = [] if as_json else fit(status_lines(app.me, found, daemon))
        if (text, lines) != shown:
            if as_json:
                print_line(text)
            else:
                clear_screen(watch and shown is not None)
                print_drawn(lines)
            shown = text, lines
        if not watch:
            break
        flush()
        time.sleep(_LOOK_S)
    stuck = found.stuck(running=daemon is not None)
    if check and stuck:
        raise Stuck("; ".join(stuck), hint="karma-sync events" if daemon else "karma-sync up -d")


def _found(app: App) -> "tuple[StatusReport, Running | None]":
    from karma_sync.agents.access import closed_below
    from karma_sync.daemon.lock import is_held, running
    from karma_sync.service import status as service
    from karma_sync.service.archive import archive_status
    from karma_sync.service.forks import withdrawn_forks
    from karma_sync.service.status import without_space
    from karma_sync.service.status_model import Stores

    stores = Stores(app.state, app.work, app.library)
    paths = app.paths
    daemon = running(paths)
    found = service.status(stores, app.me, utc_now(), daemon is not None)
    full = without_space([paths.state, paths.config, paths.library, paths.data])
    closed = {
        str(directory): "its sessions cannot be read: Permission denied"
        for home in app.settings.claude_dirs
        for directory in closed_below(home / "projects")
    }
    starting = daemon is None and is_held(paths)
    archive = archive_status(paths.archive_db, app.settings.archive, utc_now())
    faults = found.faults | full | closed
    faults |= {str(paths.archive_db): archive.fault} if archive.fault else {}
    if daemon and not daemon.syncthing and found.teams:
        from karma_sync.service.setup import how_to_install_syncthing

        faults["Syncthing"] = f"it is not installed: {how_to_install_syncthing()}"
    orphans = withdrawn_forks(app.state, app.library, lambda: app.source.ids())
    found = replace(found, faults=faults, archive=archive, orphans=orphans, starting=starting)
    return found, daemon


def _as_json(app: App, found: "StatusReport", daemon: "Running | None") -> str:
    return json_text(
        tag=app.me.tag,
        fingerprint=app.me.fingerprint,
        daemon=asdict(daemon) if daemon else None,
        starting=found.starting,
        paused=found.paused.to_fields() if found.paused else None,
        peers=[_peer_json(peer) for peer in found.peers],
        projects=[_project_json(p) for p in found.projects],
        inbox=len(found.inbox.unanswered),
        packaging=_about(found.packaging),
        silent_days=found.silent,
        removed_from=[{"team": name, "at": at} for name, at in found.removed],
        taken_over=[asdict(each) for each in found.taken_over],
        archive=_archive(found.archive),
        withdrawn_parents=[_orphan(each) for each in found.orphans],
        faults=found.faults,
        last_error=_error(found),
        stuck=found.stuck(running=daemon is not None),
    )


def _archive(archive: "ArchiveStatus | None") -> dict[str, object] | None:
    return asdict(archive.settings) | asdict(archive.holdings) if archive else None


def _orphan(fork: "SessionFork") -> dict[str, object]:
    return {"fork": fork.session, "parent": fork.parent, "author": fork.author}


def _error(found: "StatusReport") -> dict[str, object] | None:
    return asdict(found.last_error) | {"over": found.last_error_over} if found.last_error else None


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
        "recovering": project.recovering,
        "receivers": {
            r.tag: {"items": r.items, "whole": r.whole, "about": _about(r.transfer)}
            for r in project.receivers
        },
        "received": project.received,
        "arriving": {tag: _about(transfer) for tag, transfer in project.arriving.items()},
        "waiting": project.waiting,
        "refused": project.refused,
        "senders": project.senders,
        "withheld": project.withheld,
        "resting": project.resting,
        "failed": project.failed,
        "unknown_records": project.unknown,
        "moved": project.renames.moved,
        "told": project.renames.told,
        "called_back": [asdict(each) for each in project.called_back],
    }


def _about(transfer: "TransferStatus | None") -> dict[str, object] | None:
    return asdict(transfer) if transfer else None
