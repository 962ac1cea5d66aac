"""The command `session list`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import JsonOption, PrivateOption, TeamOption
from karma_sync.cli.output import ago, print_json, print_line, print_next, size
from karma_sync.cli.screen import Line, Tone, print_table
from karma_sync.cli.session import archived, sharing
from karma_sync.domain.ids import short_ids
from karma_sync.domain.text import printable
from karma_sync.errors import BadInput
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.domain.access import AccessScope
    from karma_sync.domain.session.fork import SessionFork
    from karma_sync.domain.session.readable import Readable
    from karma_sync.service.sessions.choices import HeldSession

_TITLE_CHARS = 60
_DETAIL_CHARS = 30
NOTHING_FITS = "No session fits."


def list_(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILTERS",
            help="Filters and words as in search: by:alice since:14d is:live backoff.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="Only this project: the name, or a unique ending.",
            autocompletion=completion.readable_projects,
        ),
    ] = None,
    team: TeamOption = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Only this agent's sessions: claude-code, or claude-code/reviewer."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print at most this many.")] = 50,
    after: Annotated[
        str | None,
        typer.Option(help="Go on after this session: the `cursor` of --json, or a whole id."),
    ] = None,
    long: Annotated[
        bool,
        typer.Option("--long", "-l", help="Also print agent, branches, models and tokens."),
    ] = False,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """List sessions.

    The latest active session is first. Below them are those of your own that stay here, and why;
    of one that is earlier than the limit of its project, session preview shows it. It takes the
    filters of search. TURNS counts the prompts.

    Example: karma-sync session list --project web since:14d
    """
    from karma_sync.library.reader import key_of
    from karma_sync.service.forks import known_forks

    app = App.from_environment()
    warn_if_down(app)
    scope = scope_of(app, project, team).within(agent=agent)
    everything = app.sessions.sessions(scope)
    known, notes = _selected(app, scope, everything, words or [])
    rest = _after(app, scope, known, after)
    found = rest[:limit]
    # of an unreadable directory nobody knows which sessions were deleted
    sources = app.source.ids() if app.source.is_complete else None
    seen = _Seen(app.me.tag, sources, app.source.open_sessions(), utc_now())
    forks = known_forks(app.state)
    # nothing says which of those fit a filter; a later page goes on with the list alone
    held = [] if words or agent or after else _held(app, scope)
    if as_json:
        require_private_for(found, app.me.tag, private)
        more = len(rest) > len(found)
        print_json(
            sessions=[as_json_of(r) | seen.marks(r) | _fork_of(r, seen.me, forks) for r in found],
            held=[asdict(one) for one in held],
            total=len(known),
            truncated=more,
            cursor=str(key_of(found[-1])) if more else None,
            notes=notes,
        )
        return
    short = short_ids(r.manifest.session.session_id for r in everything)
    print_line(*(f"Note: {printable(note)}" for note in notes))
    if found:
        _list_found(app, found, seen, short, long)
    else:
        print_line(_why_none(app, bool(known), agent))
    short_held = short_ids(h.session for h in held)
    rows = [(short_held[h.session], h.project, Line(h.kind.value, Tone.WAITS), h.why) for h in held]
    if rows:
        print_table(("STAYS", "PROJECT", "", "WHY"), rows)
    _name_orphans(app, after)
    if len(rest) > len(found):
        step = f"--after {quote(str(key_of(found[-1])))}, or --limit {len(known)}"
        more_sessions = many(len(rest) - len(found), "more session")
        options = {"--project": project, "--team": team, "--agent": agent}
        print_line(f"{more_sessions}: karma-sync session list {_typed(words or [], options)}{step}")
    is_narrowed = bool(words or after or scope != app.scope)
    otherwise = "session list" if is_narrowed else "status"
    otherwise = f"session preview {rows[0][0]}" if rows else otherwise
    shown = f"session show {short[found[0].manifest.session.session_id]}" if found else otherwise
    print_next(f"karma-sync {shown}")


def _typed(words: list[str], options: "Mapping[str, str | None]") -> str:
    """Return filters and options as a person types them, each followed by a blank."""
    narrowed = [text for name, value in options.items() if value for text in (name, value)]
    return "".join(f"{quote(word)} " for word in [*words, *narrowed])


def _fork_of(
    found: "Readable", me: str, forks: "Mapping[str, SessionFork]"
) -> dict[str, dict[str, str] | None]:
    """Return the author and session that one of my own sessions continues, for JSON."""
    manifest = found.manifest
    fork = forks.get(manifest.session.session_id) if manifest.member == me else None
    return {"fork_of": {"author": fork.author, "session": fork.parent} if fork else None}


def _name_orphans(app: App, after: str | None) -> None:
    """Print, on the first page, the forks of which the parent was withdrawn, to delete them."""
    from karma_sync.service.forks import withdrawn_forks

    for fork in [] if after else withdrawn_forks(app.state, app.library, app.source.ids):
        print_line(
            printable(
                f"{fork.author} withdrew the session that {fork.session} goes on from; to delete"
                f" the fork: karma-sync session fork --delete {fork.session}"
            )
        )


def _why_none(app: App, fits_any: bool, agent: str | None) -> str:
    if fits_any:
        return "There are no more sessions."
    if known := app.sessions.sessions(app.scope):
        agents = sorted({each.manifest.session.wrote for each in known})
        if agent and agent not in agents:
            return printable(f"{NOTHING_FITS} There are sessions of {', '.join(agents)}.")
        return NOTHING_FITS
    return (
        "There are no sessions yet. Yours appear while karma-sync runs, and those of others"
        " once both sides accept a project."
    )


def _selected(
    app: App, scope: "AccessScope", known: "list[Readable]", words: list[str]
) -> "tuple[list[Readable], list[str]]":
    """Return the sessions that fit filters and words, and notes for the person about these."""
    if not words:
        return known, []
    from karma_sync.domain.session.query import Query, joined

    query = Query.parse(joined(words), utc_now())
    return app.search.select(scope, query, known), list(query.notes)


def _held(app: App, scope: "AccessScope") -> "list[HeldSession]":
    from karma_sync.service.sessions.choices import held
    from karma_sync.service.teams import all_teams

    teams = {team.name for team in all_teams(app.state) if team.id in scope.teams}
    excluded = [each.as_held() for each in sharing.excluded_sessions(app)]
    # the daemon records an exclusion only when the session changes next
    found = {(h.project, h.session, h.team): h for h in held(app.state, app.work, app.me)}
    found |= {(h.project, h.session, h.team): h for h in excluded}
    known = [found[key] for key in sorted(found) if found[key].team in teams]
    return [h for h in known if scope.only is None or h.project in scope.only]


def _after(
    app: App, scope: "AccessScope", known: "list[Readable]", cursor: str | None
) -> "list[Readable]":
    """Return the sessions that come after the one that the cursor names; without one, all."""
    from karma_sync.library.reader import key_of

    if cursor is None:
        return known
    keys = [key_of(r) for r in known]
    last = key_of(app.sessions.session(scope, cursor))
    if last not in keys:
        raise BadInput(
            f"session {last.session} is not in this list",
            hint="--after with the filters of the list that named it, or leave it out",
        )
    return known[keys.index(last) + 1 :]


def _list_found(
    app: App, found: "list[Readable]", seen: "_Seen", short: Mapping[str, str], long: bool
) -> None:
    from karma_sync.library.reader import author
    from karma_sync.service.teams import all_teams

    teams = all_teams(app.state)
    rows = [
        (
            short[r.manifest.session.session_id],
            seen.when(r),
            f"by {author(r.manifest.member, app.me.tag, teams)}{archived.only_here(r)}",
            archived.place(r),
            *(_details(r) if long else ()),
            str(r.manifest.session.prompts),
            size(r.manifest.size),
            title_of(r),
        )
        for r in found
    ]
    print_table(
        ("ID", "ACTIVE", "AUTHOR", "PROJECT", *(_LONG if long else ()), "TURNS", "SIZE", "SUMMARY"),
        rows,
    )
    if any(seen.is_kept(r) for r in found):
        print_line("kept: the agent deleted its own copy")


@dataclass(frozen=True)
class _Seen:
    """Tells the state of a session: live, ended, or kept after the agent deleted it.

    `sources` are the ids of the sessions that the agent still has; None if its directory is
    missing or unreadable. `open` are those that a process of the agent has open now.
    """

    me: str
    sources: frozenset[str] | None
    open: frozenset[str]
    now: datetime

    def is_kept(self, found: "Readable") -> bool:
        """Whether it is my own, and the agent deleted its copy."""
        manifest = found.manifest
        if self.sources is None or manifest.member != self.me:
            return False
        return manifest.session.session_id not in self.sources

    def when(self, found: "Readable") -> "str | Line":
        """Return when it was active, green while it is live."""
        if self.is_live(found):
            return Line("live", Tone.CONFIRMED)
        when = ago(found.manifest.session.last_activity or found.arrived)
        return Line(f"{when}, kept", Tone.SECONDARY) if self.is_kept(found) else when

    def is_live(self, found: "Readable") -> bool:
        """Whether the agent still works in it.

        Of my own sessions this machine knows better than a manifest, which may be an older one.
        """
        facts = found.manifest.session
        if found.manifest.member == self.me and facts.running and facts.session_id not in self.open:
            return False
        return facts.is_live(self.now) and not self.is_kept(found)

    def marks(self, found: "Readable") -> dict[str, object]:
        """Return the same for JSON; `source` is null for a session of another member."""
        own = found.manifest.member == self.me
        gone = self.is_kept(found)
        return {
            "state": "live" if self.is_live(found) else "ended",
            "source": ("deleted" if gone else "present") if own else None,
        }


_LONG = ("AGENT", "BRANCH", "MODEL", "TOKENS IN/OUT")


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
        f"{taken}/{spent.output}",
    )


def scope_of(app: App, project: str | None = None, team: str | None = None) -> "AccessScope":
    """All that the reader may see; with `project` or `team`, of this one alone."""
    from karma_sync.cli.project_argument import readable_named
    from karma_sync.service.teams import find_team

    scope = app.scope.within(team=find_team(app.state, team).id if team else None)
    if project is None:
        return scope
    return scope.within(project=readable_named(app, scope, project))


def many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def title_of(found: "Readable") -> str:
    from karma_sync.domain.text import one_line

    return one_line(found.manifest.session.title, _TITLE_CHARS) or "(no title)"


def as_json_of(found: "Readable") -> dict[str, object]:
    from karma_sync.library.reader import key_of

    manifest = found.manifest
    return {
        "id": manifest.session.session_id,
        "key": str(key_of(found)),
        "author": manifest.member,
        "project": manifest.project,
        "team_id": manifest.team,
        "revision": manifest.revision,
        "size": manifest.size,
        "redactions": manifest.redactions,
        "arrived": found.arrived,
        "archived": bool(archived.only_here(found)),
        **manifest.session.to_fields(),
    }
