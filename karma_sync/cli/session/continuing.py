"""The command `session continue`: go on from a session of one's own other machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down, warn_of_unsearched
from karma_sync.cli.options import IntoOption, JsonOption, PrivateOption, SessionArgument, YesOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.session.fork import (
    ForkChoice,
    agent_home,
    forking,
    made_fork,
    resume_command,
)
from karma_sync.cli.session.listing import many, scope_of

if TYPE_CHECKING:
    from karma_sync.domain.session.readable import Readable
    from karma_sync.service.sessions.continuing import Lead


def continue_(
    wanted: SessionArgument,
    into: IntoOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which machine is ahead; write nothing.")
    ] = False,
    keep_thinking: Annotated[
        bool, typer.Option("--keep-thinking", help="Of a session with nothing cut: keep it.")
    ] = False,
    as_json: JsonOption = False,
    private: PrivateOption = False,
    yes: YesOption = False,
) -> None:
    """Continue your other machine's session.

    It prints which machine is ahead. If the other one is, the session is forked here. If this one
    is, it prints how to go on here. If both went on, it asks before it forks what the other one
    has: then nothing of either is lost, and the two are not joined.

    Example: karma-sync session continue 3a782158
    """
    from karma_sync.service.machines import agreed_tags
    from karma_sync.service.sessions.continuing import Ahead, on_other_machine

    app = App.from_environment()
    warn_if_down(app)
    warn_of_unsearched(app)
    machines = agreed_tags(app.state, app.key.public)
    parent = on_other_machine(app.reader, scope_of(app), wanted, machines)
    if as_json:
        require_private_for([parent], app.settings.tag, private)
    standing = _standing(app, parent)
    is_done = standing.ahead in (Ahead.HERE, Ahead.NEITHER) and bool(standing.session)
    here = resume_command(Path(standing.directory or "."), agent_home(app), standing.session)
    if not as_json:
        _say(parent, standing)
    if standing.ahead is Ahead.BOTH and not dry_run:
        ask_unless(yes, f"--yes, to go on from {parent.manifest.member}; or: {here}")
    if is_done:
        if as_json:
            print_json(**_as_json(standing), command=here, written=False)
        else:
            print_next(here)
        return
    made = made_fork(app, parent, ForkChoice(into, "", keep_thinking, dry_run))
    if as_json:
        print_json(**(made.as_json() | _as_json(standing)))
        return
    into_option = ["--into", str(into)] if into else []
    made.show(shlex.join(["karma-sync", "session", "continue", wanted, *into_option]))
    if standing.session and made.written:
        print_line(
            f"The earlier {standing.session} stays; to delete it: karma-sync session fork --delete"
            f" {standing.session}"
        )


def _standing(app: App, parent: "Readable") -> "Lead":
    from karma_sync.service.sessions.continuing import ids_here, messages_of, standing_of

    sessions = app.source.of_ids(ids_here(app.state, parent))
    works_in = {}
    for session in sessions:
        directories = app.matcher.facts(session).cwds
        works_in[session.session_id] = directories[0] if directories else ""
    theirs = forking(app).messages(parent)
    return standing_of(theirs, messages_of(sessions), works_in)


def _say(parent: "Readable", standing: "Lead") -> None:
    from karma_sync.service.sessions.continuing import Ahead

    other = parent.manifest.member
    there, here = many(standing.there, "message"), many(standing.here, "message")
    if not standing.session:
        print_line(f"{other} is ahead: nothing of the session is here.")
    elif standing.ahead is Ahead.THERE:
        print_line(f"{other} is ahead: it has {there} more than {standing.session} here.")
    elif standing.ahead is Ahead.HERE:
        print_line(f"This machine is ahead: {standing.session} has {here} more than {other}.")
    elif standing.ahead is Ahead.BOTH:
        print_line(f"Both went on: {other} by {there}, {standing.session} here by {here}.")
    else:
        print_line(f"Neither is ahead: {standing.session} here has all that {other} has.")


def _as_json(standing: "Lead") -> dict[str, object]:
    return {
        "ahead": standing.ahead.value,
        "only_there": standing.there,
        "only_here": standing.here,
        "here": standing.session,
    }
