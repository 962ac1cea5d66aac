"""Whether a session is live, by the clock of the reader; who wrote a session."""

from datetime import timedelta

import pytest

from karma_sync.domain.session.manifest import SessionFacts
from tests.support.builders import NOW


@pytest.mark.parametrize(
    ("running", "minutes_ago", "live"),
    [
        (True, 0, True),
        (True, 29, True),
        (True, 31, False),  # its machine may have died since
        (None, 0, True),
        (None, 4, True),
        (None, 6, False),
        (False, 0, False),
        (True, -4, True),  # clocks differ
        (None, -4, True),
        (True, -6, False),
        (None, -60 * 24 * 365, False),
        (True, None, False),
    ],
)
def test_a_session_is_live_while_it_is_written_to_and_not_known_to_be_closed(
    running: bool | None, minutes_ago: float | None, live: bool
) -> None:
    last = None if minutes_ago is None else NOW - timedelta(minutes=minutes_ago)
    facts = SessionFacts(agent="claude-code", session_id="s1", running=running, last_activity=last)

    assert facts.is_live(NOW) is live


def test_the_writer_is_the_program_and_the_agents_name_if_it_has_one() -> None:
    facts = SessionFacts(agent="claude-code", session_id="s1")

    assert facts.wrote == "claude-code"
    assert facts.model_copy(update={"agent_name": "reviewer"}).wrote == "claude-code/reviewer"
