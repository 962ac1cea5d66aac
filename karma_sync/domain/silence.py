"""For how long nobody of a team has answered: pure, no clock."""

from collections.abc import Iterable
from datetime import datetime


def silent_days(now: datetime, answered: Iterable[datetime]) -> int:
    """Whole days since the newest of these moments (UTC); one in the future counts as now.

    Raises:
        ValueError: there is none.
    """
    return max(0, (now - max(answered)).days)
