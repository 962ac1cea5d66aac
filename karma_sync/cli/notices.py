"""Notices that several commands print."""

from karma_sync.app import App
from karma_sync.cli.output import print_error, print_line

DOWN = "the daemon is not running: nothing is synced, and this is the last known state"

STARTING = "the daemon is starting or stopping; this is the last known state"


def print_if_down(app: App) -> None:
    """Print that a change waits for the daemon, if no daemon runs."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        print_line("The daemon is not running: this takes effect once it runs (karma-sync up -d).")


def warn_if_down(app: App) -> None:
    """Warn on standard error that a command shows old data, if no daemon runs.

    Before `init` the command itself names the next step.
    """
    from karma_sync.daemon.lock import running

    if app.paths.settings.exists() and running(app.paths) is None:
        print_error(DOWN, "karma-sync up -d")
