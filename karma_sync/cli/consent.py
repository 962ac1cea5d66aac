"""Accepting is consent: show what would leave, to whom, and ask."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING

from karma_sync.app import App, utc_now
from karma_sync.cli.output import is_terminal, say, size, warn_of_closed
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.selection import Outcome
from karma_sync.domain.team.subscription import Direction
from karma_sync.domain.text import printable
from karma_sync.errors import BadInput

if TYPE_CHECKING:
    from karma_sync.domain.session.selection import Limits
    from karma_sync.domain.session.source_files import SourceSession
    from karma_sync.service.projects import ProjectAnswers, Terms
    from karma_sync.service.sessions.survey import LeavingSessions, Survey
from karma_sync.cli.output import Progress, ask_unless

_COUNT_S = 10.0  # for how long what would be cut is counted, before it is called a sample
_STAYS = {
    Outcome.EARLIER: "earlier {}, before the limit (--since all sends all)",
    Outcome.MIXED: "{} that also worked elsewhere:",
    Outcome.WITHHELD: "{} that you withhold",
    Outcome.UNSHARED: "{} that you unshared",
    Outcome.EXCLUDED: "{} that worked in a directory that you exclude",
}
_PROFILES = {
    Profile.CONVERSATION: "transcripts only, with those of subagents",
    Profile.STANDARD: "",
    Profile.FULL: "all files, with file history (whole source files) and debug logs (environment)",
}


@dataclass(frozen=True)
class SharingOptions:
    """What was typed; None where nothing was. `before` is what holds already."""

    direction: Direction | None = None
    since: str | None = None
    last: int | None = None
    after_idle: str | None = None
    profile: Profile | None = None
    yes: bool = False
    dry_run: bool = False
    before: "Limits | None" = field(default=None)

    def require_some(self, standing: "ProjectAnswers") -> None:
        """Raises BadInput if nothing was asked for."""
        asked = (self.direction, self.since, self.last, self.after_idle, self.profile)
        if not self.dry_run and all(each is None for each in asked):
            raise BadInput(
                f"say what to change for {standing.project}",
                hint=f"karma-sync subscription change {standing.named} --direction receive,"
                " or what else --help lists",
            )

    @property
    def limits(self) -> "Limits":
        """What they ask for, but for the newest so many.

        Raises:
            BadInput: a moment or a time span is none.
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
        return Limits(since=since, after_idle=idle, profile=self.profile or kept.profile)


def consented(app: App, standing: "ProjectAnswers", wishes: SharingOptions) -> "Terms | None":
    """Show what would leave and ask; the terms that were agreed to, None if it was only to show.

    Raises:
        BadInput: an option cannot be used, or the person's own rules.
        NeedsConsent: the answer was no, or nobody could be asked.
    """
    from karma_sync.service.projects import Terms

    mine = standing.mine
    chosen = wishes.direction or (mine.direction if mine.engaged else Direction.BOTH)
    limits = wishes.limits
    say(f"{standing.project} in team {standing.team.name}, direction {chosen}.")
    if standing.names.aliases:
        say(f"  also named:  {', '.join(sorted(standing.names.aliases))}")
    if chosen is not Direction.RECEIVE:
        warn_of_closed(app.source.closed())
        sessions = app.source.sessions()
        found = _survey(app, standing, sessions)
        limits = _with_last(found, limits, wishes.last)
        _show(app, standing, found, limits, count=not _agreed(wishes))
        _propose(app, standing, sessions)
    else:
        say("  leaves now:  nothing; you only receive")
    if wishes.dry_run:
        say("Nothing was changed.")
        return None
    ask_unless(_agreed(wishes), "--yes, or an explicit --direction")
    return Terms(direction=chosen, limits=limits)


def _agreed(wishes: SharingOptions) -> bool:
    """Whether there is a yes already; then nobody waits for cuts to be counted either."""
    if wishes.dry_run:
        return False
    return wishes.yes or (wishes.direction is not None and not is_terminal())


def _survey(app: App, standing: "ProjectAnswers", sessions: "Sequence[SourceSession]") -> "Survey":
    from karma_sync.service.sessions.survey import survey

    with Progress("looking through sessions") as progress:
        return survey(app.decider, sessions, standing.names, progress)


def _propose(app: App, standing: "ProjectAnswers", sessions: "Sequence[SourceSession]") -> None:
    """Clones that may be forks of the project: only the person can say so."""
    from karma_sync.service.project_scan import forks_of

    for fork in forks_of(app.matcher, sessions, standing.names):
        origin = f"its `origin` is {fork.origin}" if fork.origin else "it has no `origin`"
        say(f"  not from:    {fork.root}: {origin}, only `{fork.remote}` is this project")
        step = f"karma-sync project map {quote(str(fork.root))} {standing.project}"
        say(f"               to add it: {step}")


def _with_last(found: "Survey", limits: "Limits", last: int | None) -> "Limits":
    if last is None:
        return limits
    from karma_sync.domain.session.selection import Limits

    newest = Limits(since=found.since_of_newest(last, limits, utc_now()))
    return limits.model_copy(update={"since": limits.narrowed(newest).since})


def _show(
    app: App, standing: "ProjectAnswers", found: "Survey", limits: "Limits", count: bool
) -> None:
    from karma_sync.service.sessions.survey import what_would_leave

    leaving = what_would_leave(app.decider, found, limits)
    _show_leaving(leaving)
    _show_staying(leaving)
    if limits.after_idle:
        say(f"  when:        once a session was quiet for {limits.after_idle} s")
    if _PROFILES[limits.profile]:
        say(f"  what:        {_PROFILES[limits.profile]}")
    if count:
        show_cuts(app, leaving.sessions, limits.profile)
    recipients = ", ".join(m.tag for m in standing.recipients)
    say(f"  goes to:     {recipients or 'nobody yet; later everybody in the team'}")
    say("  first:       secrets are cut out, as far as our rules know them: a net, not a proof")


def _show_leaving(leaving: "LeavingSessions") -> None:
    if not leaving.sessions:
        say("  leaves now:  nothing; sessions of this project leave as they are written")
        return
    oldest = f", the oldest last active {leaving.oldest:%Y-%m-%d}" if leaving.oldest else ""
    count = len(leaving.sessions)
    many = "1 session" if count == 1 else f"{count} sessions"
    say(f"  leaves now:  {many}, {size(leaving.size)}{oldest}")
    for directory in leaving.directories:
        say(f"               from {directory}")


def _show_staying(leaving: "LeavingSessions") -> None:
    for outcome, reason in _STAYS.items():
        count = leaving.stays.get(outcome, 0)
        if not count:
            continue
        say(f"  stays here:  {count} {reason.format('session' if count == 1 else 'sessions')}")
        for place in leaving.places if outcome is Outcome.MIXED else ():
            say(f"               in {printable(place)}")


def show_cuts(app: App, sessions: "Sequence[SourceSession]", profile: Profile) -> None:
    """Say what the redactor would cut by each rule; of a sample, if it takes too long.

    Raises:
        BadInput: the person's own rules cannot be used.
        RedactionFailed: then nothing of a session would leave either.
    """
    from karma_sync.service.sessions.redaction_preview import count_cuts

    redactor = app.redactions.redactor()
    deadline = time.monotonic() + _COUNT_S
    with Progress("counting what is cut") as progress:

        def go_on(done: int) -> bool:
            progress(done, len(sessions))
            return time.monotonic() < deadline

        counted = count_cuts(redactor, sessions, profile, go_on)
    found = ", ".join(f"{rule} {count}" for rule, count in sorted(counted.cuts.items()))
    sample = "" if counted.looked == counted.all else _sample(counted.looked, counted.all)
    if counted.all:
        say(f"  cut out:     {found or 'nothing'}{sample}")


def _sample(looked: int, all_: int) -> str:
    return f" (a sample: the newest {looked} of {all_} sessions; the others were not read yet)"
