"""Reads after how many days Claude Code deletes a session (docs/agent-files.md, "Directory")."""

import json
from pathlib import Path

DEFAULT_DAYS = 30.0
_MOST_BYTES = 1 << 20


def sweep_days(home: Path) -> float:
    """The number of days without a change after which Claude Code deletes a transcript."""
    for name in ("settings.local.json", "settings.json"):
        days = _days_in(home / name)
        if days is not None:
            return days
    return DEFAULT_DAYS


def _days_in(path: Path) -> float | None:
    try:
        with path.open("rb") as source:
            days = json.loads(source.read(_MOST_BYTES))["cleanupPeriodDays"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # it sets nothing, or nothing that its owner would understand either
    is_number = isinstance(days, int | float) and not isinstance(days, bool)
    return float(days) if is_number and days > 0 else None
