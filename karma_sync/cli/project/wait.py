"""`accept --wait`: first for the offer, then for a first session."""

import time
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.output import say, span
from karma_sync.errors import Conflict, NotFound, TimedOut

if TYPE_CHECKING:
    from karma_sync.service.projects import ProjectAnswers

_WAIT_S = 600
_LOOK_S = 0.05


def offered(app: App, named: str, team: str | None, wait: bool) -> "ProjectAnswers":
    """The shared project that `named` names; with `wait`, as soon as there is one.

    Raises:
        NotFound: no team shares it; the hint is how to wait for it.
        TimedOut: nor did one within ten minutes.
    """
    from karma_sync.service import projects

    deadline = time.monotonic() + _WAIT_S
    is_told = False
    while True:
        try:
            return projects.find(app.state, app.me, named, team)
        except NotFound as error:
            if not wait:
                where = f" --team {team}" if team else ""
                error.hint = f"karma-sync accept {named}{where} --wait, if it is on its way"
                raise
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"nobody offered {named} within {span(_WAIT_S)}",
                    hint="karma-sync subscription list, and karma-sync inbox",
                ) from None
        if not is_told:
            say(f"Nobody has offered {named} yet: waiting for it, {span(_WAIT_S)} at most.")
            is_told = True
        time.sleep(_LOOK_S)


def wait_for_session(app: App, standing: "ProjectAnswers") -> None:
    """Return as soon as a session of another member can be read here, and name it.

    Raises:
        TimedOut: none came within ten minutes.
    """
    from karma_sync.store.library import AccessScope, readable

    scope = AccessScope(app.me.tag, frozenset({standing.team.id}), frozenset({standing.project}))
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        with app.library.reading() as tx:
            found = [r for r in readable(tx, scope, most=50) if r.manifest.member != app.me.tag]
        if found:
            say(f"Readable: {found[0].manifest.session.session_id}, by {found[0].manifest.member}.")
            return
        time.sleep(_LOOK_S)
    raise TimedOut(
        f"no session of {standing.project} arrived within {span(_WAIT_S)}",
        hint="karma-sync status",
    )


def require_daemon(app: App) -> None:
    """Raises Conflict if no daemon runs: what is waited for would not come."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        raise Conflict("the daemon is not running: nothing would arrive", hint="karma-sync up -d")
