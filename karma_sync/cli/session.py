"""Commands that read sessions: session list, session show."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.output import ago, next_step, say, say_json, size, table, write_raw
from karma_sync.cli.setup import warn_if_down

if TYPE_CHECKING:
    from karma_sync.service.read import Library
    from karma_sync.store.library import AccessScope, Readable

_TITLE_CHARS = 60
_ID_CHARS = 8


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Read sessions, yours and your teammates'.")
    group.command(name="list")(list_)
    group.command()(show)
    app.add_typer(group, name="session")


def list_(
    project: Annotated[str | None, typer.Option(help="Only this project's (or an ending).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List readable sessions with their author, the latest active first.

    Example: karma-sync session list --project web
    """
    from karma_sync.service.read import author
    from karma_sync.store import state

    app = App.from_environment()
    warn_if_down(app)
    library, scope = _library(app, project)
    found = library.sessions(scope, limit)
    if as_json:
        say_json(sessions=[_as_json(r) for r in found])
        return
    if not found:
        say("No session is readable yet: one comes when a project is accepted on both sides.")
        next_step("karma-sync status")
        return
    with app.state.reading() as tx:
        teams = state.teams.all(tx)
    rows = [
        (
            r.manifest.session.session_id[:_ID_CHARS],
            ago(r.manifest.session.last_activity or r.arrived),
            f"by {author(r.manifest.member, app.me.tag, teams)}",
            r.manifest.project,
            size(r.manifest.size),
            _title(r),
        )
        for r in found
    ]
    table(("ID", "ACTIVE", "AUTHOR", "PROJECT", "SIZE", "TITLE"), rows)
    next_step(f"karma-sync session show {rows[0][0]}")


def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The beginning of a session's id.")],
    raw: Annotated[bool, typer.Option("--raw", help="The exact bytes of the transcript.")] = False,
    file: Annotated[str, typer.Option(help="Another file of the session.")] = "transcript.jsonl",
    as_json: Annotated[bool, typer.Option("--json", help="Print what describes it.")] = False,
) -> None:
    """Show a session as people read it.

    Example: karma-sync session show 3a782158 | less
    """
    app = App.from_environment()
    warn_if_down(app)
    library, scope = _library(app, None)
    found = library.session(scope, wanted)
    if as_json:
        say_json(session=_as_json(found), files=[f.path for f in found.manifest.files])
        return
    pieces = library.content(found, file)
    if raw:
        write_raw(pieces)
        return
    _show_header(found)
    if file.endswith(".jsonl"):
        _show_turns(pieces)
    else:
        from karma_sync.domain.conversation import printable

        say(printable(b"".join(pieces).decode(errors="replace")))


def _library(app: App, project: str | None) -> "tuple[Library, AccessScope]":
    from karma_sync.domain.project import find_project
    from karma_sync.service.read import Library
    from karma_sync.store.library import AccessScope, projects

    projects_wanted = None
    if project is not None:
        with app.library.reading() as tx:
            projects_wanted = frozenset({find_project(project, projects(tx))})
    scope = AccessScope(app.me.tag, projects=projects_wanted)
    return Library(app.paths.library, app.library), scope


def _show_header(found: "Readable") -> None:
    from karma_sync.domain.conversation import printable

    manifest = found.manifest
    facts = manifest.session
    say(
        printable(_title(found)),
        f"by {manifest.member}, {facts.agent}, in {manifest.project}",
        f"active {facts.first_activity or '?'} to {facts.last_activity or '?'},"
        f" {facts.records} records, {size(manifest.size)}",
    )
    if manifest.redactions:
        cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(manifest.redactions.items()))
        say(f"cut out before it was sent: {cuts}")
    others = [f.path for f in manifest.files[0:] if f.path != "transcript.jsonl"]
    if others:
        say(f"with {', '.join(printable(o) for o in others)}")


def _show_turns(pieces: Iterable[bytes]) -> None:
    from karma_sync.domain.conversation import conversation
    from karma_sync.domain.lines import whole_lines

    lines = (line for block in whole_lines(pieces) for line in block.split(b"\n"))
    for turn in conversation(lines):
        say("", f"## {turn.who}", turn.text)


def _title(found: "Readable") -> str:
    from karma_sync.domain.conversation import one_line

    return one_line(found.manifest.session.title, _TITLE_CHARS) or "(no title)"


def _as_json(found: "Readable") -> dict[str, object]:
    manifest = found.manifest
    return {
        "id": manifest.session.session_id,
        "key": f"{manifest.member}:{manifest.session.agent}:{manifest.project}:"
        f"{manifest.session.session_id}",
        "author": manifest.member,
        "project": manifest.project,
        "team_id": manifest.team,
        "revision": manifest.revision,
        "size": manifest.size,
        "redactions": manifest.redactions,
        "arrived": found.arrived,
        **manifest.session.model_dump(mode="json"),
    }
