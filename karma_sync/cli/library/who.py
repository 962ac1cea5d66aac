"""The command `who`."""

from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import JsonOption, PrivateOption
from karma_sync.cli.output import ago, print_json, print_line, print_next
from karma_sync.cli.screen import Line, Tone, print_table
from karma_sync.domain.text import one_line, printable
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.activity import WantedFile
    from karma_sync.service.sessions.who import Work

_TITLE_CHARS = 60
_PATH_CHARS = 60
_LONG_PATH_CHARS = 200
_MESSAGE_CHARS = 8


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(who)


def who(
    path: Annotated[str, typer.Argument(help="A file or a directory; it need not exist here.")],
    since: Annotated[
        str | None, typer.Option(help="Only what was done since then: 14d, 2026-05-31.")
    ] = None,
    edits: Annotated[
        bool, typer.Option("--edits", help="Only changes, not what was read.")
    ] = False,
    project: Annotated[
        str | None,
        typer.Option(
            help="The path lies in this project; default: the one of its directory here.",
            autocompletion=completion.readable_projects,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Print at most this many.")] = 20,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Show who worked on a file.

    It names the sessions whose agents read or changed the file with their tools, the latest first;
    what a shell command did to it is not known. Paths are those in the repository, wherever it
    lies on the machine that wrote the session.

    Example: karma-sync who src/app.py --edits --since 14d
    """
    from karma_sync.service.sessions.who import who as found_by

    app = App.from_environment()
    warn_if_down(app)
    wanted = _wanted(app, path, project, since, edits)
    found = found_by(app.search, app.scope, wanted, limit + 1)
    works, more = found[:limit], len(found) > limit
    if as_json:
        require_private_for((work.readable for work in works), app.settings.tag, private)
        print_json(
            path=wanted.path,
            projects=sorted(wanted.projects) if wanted.projects is not None else None,
            works=[_as_json(work) for work in works],
            truncated=more,
        )
        return
    if not works:
        _show_none(path, wanted)
        return
    _show(app, works, wanted)
    if more:
        print_line(f"There are more: --limit {limit * 2}")
    first = works[0]
    session = first.readable.manifest.session.session_id
    print_next(f"karma-sync session show {session}{_at(first)}")


def _wanted(
    app: App, path: str, project: str | None, since: str | None, edits: bool
) -> "WantedFile":
    from dataclasses import replace

    from karma_sync.cli.project_argument import readable_named
    from karma_sync.domain.timespan import parse_since
    from karma_sync.paths import current_directory, expanded
    from karma_sync.service.projects import other_names
    from karma_sync.service.sessions.who import wanted_file

    if not path.strip() or not path.isprintable():
        raise BadInput(f"{path!r} is no path", hint="karma-sync who src/app.py")
    others = other_names(app.state)
    named = readable_named(app, app.scope, project) if project else ""

    def identity(directory: str) -> str:
        return app.matcher.places.of(directory).identity

    typed = path if named else str(expanded(path)) if path.startswith("~") else path
    wanted = wanted_file(typed, current_directory(), identity, others, named)
    return replace(wanted, since=parse_since(since or "all", utc_now()), changes_only=edits)


def _show_none(path: str, wanted: "WantedFile") -> None:
    did = "changed" if wanted.changes_only else "worked on"
    project = min(wanted.projects or (), default="")
    if not wanted.path:
        print_line(f"No session that you can read {did} a file of {project}.")
        print_next(f"karma-sync session list --project {quote(project)}")
        return
    shown = one_line(path if path.strip("./") else wanted.path, _LONG_PATH_CHARS)
    print_line(f"No session that you can read {did} {shown}.")
    name = one_line(wanted.path.rpartition("/")[2], _PATH_CHARS).removesuffix("…")
    found = f'file:"{name}"' if " " in name else f"file:{name}"
    print_next(f"karma-sync search {quote(found)}")


def _show(app: App, works: "list[Work]", wanted: "WantedFile") -> None:
    from karma_sync.library.reader import author
    from karma_sync.service.teams import all_teams

    teams = all_teams(app.state)
    rows = []
    for work in works:
        manifest = work.readable.manifest
        rows.append(
            (
                author(manifest.member, app.settings.tag, teams),
                Line("live", Tone.CONFIRMED) if work.is_live else ago(work.when),
                _what(work),
                f"{manifest.session.session_id[:_MESSAGE_CHARS]}{_at(work)}",
                _files(work, wanted),
                one_line(manifest.session.title, _TITLE_CHARS) or "(no title)",
            )
        )
    print_table(("WHO", "LAST", "WHAT", "SESSION", "FILE", "ABOUT"), rows)


def _what(work: "Work") -> str:
    """Return for instance: changed 3 times, read once."""
    parts = [
        f"{verb} {'once' if count == 1 else f'{count} times'}"
        for verb, count in (("changed", work.changes), ("read", work.reads))
        if count
    ]
    return ", ".join(parts)


def _files(work: "Work", wanted: "WantedFile") -> str:
    first = one_line(work.files[0], _PATH_CHARS)
    others = len(work.files) - 1
    return f"{first} and {others} more" if others else first


def _at(work: "Work") -> str:
    return f"@{printable(work.message[:_MESSAGE_CHARS])}" if work.message else ""


def _as_json(work: "Work") -> dict[str, object]:
    from karma_sync.library.reader import key_of

    manifest = work.readable.manifest
    return {
        "author": manifest.member,
        "session": manifest.session.session_id,
        "key": str(key_of(work.readable)),
        "message": work.message or None,
        "project": manifest.project,
        "team_id": manifest.team,
        "agent": manifest.session.wrote,
        "title": manifest.session.title,
        "live": work.is_live,
        "files": work.files,
        "reads": work.reads,
        "changes": work.changes,
        "last": work.when,
        "last_change": work.changed,
    }
