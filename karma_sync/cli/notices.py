"""Notices that several commands print."""

from karma_sync.app import App
from karma_sync.cli.output import complain, say

DOWN = "the daemon is not running, so nothing moves; this is what was known last"

STARTING = "the daemon is starting or stopping; this is what was known last"


def say_if_down(app: App) -> None:
    """Every command works without the daemon, and then says that it is not running."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        say("The daemon is not running: this takes effect once it is (karma-sync up -d).")


def warn_if_down(app: App) -> None:
    """The same for commands that only read: what they print is as old as the daemon's last day."""
    from karma_sync.daemon.lock import running

    if running(app.paths) is None:
        complain(DOWN, "karma-sync up -d")
