"""Spans of time as people type them: 2h, 30d, or a date."""

import re
from datetime import UTC, date, datetime, timedelta

from karma_sync.errors import BadInput

_DURATION = re.compile(r"(\d{1,4})([smhd])")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """A time span as people type it: 45s, 30m, 2h, 3d; 0s is none.

    Raises:
        BadInput: it is none.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadInput(f"{text!r} is no time span", hint="for instance 30m, 2h, 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


DEFAULT_HISTORY = timedelta(days=30)


def parse_since(text: str | None, now: datetime) -> datetime | None:
    """The moment a person means (UTC); None for the whole history.

    `all`, `now`, a number of days as in `14d`, or a date as in 2026-05-31; 30 days if not said.

    Raises:
        BadInput: it is none of these.
    """
    if text is None:
        return now - DEFAULT_HISTORY
    if text == "all":
        return None
    if text == "now":
        return now
    try:
        if text.endswith("d") and text[:-1].isdigit():
            return now - timedelta(days=int(text[:-1]))
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(
            f"{text!r} is no moment",
            hint="--since all, --since now, --since 14d, --since 2026-05-31",
        ) from None
