"""Consent to a subscription: shows what would be sent and to whom, and asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.ask import ask_for_name, ask_unless, is_terminal
from karma_sync.cli.notices import print_staying
from karma_sync.cli.output import print_line, size, span, warn_of_unreadable
from karma_sync.cli.progress import ProgressBar
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import USUAL, Content
from karma_sync.domain.text import printable
from karma_sync.errors import BadInput
from karma_sync.paths import user_home
from karma_sync.runtime.timing import Deadline, utc_now

if TYPE_CHECKING:
    from karma_sync.domain.session.selection import Limits
    from karma_sync.domain.session.source_files import SourceSession
    from karma_sync.domain.team.machine import TeamPolicy
    from karma_sync.service.projects import ProjectAnswers, Terms
    from karma_sync.service.sessions.observations import LeavingObservations
    from karma_sync.service.sessions.survey import LeavingSessions, Survey

_OBSERVATIONS = 20  # titles of observations that are shown
_COUNT_S = 10.0  # seconds of counting redactions, before the count is called a sample
_PROFILES = {
    Profile.CONVERSATION: "transcripts only, also of subagents; no progress, no hooks",
    Profile.STANDARD: "",
    Profile.FULL: "all files, with file history (whole source files) and debug logs (environment);"
    " all records, with your private instructions and what the agent posts to its API",
}


@dataclass(frozen=True)
class ConsentOptions:
    """The options as typed, None where one was not; `before` are the limits that hold now."""

    direction: Direction | None = None
    since: str | None = None
    last: int | None = None
    after_idle: str | None = None
    profile: Profile | None = None
    yes: bool = False
    dry_run: bool = False
    before: "Limits | None" = field(default=None)
    whole_home: str | None = None
    contents: tuple[Content, ...] = USUAL
    usual: Direction = Direction.BOTH

    def or_usual(self, policy: "TeamPolicy") -> "ConsentOptions":
        """These options, with the person's usual ones for the team where none was typed."""
        is_limited = self.since is not None or self.last is not None
        return replace(
            self,
            since=self.since if is_limited else policy.since,
            last=self.last if is_limited else policy.last,
            profile=self.profile or policy.profile,
            usual=policy.direction or Direction.BOTH,
        )

    def require_some(self, standing: "ProjectAnswers") -> None:
        """Raises BadInput if no option was typed."""
        asked = (self.direction, self.since, self.last, self.after_idle, self.profile)
        if not self.dry_run and all(each is None for each in asked):
            raise BadInput(
                f"no option says what to change for {standing.project}",
                hint=f"karma-sync subscription change {standing.named} --direction receive,"
                " or another option of --help",
            )

    @property
    def limits(self) -> "Limits":
        """The limits that the options ask for, without --last.

        Raises:
            BadInput: an option is not a moment or not a time span.
        """
        from karma_sync.domain.session.selection import Limits
        from karma_sync.domain.timespan import parse_duration, parse_since

        kept = self.before or Limits()
        since = kept.since
        if self.since is not None or (self.before is None and self.last is None):
            since = parse_since(self.since, utc_now())
        elif self.last is not None:
            since = None
        idle = kept.after_idle
        if self.after_idle is not None:
            idle = int(parse_duration(self.after_idle).total_seconds())
        return kept.changed(since=since, after_idle=idle, profile=self.profile or kept.profile)


def consented(app: App, standing: "ProjectAnswers", wishes: ConsentOptions) -> "Terms | None":
    """Show what would be sent and ask; return the accepted terms, None for a dry run.

    Raises:
        BadInput: an option, or a redaction rule of the person, cannot be used.
        NeedsConsent: the answer was no, or there is no terminal.
    """
    from karma_sync.service.projects import Terms

    mine = standing.mine
    chosen = wishes.direction or (mine.direction if mine.engaged else wishes.usual)
    limits = wishes.limits
    print_line(f"{standing.project} in team {standing.team.name}, direction {chosen}.")
    if standing.names.aliases:
        print_line(f"  also named:  {', '.join(sorted(standing.names.aliases))}")
    if chosen is not Direction.RECEIVE:
        warn_of_unreadable(app.source.closed())
        sessions = app.source.sessions()
        found = _survey(app, standing, sessions)
        limits = _with_last(found, limits, wishes.last)
        if Content.SESSIONS in wishes.contents:
            _show(app, standing, found, limits, count=not _agreed(wishes))
        limits = _with_observations(app, standing, wishes.contents, limits)
        _propose(app, standing, sessions)
        has_home = takes_home(app, standing)
        if has_home:
            show_home()
    else:
        print_line("  sends now:   nothing; you only receive")
        has_home = False
    if wishes.dry_run:
        print_line("Nothing was changed.")
        return None
    if has_home:
        question = "To send it for all of your home, type the project's name:"
        ask_for_name(standing.project, wishes.whole_home, question, "--whole-home")
    first = wishes.before is None
    ask_unless(_agreed(wishes), "--yes, or an explicit --direction" if first else "--yes")
    return Terms(direction=chosen, content=wishes.contents, limits=limits)


def _with_observations(
    app: App, standing: "ProjectAnswers", contents: "tuple[Content, ...]", limits: "Limits"
) -> "Limits":
    """Show which observations would be sent too; the limits after a yes to that.

    Where there are none, or they are turned off, nothing is shown and nothing agreed to: the first
    ones are shown by `observation share`.
    """
    wanted = [c for c in contents if c is Content.OBSERVATIONS]
    if not wanted or not app.observation_settings().share:
        return limits
    from karma_sync.service.sessions.observations import outlet_of

    leaving = app.observation_survey.leaving(outlet_of(app.state, app.me, standing), wanted, limits)
    if not leaving.found:
        return limits
    show_observations(standing, leaving)
    return limits.changed(observations=True)


def show_observations(
    answers: "ProjectAnswers", leaving: "LeavingObservations", *, whole: bool = False
) -> None:
    """Print what would leave of observations: how many, of which types, the cuts, the receivers."""
    count = len(leaving.found)
    many = "1 observation" if count == 1 else f"{count} observations"
    print_line(f"  sends now:   {f'{many}: {counts_text(leaving.types)}' if count else 'nothing'}")
    for each in leaving.found if whole else leaving.found[:_OBSERVATIONS]:
        print_line(printable(f"               [{each.type}] {each.title}"))
        if whole and each.type == "memory":
            for line in each.content.splitlines():
                print_line(printable(f"                 {line}"))
    if count > _OBSERVATIONS and not whole:
        print_line(f"               and {count - _OBSERVATIONS} more")
    if leaving.stays:
        print_line(f"  stays here:  {counts_text(leaving.reasons)}")
    for problem in leaving.problems:
        print_line(printable(f"  not read:    {problem}"))
    print_line(f"  cut out:     {counts_text(leaving.cuts) or 'nothing'}")
    print_line(f"  receivers:   {receivers(answers)}")


def counts_text(counts: "Mapping[str, int]") -> str:
    """Numbers with their names on one line: `bugfix 3, decision 1`."""
    return ", ".join(f"{printable(name) or 'untyped'} {count}" for name, count in counts.items())


def _agreed(wishes: ConsentOptions) -> bool:
    """Whether the options say yes; then the command does not count redactions either."""
    if wishes.dry_run:
        return False
    # a direction is an answer to an offer; of a change it says nothing about wider limits
    answered = wishes.before is None and wishes.direction is not None
    return wishes.yes or (answered and not is_terminal())


def _survey(app: App, standing: "ProjectAnswers", sessions: "Sequence[SourceSession]") -> "Survey":
    from karma_sync.service.sessions.survey import survey

    with ProgressBar("reading sessions") as progress:
        return survey(app.decider, sessions, standing.names, progress)


def _propose(app: App, standing: "ProjectAnswers", sessions: "Sequence[SourceSession]") -> None:
    """Print clones that may be forks of the project, which the person may map."""
    from karma_sync.service.project_scan import forks_of

    for fork in forks_of(app.matcher, sessions, standing.names):
        origin = f"its `origin` is {fork.origin}" if fork.origin else "it has no `origin`"
        print_line(f"  not from:    {fork.root}: {origin}, only `{fork.remote}` is this project")
        step = f"karma-sync project map {quote(str(fork.root))} {standing.project}"
        print_line(f"               to add it: {step}")


def _with_last(found: "Survey", limits: "Limits", last: int | None) -> "Limits":
    if last is None:
        return limits
    from karma_sync.domain.session.selection import Limits

    newest = Limits(since=found.since_of_newest(last, limits, utc_now()))
    return limits.changed(since=limits.narrowed(newest).since)


def _show(
    app: App, standing: "ProjectAnswers", found: "Survey", limits: "Limits", count: bool
) -> None:
    from karma_sync.service.sessions.survey import what_would_leave

    leaving = what_would_leave(app.decider, found, limits)
    show_terms(app, standing, leaving, limits, count)


def takes_home(app: App, standing: "ProjectAnswers") -> bool:
    """Whether the person's home is a directory of the project, such as one of dotfiles."""
    from karma_sync.service.sessions.widening import has_home

    return has_home(app.matcher, standing.names, str(user_home()))


def show_home() -> None:
    """Print the consequences if the person's home is a directory of a project."""
    print_line(
        f"  takes:       all of your home, {user_home()}: every session in it that is in no other"
        " repository, also those of directories that were deleted since"
    )


def show_terms(
    app: App, standing: "ProjectAnswers", leaving: "LeavingSessions", limits: "Limits", count: bool
) -> None:
    """Print what would be sent and what stays, the cuts (if `count`), and who receives it."""
    _show_leaving(leaving)
    _show_staying(leaving)
    if limits.after_idle:
        print_line(f"  when:        after a session was idle for {span(limits.after_idle)}")
    if _PROFILES[limits.profile]:
        print_line(f"  content:     {_PROFILES[limits.profile]}")
    if count:
        show_cuts(app, leaving.sessions, limits.profile)
    print_line(f"  receivers:   {receivers(standing)}")
    print_line(
        "  redaction:   secrets that a rule matches are cut out first; other secrets are sent"
    )


def receivers(standing: "ProjectAnswers") -> str:
    """Return the tags of the members that would receive what is sent."""
    recipients = ", ".join(m.tag for m in standing.recipients)
    return recipients or "none yet; later every member of the team"


def _show_leaving(leaving: "LeavingSessions") -> None:
    if not leaving.sessions:
        print_line("  sends now:   nothing; sessions of this project are sent as they are written")
        return
    oldest = f", the oldest last active {leaving.oldest:%Y-%m-%d}" if leaving.oldest else ""
    count = len(leaving.sessions)
    many = "1 session" if count == 1 else f"{count} sessions"
    print_line(f"  sends now:   {many}, {size(leaving.size)}{oldest}")
    for directory in leaving.directories:
        print_line(f"               from {directory}")


def _show_staying(leaving: "LeavingSessions") -> None:
    from karma_sync.domain.session.selection import Outcome

    reasons = {
        Outcome.EARLIER: "earlier {}, before the limit (--since all sends them)",
        Outcome.MIXED: "{} that also worked in another place:",
        Outcome.WITHHELD: "{} that you withhold",
        Outcome.UNSHARED: "{} that you unshared",
        Outcome.EXCLUDED: "{} that worked in a directory that you exclude",
    }
    for outcome, reason in reasons.items():
        count = leaving.stays.get(outcome, 0)
        if not count:
            continue
        print_line(f"  stays here:  {count} {reason.format(_sessions(count))}")
        for place in leaving.places if outcome is Outcome.MIXED else ():
            print_line(f"               in {printable(place)}")


def show_cuts(app: App, sessions: "Sequence[SourceSession]", profile: Profile) -> None:
    """Print how often each rule would cut; counts a sample, if it takes too long.

    Raises:
        BadInput: a redaction rule of the person cannot be used.
        RedactionFailed: the session would not be sent either.
    """
    from karma_sync.service.sessions.redaction_preview import count_cuts

    redactor = app.redactions.redactor()
    deadline = Deadline(_COUNT_S)
    with ProgressBar("counting redactions") as progress:

        def go_on(done: int) -> bool:
            progress(done, len(sessions))
            return not deadline.is_over

        counted = count_cuts(redactor, sessions, profile, go_on)
    found = ", ".join(f"{rule} {count}" for rule, count in sorted(counted.cuts.items()))
    sample = "" if counted.searched == counted.all else _sample(counted.searched, counted.all)
    if counted.all:
        print_line(f"  cut out:     {found or 'nothing'}{sample}")
        print_staying(counted.withheld)


def _sample(looked: int, all_: int) -> str:
    return f" (a sample: the newest {looked} of {all_} sessions)"


def _sessions(count: int) -> str:
    return "session" if count == 1 else "sessions"
