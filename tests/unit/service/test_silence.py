"""The number of days in which no member of a team has answered."""

from datetime import timedelta

import pytest

from karma_sync.service.status import silent_days
from tests.support.builders import NOW


@pytest.mark.parametrize(
    ("hours", "days"),
    [([1], 0), ([23.9], 0), ([24], 1), ([80, 50], 2), ([80, -5], 0), ([24 * 400], 400)],
)
def test_the_newest_sign_of_anybody_counts(hours: list[float], days: int) -> None:
    assert silent_days(NOW, [NOW - timedelta(hours=h) for h in hours]) == days


def test_of_a_team_that_never_answered_there_is_no_number() -> None:
    with pytest.raises(ValueError, match="empty"):
        silent_days(NOW, [])
