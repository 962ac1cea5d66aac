"""The commands `session preview`, `session share`, `session withhold` and `exclude`."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.ask import ask_unless
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import print_if_down, print_staying
from karma_sync.cli.options import JsonOption, PrivateOption, YesOption
from karma_sync.cli.output import print_json, print_line, print_next, size, write_raw
from karma_sync.cli.widening import consent_to_more
from karma_sync.errors import BadInput, Conflict
from karma_sync.paths import current_directory, user_home

if TYPE_CHECKING:
    from karma_sync.domain.session.source_files import SourceSession
    from karma_sync.service.sessions.excluding import ExcludedSession
    from karma_sync.service.sessions.preview import Preview, Way

_CUTS_SHOWN = 200
_SENT_SHOWN = 20

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The beginning of the id of a session on this machine.",
        autocompletion=completion.own_sessions,
    ),
]


def add_to(app: typer.Typer, sessions: typer.Typer) -> None:
    """Register the commands, those for a session in the group `sessions`."""
    for command in (preview, share, withhold):
        sessions.command()(command)
    app.command()(exclude)


def preview(
    wanted: IdArgument,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the exact bytes that would be sent.")
    ] = False,
    file: Annotated[str, typer.Option(help="With --raw: print another file.")] = "transcript.jsonl",
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """Preview a session.

    It shows the receivers, the files, and each redaction of a session that would be sent.

    Example: karma-sync session preview 3a782158
    """
    from karma_sync.service.sessions.preview import content, is_sent, outlets
    from karma_sync.service.sessions.preview import preview as look

    app = App.from_environment()
    session = _own(app, wanted)
    ways = outlets(app.state, app.me)
    if (raw or as_json) and not is_sent(app.decider, session, ways):
        require_private(private, "the session stays here")
    if raw:
        write_raw(content(app.decider, app.redactions.redactor(), session, ways, file))
        return
    found = look(app.decider, app.redactions.redactor(), session, ways)
    if as_json:
        print_json(**_as_json(found))
    else:
        _show(found)


def share(
    wanted: IdArgument,
    project: Annotated[
        str | None,
        typer.Option(
            help="The project, if it worked in several.", autocompletion=completion.projects
        ),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Share a session.

    It is for a session that is not sent, since it also worked in another place, is earlier than the
    limit, or is withheld. The command shows the session, and asks. If the session works in yet
    another place later, no more of it is sent.

    Example: karma-sync session share 3a
    """
    from karma_sync.domain.session.selection import Share
    from karma_sync.service.sessions import choices
    from karma_sync.service.sessions.preview import one_project, outlets, ways_of

    app = App.from_environment()
    session = _own(app, wanted)
    all_ways = ways_of(app.decider, session, outlets(app.state, app.me))
    identity, ways = one_project(all_ways, project)
    others = tuple(
        sorted({other for way in ways for other in way.candidate.belonging.others(identity)})
    )
    _require_shareable(session, ways)
    _show_share(app, session, others, ways)
    ask_unless(yes, "--yes")
    choices.share(app.state, Share(session=session.session_id, project=identity, others=others))
    print_line(f"{session.session_id} is sent to {identity}.")
    print_if_down(app)
    print_next("karma-sync status")


def withhold(wanted: IdArgument) -> None:
    """Withhold a session.

    No more of it is sent. The part that was sent stays with the receivers.

    Example: karma-sync session withhold 3a782158
    """
    from karma_sync.service.sessions import choices

    app = App.from_environment()
    session = _own(app, wanted)
    choices.withhold(app.state, session.session_id)
    print_line(f"{session.session_id} is withheld: no more of it is sent.")
    print_if_down(app)
    if choices.has_left(app.state, app.work, app.me, session.session_id):
        print_line("What was sent stays with the receivers.")
        print_next(f"karma-sync session unshare {session.session_id}, to withdraw it")
    else:
        print_next(f"karma-sync session share {session.session_id}, if you change your mind")


def exclude(
    directories: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIR|PATTERN", help="A directory, or a pattern with * ? [ ]."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove these exclusions.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the exclusions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the exclusions as JSON.")] = False,
    yes: YesOption = False,
) -> None:
    """Exclude a directory.

    No session is sent that worked there or below. A pattern without a slash, such as 'client-*',
    matches the name of a directory anywhere. The command shows what was sent from there before.

    Example: karma-sync exclude ~/private
    """
    from karma_sync.service.sessions import choices
    from karma_sync.service.sessions.excluding import patterns_of
    from karma_sync.service.sessions.widening import SendingRules

    app = App.from_environment()
    sent: list[ExcludedSession] = []
    if directories:
        here, home = current_directory(), user_home()
        patterns = [p for text in directories for p in patterns_of(text, here, home)]
        if remove:
            choices.require_excluded(app.state, patterns)
            now = SendingRules.stored(app.state, app.me)
            consent_to_more(app, now, now.without(patterns), yes=yes)
            choices.include(app.state, patterns)
        else:
            choices.exclude(app.state, patterns)
            sent = [each for each in excluded_sessions(app) if each.left]
            sent = [each for each in sent if each.exclusion in patterns]
    elif not list_ and not as_json:
        raise BadInput("exclude needs a directory or a pattern", hint="karma-sync exclude --list")
    found = choices.excluded(app.state)
    if as_json:
        print_json(excluded=found, sent=[asdict(each) for each in sent])
        return
    print_line(*(found or ["No directory is excluded."]))
    _show_sent(sent)
    if directories:
        print_if_down(app)


def excluded_sessions(app: App) -> "list[ExcludedSession]":
    """Return the sessions that exclusions keep here."""
    from karma_sync.service.sessions.choices import excluded
    from karma_sync.service.sessions.excluding import ExcludedSessions
    from karma_sync.service.sessions.preview import outlets
    from karma_sync.service.sessions.withdrawal import left

    if not excluded(app.state):
        return []
    finder = ExcludedSessions(app.decider, app.view)
    return finder.all(app.source.sessions(), outlets(app.state, app.me), left(app.work))


def _show_sent(sent: "list[ExcludedSession]") -> None:
    """Print what others have of sessions that are excluded now, and how to take it back."""
    if not sent:
        return
    count = len({each.session for each in sent})
    print_line(
        f"{'1 session was' if count == 1 else f'{count} sessions were'} sent from there before."
        " No more is sent, but what was sent stays with the receivers:"
    )
    for each in sent[:_SENT_SHOWN]:
        print_line(f"  {each.session}, {each.project} in {each.team}")
    if len(sent) > _SENT_SHOWN:
        print_line(f"  and {len(sent) - _SENT_SHOWN} more: karma-sync session list shows all")
    print_next(f"karma-sync session unshare {sent[0].session}, to withdraw it")


def _own(app: App, wanted: str) -> "SourceSession":
    from karma_sync.service.sessions.choices import find_own

    return find_own(app.source.sessions(), wanted, app.settings.tag)


def _require_shareable(session: "SourceSession", ways: "list[Way]") -> None:
    from karma_sync.domain.session.selection import Outcome

    outcomes = {way.decision.outcome for way in ways}
    if outcomes == {Outcome.LEAVES}:
        raise Conflict(f"{session.session_id} is already sent", hint="karma-sync status")
    if Outcome.UNSHARED in outcomes:
        raise Conflict(
            f"{session.session_id} stays here: you unshared it",
            hint=f"karma-sync session unshare {session.session_id} --undo",
        )
    if Outcome.EXCLUDED in outcomes:
        why = next(w.decision.why for w in ways if w.decision.outcome is Outcome.EXCLUDED)
        raise Conflict(
            f"{session.session_id} stays here: {why}", hint="karma-sync exclude --remove PATTERN"
        )


def _show_share(
    app: App, session: "SourceSession", others: tuple[str, ...], ways: "list[Way]"
) -> None:
    from karma_sync.domain.text import printable
    from karma_sync.service.forks import known_forks
    from karma_sync.service.sessions.preview import outlets
    from karma_sync.service.sessions.preview import preview as look

    identity = ways[0].answers.project
    mine = [each for each in outlets(app.state, app.me) if each[0].project == identity]
    found = look(app.decider, app.redactions.redactor(), session, mine)
    print_line(f"{session.session_id}: {printable(found.title)}")
    print_line(f"  sent to:     {identity}, {size(sum(f.size for f in found.files))}")
    for other in others:
        print_line(f"               it also worked in {other}")
    if fork := known_forks(app.state).get(session.session_id):
        print_line(printable(f"  goes on:     from session {fork.parent} by {fork.author}"))
    counted = Counter(cut.rule for cut in found.cuts)
    cuts = ", ".join(f"{rule} {count}" for rule, count in sorted(counted.items()))
    print_line(f"  cut out:     {cuts or 'nothing'}")
    print_staying(found.withheld)
    tags = sorted({tag for way in ways for tag in way.recipients})
    print_line(f"  receivers:   {', '.join(tags) or 'none yet; later every member of the team'}")
    print_line(f"  each cut:    karma-sync session preview {session.session_id}")


def _show(found: "Preview") -> None:
    from karma_sync.domain.session.selection import Outcome
    from karma_sync.domain.text import one_line, printable

    print_line(f"{found.session.session_id}: {printable(found.title) or '(no title)'}")
    for way in found.ways:
        mine, decision = way.answers.mine, way.decision
        leaves = f"sent to {', '.join(way.recipients) or 'no member yet'}"
        stays = f"stays here: {decision.reason}"
        held = mine.status if mine.status != "accepted" else ""
        outcome = leaves if decision.outcome is Outcome.LEAVES else stays
        print_line(f"  {mine.project} in {way.answers.team.name}: {held or outcome}")
    if not found.ways:
        print_line("  stays here: it worked in no project that you send")
    if found.branches:
        print_line(f"  branches: {', '.join(printable(b) for b in found.branches)}")
    for file in found.files:
        print_line(f"  {printable(file.name)}, {size(file.size)}")
    print_staying(found.withheld)
    print_line("", f"{len(found.cuts)} cuts" + (":" if found.cuts else ""))
    for cut in found.cuts[:_CUTS_SHOWN]:
        around = one_line(cut.around, len(cut.around))
        print_line(f"  {cut.rule}, {printable(cut.file)}, line {cut.line}: {around}")
    if len(found.cuts) > _CUTS_SHOWN:
        print_line(f"  and {len(found.cuts) - _CUTS_SHOWN} more: --json shows all")


def _as_json(found: "Preview") -> dict[str, object]:
    stays = found.withheld
    return {
        "id": found.session.session_id,
        "title": found.title,
        "branches": list(found.branches),
        "ways": [
            {
                "project": way.answers.project,
                "team": way.answers.team.name,
                "status": way.answers.mine.status,
                "outcome": way.decision.outcome,
                "why": way.decision.reason,
                "goes_to": way.recipients,
            }
            for way in found.ways
        ],
        "profile": found.profile,
        "files": [{"file": f.name, "size": f.size} for f in found.files],
        "stays": [
            {"type": name, "records": count, "size": total, "known": name not in stays.unknown}
            for name, (count, total) in sorted(stays.types.items())
        ],
        "cuts": [
            {"rule": c.rule, "file": c.file, "line": c.line, "around": c.around} for c in found.cuts
        ],
    }
