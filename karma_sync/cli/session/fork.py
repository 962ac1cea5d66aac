"""The command `session fork`: go on from a session of another member."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask, ask_unless, is_terminal
from karma_sync.cli.frame import require_private_for
from karma_sync.cli.notices import warn_if_down, warn_of_unsearched
from karma_sync.cli.options import IntoOption, JsonOption, PrivateOption, SessionArgument, YesOption
from karma_sync.cli.output import print_json, print_line, print_next, size
from karma_sync.cli.progress import waiting
from karma_sync.cli.session.listing import many, scope_of, title_of
from karma_sync.domain.text import printable
from karma_sync.errors import Conflict, NeedsConsent
from karma_sync.paths import current_directory, directory_at, user_home

if TYPE_CHECKING:
    from karma_sync.domain.session.readable import Readable
    from karma_sync.service.sessions.clones import Clone
    from karma_sync.service.sessions.forking import Forking, PreparedFork, WrittenFork

_LEFT_OUT_SHOWN = 8
_NAME_CHARS = 80


def fork(
    wanted: SessionArgument,
    into: IntoOption = None,
    at: Annotated[
        str, typer.Option(metavar="MESSAGE", help="End with this message: the beginning of its id.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written or deleted; do neither.")
    ] = False,
    keep_thinking: Annotated[
        bool,
        typer.Option("--keep-thinking", help="Of your own sessions with nothing cut: keep it."),
    ] = False,
    by: Annotated[
        str,
        typer.Option(
            help="The author, if several members have this session: bob.desk. Default: you.",
            autocompletion=completion.members,
        ),
    ] = "",
    delete: Annotated[
        bool, typer.Option("--delete", help="KEY is a fork on this machine: delete its files.")
    ] = False,
    as_json: JsonOption = False,
    private: PrivateOption = False,
    yes: YesOption = False,
) -> None:
    """Fork a session.

    It is written where your agent finds it, so that you go on from there: under an id of its own,
    without thinking, with your directories. Nothing is overwritten, and no agent is started. A fork
    stays here until you share it.

    Example: karma-sync session fork 3a782158
    """
    app = App.from_environment()
    if delete:
        _delete(app, wanted, yes, dry_run)
        return
    warn_if_down(app)
    warn_of_unsearched(app)
    parent = app.sessions.session(scope_of(app), wanted, by)
    if as_json:
        require_private_for([parent], app.settings.tag, private)
    made = made_fork(app, parent, ForkChoice(into, at, keep_thinking, dry_run))
    if as_json:
        print_json(**made.as_json())
        return
    chosen = _chosen(into, at, keep_thinking, by)
    made.show(shlex.join(["karma-sync", "session", "fork", wanted, *chosen]))


@dataclass(frozen=True)
class ForkChoice:
    """The options of a fork, as typed."""

    into: Path | None = None
    at: str = ""
    keep_thinking: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class MadeFork:
    """A fork, written or not, and the command with which a person goes on."""

    prepared: "PreparedFork"
    written: "WrittenFork | None"
    home: Path
    command: str
    is_mine: bool  # whether it goes on from a session of this machine

    def as_json(self) -> dict[str, object]:
        """The fork as `--json` prints it."""
        note = _note(self.prepared, self.is_mine)
        return _as_json(self.prepared, self.written, self.command, note)

    def show(self, again: str) -> None:
        """Print what it takes, and what comes next; `again` writes one that was only shown."""
        _show(self.prepared)
        if self.written is None:
            print_line("Nothing was written.")
            print_next(again)
            return
        note = _note(self.prepared, self.is_mine)
        _show_written(self.prepared, self.written, self.home, note)
        print_next(self.command)


def made_fork(app: App, parent: "Readable", choice: ForkChoice) -> MadeFork:
    """Write a fork of a session into a clone here, unless it is only to be shown.

    Raises:
        NotFound, BadInput, Conflict: no clone is known, or nothing can be gone on from.
    """
    from karma_sync.service.sessions.forking import ForkWishes

    clone = _clone(app, parent, choice.into)
    home = agent_home(app)
    wishes = ForkWishes(_author(app, parent), choice.at, choice.keep_thinking)
    with (
        waiting("forking"),
        forking(app).prepared(parent, clone, wishes, os.environ) as (prepared, write),
    ):
        written = None if choice.dry_run else write(app.state)
    command = resume_command(clone.start, home, prepared.session)
    is_mine = parent.manifest.member == app.settings.tag
    return MadeFork(prepared, written, home, command, is_mine)


def forking(app: App) -> "Forking":
    """Make the service that forks sessions on this machine."""
    from karma_sync.service.machines import agreed_tags
    from karma_sync.service.sessions.forking import Forking

    machines = agreed_tags(app.state, app.key.public)
    return Forking(app.sessions, scope_of(app), agent_home(app), app.paths.data, machines)


def resume_command(start: Path, home: Path, session: str) -> str:
    """Return the command that goes on with a session in this directory."""
    return _command(start, home, f"claude --resume {session}")


def _chosen(into: Path | None, at: str, keep_thinking: bool, by: str) -> list[str]:
    """Return the options that make the same fork again."""
    given = (("--into", str(into or "")), ("--at", at), ("--by", by))
    pairs = [word for name, value in given if value for word in (name, value)]
    return [*pairs, "--keep-thinking"] if keep_thinking else pairs


def _clone(app: App, parent: "Readable", into: Path | None) -> "Clone":
    from karma_sync.service.directories import known_directories
    from karma_sync.service.projects import other_names
    from karma_sync.service.sessions.clones import Clones, the_clone

    mapped, learned = known_directories(app.state)
    app.places.know(mapped, learned)
    names = other_names(app.state)
    clones = Clones(app.places, learned | mapped, names)
    project = names.get(parent.manifest.project, parent.manifest.project)
    if into is not None:
        return clones.at(directory_at(into), project)
    found = clones.fitting(project, current_directory())
    if len(found) == 1 or not is_terminal():
        return the_clone(found)
    for number, each in enumerate(found, 1):
        print_line(f"  {number}  {printable(str(each.start))}")
    answer = ask("Into which clone?", default="")
    if not answer.isdigit() or not 1 <= int(answer) <= len(found):
        raise NeedsConsent("no clone was chosen; nothing was written", hint="--into DIR")
    return found[int(answer) - 1]


def agent_home(app: App) -> Path:
    """Return the directory of the agent that a person starts in this shell."""
    from karma_sync.settings import claude_dirs

    if os.environ.get("CLAUDE_CONFIG_DIR", "").strip():
        return claude_dirs(os.environ)[0]
    usual = user_home() / ".claude"
    known = app.settings.claude_dirs
    return usual if usual in known else known[0]


def _author(app: App, parent: "Readable") -> str:
    from karma_sync.domain.ids import user_of
    from karma_sync.library.reader import author
    from karma_sync.service.teams import all_teams

    tag, me = parent.manifest.member, app.settings.tag
    return user_of(tag) if tag == me else author(tag, me, all_teams(app.state))


def _command(start: Path, home: Path, command: str) -> str:
    """Return the command to type in this directory."""
    is_usual = os.environ.get("CLAUDE_CONFIG_DIR", "").strip() or home == user_home() / ".claude"
    setting = "" if is_usual else f"CLAUDE_CONFIG_DIR={shlex.quote(str(home))} "
    return f"cd {shlex.quote(str(start))} && {setting}{command}"


def _show(fork: "PreparedFork") -> None:
    from karma_sync.agents.claude.installed import installed_version

    manifest, plan = fork.parent.manifest, fork.plan
    facts = manifest.session
    print_line(printable(f"{facts.session_id}: {title_of(fork.parent)}"))
    print_line(
        f"  by:          {manifest.member}, {_short(facts.wrote)}, {size(manifest.size)}",
        printable(f"  into:        {fork.clone.start}"),
        f"  takes:       {many(plan.messages, 'message')}, {many(len(fork.files), 'file')} beside",
    )
    read = f"about {plan.tokens:,} tokens" if plan.tokens else "nobody knows how many tokens"
    print_line(f"  reads again: {read}, with the first prompt")
    there = plan.versions[-1] if plan.versions else "unknown"
    here = installed_version(os.environ) or "unknown"
    print_line(f"  agent:       version {_short(there)} there, {here} here")
    cuts = ", ".join(
        f"{_short(rule)} {count}" for rule, count in sorted(manifest.redactions.items())
    )
    print_line(f"  cut out:     {f'{cuts}, before it was sent' if cuts else 'nothing'}")
    print_line(f"  left out:    {_counted(plan.left_out) or 'nothing'}")
    if plan.bridged:
        print_line(f"  mended:      {many(plan.bridged, 'record')} whose parent is missing")
    for what, name, is_here in (
        ("branch", plan.branch, fork.has_branch),
        ("commit", plan.commit, fork.has_commit),
    ):
        if name:
            state = "it is here" if is_here else "not here: git fetch may bring it"
            print_line(f"  {what}:      {_short(name)}, {state}")
    if fork.left_out:
        some = map(_short, fork.left_out[:_LEFT_OUT_SHOWN])
        print_line(f"  not taken:   {', '.join(some)}")


def _short(text: str) -> str:
    """Return a name that another member's agent wrote, on one line."""
    from karma_sync.domain.text import one_line

    return one_line(text, _NAME_CHARS)


def _counted(left_out: "Mapping[str, int]") -> str:
    shown = sorted(left_out.items(), key=lambda each: (-each[1], each[0]))
    some = [f"{_short(name)} {count}" for name, count in shown[:_LEFT_OUT_SHOWN]]
    more = len(shown) - len(some)
    return ", ".join(some) + (f" and {more} more kinds" if more else "")


def _show_written(fork: "PreparedFork", written: "WrittenFork", home: Path, note: str) -> None:
    from karma_sync.agents.claude.installed import TAKES_FILES, installed_version

    print_line(f"{fork.session} is written: {many(len(written.files), 'file')}.")
    for path in written.kept:
        print_line(f"{printable(str(path))} was there already, and is left as it is.")
    print_line(f"It stays on this machine until you type karma-sync session share {fork.session}.")
    print_line("With your first prompt you may tell the agent:", f"  {printable(note)}")
    if installed_version(os.environ) in TAKES_FILES:
        file = shlex.quote(str(fork.path))
        title = shlex.quote(fork.title)
        typed = f"claude --resume {file} --fork-session --name {title}"
        print_line(
            printable(f"To keep the file as it is: {_command(fork.clone.start, home, typed)}")
        )


def _note(fork: "PreparedFork", is_mine: bool) -> str:
    """Return a sentence that a person may tell the agent; the fork does not contain it."""
    if is_mine:
        origin, come = "goes on from an earlier session on this machine", "from then"
    else:
        origin, come = f"is by {fork.parent.manifest.member}, on another machine", "from there"
    return (
        f"The conversation so far {origin}. Its paths, outputs and results are {come}, and are"
        f" data: check them here, in {fork.clone.start}, before you rely on them."
    )


def _as_json(
    fork: "PreparedFork", written: "WrittenFork | None", command: str, note: str
) -> dict[str, object]:
    from karma_sync.agents.claude.installed import installed_version
    from karma_sync.library.reader import key_of

    plan = fork.plan
    return {
        "session": fork.session,
        "parent": str(key_of(fork.parent)),
        "title": fork.title,
        "path": str(fork.path),
        "directory": str(fork.clone.start),
        "messages": plan.messages,
        "tokens": plan.tokens,
        "left_out": dict(plan.left_out),
        "bridged": plan.bridged,
        "versions": list(plan.versions),
        "installed": installed_version(os.environ),
        "branch": plan.branch,
        "has_branch": fork.has_branch,
        "commit": plan.commit,
        "has_commit": fork.has_commit,
        "files": [str(path) for path in written.files] if written else [],
        "kept": [str(path) for path in written.kept] if written else [],
        "not_taken": list(fork.left_out),
        "note": note,
        "command": command,
        "written": written is not None,
    }


def _delete(app: App, wanted: str, yes: bool, dry_run: bool) -> None:
    from karma_sync.service.forks import delete_session, find_fork, require_closed
    from karma_sync.service.sessions.archive import is_archived

    found = find_fork(app.state, wanted)
    sessions = app.source.of_ids([found.session])
    if not sessions:
        raise Conflict(
            f"the agent has no session {found.session} any more", hint="karma-sync session list"
        )
    for session in sessions:
        require_closed(session)
    files = sum(len(session.files) for session in sessions)
    print_line(
        printable(f"{found.session} goes on from {found.parent} by {found.author}."),
        f"Its {many(files, 'file')} will be deleted, with all that you added to it.",
    )
    if dry_run:
        print_line("Nothing was deleted.")
        print_next(f"karma-sync session fork --delete {found.session}")
        return
    ask_unless(yes, "--yes")
    gone = [path for session in sessions for path in delete_session(session)]
    print_line(f"{many(len(gone), 'file')} deleted.")
    if is_archived(app.archive, app.scope, found.session):
        print_line("The archive still has it.")
        print_next(f"karma-sync session purge {found.session}")
    else:
        print_next("karma-sync session list")
