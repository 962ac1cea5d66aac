"""`python -m karma_sync` is `karma-sync`."""

from karma_sync.cli.main import run

run()
