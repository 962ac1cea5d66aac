"""Notices that several commands print."""

from typing import TYPE_CHECKING

from karma_sync.app import App
from karma_sync.cli.output import print_error, print_line, print_next, record_types, size
from karma_sync.domain.text import printable
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.agents.record_choice import WithheldRecords

DOWN = "the daemon is not running: nothing is synced, and this is the last known state"

STARTING = "the daemon is starting or stopping; this is the last known state"


def print_if_down(app: App) -> None:
    """Print that a change waits for the daemon, if no daemon runs."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        print_line("The daemon is not running: this takes effect once it runs (karma-sync up -d).")


def print_staying(withheld: "WithheldRecords") -> None:
    """Print which records of a transcript stay here, by type, and which types are not known."""
    known, unknown = withheld.known_types, withheld.unknown_types
    if known:
        total = size(sum(count for _, count in known.values()))
        print_line(f"  records:     {total} of other records stay here: {record_types(known)}")
    if unknown:
        print_line(
            f"  not known:   records of these types stay here: {printable(record_types(unknown))}"
        )


def print_next_step(app: App) -> None:
    """Print the command that comes next in this situation, if there is one."""
    from karma_sync.service.next_step import next_step, situation

    step = next_step(situation(app.state, app.me, utc_now()))
    if step:
        print_next(step)


def warn_of_unsearched(app: App) -> None:
    """Warn of the agent's directories that this shell names and karma-sync does not search."""
    settings = app.settings
    if settings.unsearched:
        here = ", ".join(map(str, settings.unsearched))
        searched = ", ".join(map(str, settings.claude_dirs))
        print_error(
            f"CLAUDE_CONFIG_DIR names {here}, which is not searched; searched: {searched}",
            f"add it to claude_dirs in {app.paths.settings}, then karma-sync down and up -d",
        )


def warn_if_down(app: App) -> None:
    """Warn on standard error that a command shows old data, if no daemon runs.

    Before `init` the command itself names the next step.
    """
    from karma_sync.daemon.lock import running

    if app.paths.settings.exists() and running(app.paths) is None:
        print_error(DOWN, "karma-sync up -d")
