"""Waiting of `accept --wait`: for the offer, then for a first session."""

import time
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.output import print_line, span
from karma_sync.cli.progress import waiting
from karma_sync.domain.text import one_line
from karma_sync.errors import Conflict, NotFound, TimedOut
from karma_sync.runtime.timing import Deadline, poll, utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.readable import Readable
    from karma_sync.service.projects import ProjectAnswers

_WAIT_S = 600
_LOOK_S = 0.05
_TITLE_CHARS = 60


def offered(app: App, named: str, team: str | None, wait: bool) -> "ProjectAnswers":
    """Return the shared project that `named` names; with `wait`, wait until a team shares it.

    Raises:
        NotFound: no team shares it; the hint is the command that waits.
        TimedOut: no team shared it within ten minutes.
    """
    from karma_sync.service import invitations, projects

    deadline = Deadline(_WAIT_S)
    is_printed = False
    while True:
        try:
            return projects.find(app.state, app.me, named, team)
        except NotFound as error:
            if not wait:
                where = f" --team {team}" if team else ""
                error.hint = f"karma-sync accept {named}{where} --wait, to wait for it"
                waiting_now = invitations.inbox(app.state, app.me, utc_now())
                if waiting_now.contacts or waiting_now.invitations:
                    error.hint = f"karma-sync inbox, or {error.hint}"
                raise
            if deadline.is_over:
                raise TimedOut(
                    f"no team shared {named} within {span(_WAIT_S)}",
                    hint="karma-sync subscription list, and karma-sync inbox",
                ) from None
        if not is_printed:
            print_line(f"No team shares {named} yet: waiting for it, at most {span(_WAIT_S)}.")
            is_printed = True
        time.sleep(_LOOK_S)


def wait_for_session(app: App, standing: "ProjectAnswers") -> None:
    """Wait until a session of another member is readable here, and print its id and title.

    Raises:
        TimedOut: none arrived within ten minutes.
    """

    def newest() -> "Readable | None":
        scope = app.scope.within(team=standing.team.id, project=standing.project)
        return app.reader.newest_by_others(scope)

    with waiting("waiting for a session"):
        found = poll(newest, _LOOK_S, _WAIT_S)
    if found:
        facts = found.manifest.session
        title = one_line(facts.title, _TITLE_CHARS) or "(no title)"
        print_line(f"Readable: {facts.session_id[:8]} by {found.manifest.member}: {title}")
        return
    raise TimedOut(
        f"no session of {standing.project} arrived within {span(_WAIT_S)}",
        hint="karma-sync status",
    )


def require_daemon(app: App) -> None:
    """Raises Conflict if no daemon runs: nothing would arrive."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        raise Conflict("the daemon is not running: nothing would arrive", hint="karma-sync up -d")
