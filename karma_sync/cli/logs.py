"""Where the daemon's log goes: standard error, one line an entry; journald adds the time."""

import logging
import os
import sys


def log_to_stderr() -> None:
    """Log warnings and what a person should know; everything with KARMA_SYNC_DEBUG set."""
    under_journald = "JOURNAL_STREAM" in os.environ
    pattern = "%(message)s" if under_journald else "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=pattern)
    level = logging.DEBUG if os.environ.get("KARMA_SYNC_DEBUG") else logging.INFO
    logging.getLogger("karma_sync").setLevel(level)
