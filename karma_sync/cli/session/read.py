"""Commands about sessions: session list, session show; unshare stands elsewhere."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.output import ago, next_step, say, say_json, size, table, write_raw
from karma_sync.cli.session import sharing
from karma_sync.cli.session.unshare import unshare

if TYPE_CHECKING:
    from karma_sync.library.reader import Library
    from karma_sync.service.sessions.choices import HeldSession
    from karma_sync.store.library import AccessScope, Readable

_TITLE_CHARS = 60
_ID_CHARS = 8
_DETAIL_CHARS = 30


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Read sessions, yours and your teammates'; take yours back."
    )
    group.command(name="list")(list_)
    group.command()(show)
    group.command()(unshare)
    sharing.add_to(app, group)
    app.add_typer(group, name="session")


def list_(
    project: Annotated[str | None, typer.Option(help="Only this project's (or an ending).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With branches, models, prompts, tokens, agent.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List readable sessions, the latest first. Then yours that stay here, and why.

    Example: karma-sync session list --project web
    """
    app = App.from_environment()
    warn_if_down(app)
    library, scope = _library(app, project)
    found = library.sessions(scope, limit)
    is_open = app.source.root.is_dir() and not app.source.closed()  # else nothing says what is gone
    sources = app.source.ids() if is_open else None
    seen = _Seen(app.me.tag, sources, utc_now())
    if as_json:
        sessions = [_as_json(r) | seen.marks(r) for r in found]
        say_json(sessions=sessions, held=[asdict(one) for one in _held(app, scope)])
        return
    if found:
        _list_found(app, found, seen, long)
    else:
        say("No session is readable yet: one comes when a project is accepted on both sides.")
    rows = [(h.session[:_ID_CHARS], h.project, h.kind.value, h.why) for h in _held(app, scope)]
    if rows:
        table(("STAYS", "PROJECT", "", "WHY"), rows)
    if found:
        next_step(f"karma-sync session show {found[0].manifest.session.session_id[:_ID_CHARS]}")
    else:
        next_step(f"karma-sync session preview {rows[0][0]}" if rows else "karma-sync status")


def _held(app: App, scope: "AccessScope") -> "list[HeldSession]":
    from karma_sync.service.sessions.choices import held

    found = held(app.state, app.work, app.me)
    return [h for h in found if scope.projects is None or h.project in scope.projects]


def _list_found(app: App, found: "list[Readable]", seen: "_Seen", long: bool) -> None:
    from karma_sync.library.reader import author
    from karma_sync.store import state

    with app.state.reading() as tx:
        teams = state.teams.all(tx)
    rows = [
        (
            r.manifest.session.session_id[:_ID_CHARS],
            seen.when(r),
            f"by {author(r.manifest.member, app.me.tag, teams)}",
            r.manifest.project,
            *(_details(r) if long else ()),
            size(r.manifest.size),
            _title(r),
        )
        for r in found
    ]
    table(("ID", "ACTIVE", "AUTHOR", "PROJECT", *(_LONG if long else ()), "SIZE", "TITLE"), rows)
    if any(seen.is_kept(r) for r in found):
        say("kept: the agent deleted its own copy; what was shared stays")


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
        from karma_sync.domain.text import printable

        say(printable(b"".join(pieces).decode(errors="replace")))


@dataclass(frozen=True)
class _Seen:
    """What a list says of a session at the reader's clock, and of one's own on the reader's disk.

    `sources` are the ids of the sessions that the agent still has; None if it was never here, or
    is closed to us.
    """

    me: str
    sources: frozenset[str] | None
    now: datetime

    def is_kept(self, found: "Readable") -> bool:
        """Whether it is my own, and the agent's clean-up took the source away."""
        manifest = found.manifest
        if self.sources is None or manifest.member != self.me:
            return False
        return manifest.session.session_id not in self.sources

    def when(self, found: "Readable") -> str:
        """When it was active, and what is special about it."""
        if self.is_live(found):
            return "live"
        when = ago(found.manifest.session.last_activity or found.arrived)
        return f"{when}, kept" if self.is_kept(found) else when

    def is_live(self, found: "Readable") -> bool:
        """Whether somebody is at it: not if its source is gone."""
        return found.manifest.session.is_live(self.now) and not self.is_kept(found)

    def marks(self, found: "Readable") -> dict[str, object]:
        """The same in JSON; `source` is null for others' sessions: only they can tell."""
        own = found.manifest.member == self.me
        gone = self.is_kept(found)
        return {
            "state": "live" if self.is_live(found) else "ended",
            "source": ("deleted" if gone else "present") if own else None,
        }


_LONG = ("AGENT", "BRANCH", "MODEL", "PROMPTS", "TOKENS IN/OUT")


def _details(found: "Readable") -> tuple[str, ...]:
    from karma_sync.domain.text import one_line

    facts = found.manifest.session
    spent = facts.tokens
    taken = spent.input + spent.cache_read + spent.cache_creation
    texts = (
        facts.wrote,
        ", ".join(facts.branches) or "-",
        ", ".join(facts.models) or "-",
    )
    return (
        *(one_line(t, _DETAIL_CHARS) for t in texts),
        str(facts.prompts),
        f"{taken}/{spent.output}",
    )


def _library(app: App, project: str | None) -> "tuple[Library, AccessScope]":
    from karma_sync.domain.session.project import find_project
    from karma_sync.library.reader import Library
    from karma_sync.service.projects import other_names
    from karma_sync.store.library import AccessScope, projects

    projects_wanted = None
    if project is not None:
        aliases = other_names(app.state)
        with app.library.reading() as tx:
            projects_wanted = frozenset({find_project(project, projects(tx), aliases)})
    scope = AccessScope(app.me.tag, projects=projects_wanted)
    return Library(app.paths.library, app.library), scope


def _show_header(found: "Readable") -> None:
    from karma_sync.domain.text import printable

    manifest = found.manifest
    facts = manifest.session
    say(
        printable(_title(found)),
        printable(f"by {manifest.member}, {facts.wrote}, in {manifest.project}"),
        f"active {_moment(facts.first_activity)} to {_moment(facts.last_activity)} UTC,"
        f" {_many(facts.records, 'record')}, {_many(facts.prompts, 'prompt')},"
        f" {size(manifest.size)}",
    )
    if facts.branches or facts.models:
        say(printable(f"on {', '.join(facts.branches) or '?'}, with {', '.join(facts.models)}"))
    if manifest.redactions:
        cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(manifest.redactions.items()))
        say(f"cut out before it was sent: {cuts}")
    others = [f.path for f in manifest.files[0:] if f.path != "transcript.jsonl"]
    if others:
        say(f"with {', '.join(printable(o) for o in others)}")


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else "?"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _show_turns(pieces: Iterable[bytes]) -> None:
    from karma_sync.agents.growing_file import whole_lines
    from karma_sync.domain.session.conversation import conversation

    lines = (line for block in whole_lines(pieces) for line in block.split(b"\n"))
    for turn in conversation(lines):
        say("", f"## {turn.who}", turn.text)


def _title(found: "Readable") -> str:
    from karma_sync.domain.text import one_line

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
