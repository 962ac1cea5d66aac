"""Parses time spans and moments as people type them: 2h, 30d, or a date."""

import re
from datetime import UTC, date, datetime, timedelta

from karma_sync.errors import BadInput

_DURATION = re.compile(r"(\d{1,4})([smhd])")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """The time span that a person types: 45s, 30m, 2h, 3d; 0s is an empty span.

    Raises:
        BadInput: the text has another form.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadInput(f"{text!r} is not a time span", hint="for instance 30m, 2h, 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


DEFAULT_HISTORY = timedelta(days=30)


def parse_since(text: str | None, now: datetime) -> datetime | None:
    """The moment that a person types (UTC); None means the whole history.

    The text is `all`, `now`, a number of days such as `14d`, or a date such as 2026-05-31.
    Without a text it is 30 days ago.

    Raises:
        BadInput: the text has another form.
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
            f"{text!r} is not a moment",
            hint="--since all, --since now, --since 14d, --since 2026-05-31",
        ) from None
