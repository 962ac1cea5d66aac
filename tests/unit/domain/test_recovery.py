"""The end of an outbox's recovery, and the signs that a database is too old."""

import pytest

from karma_sync.domain.mesh.recovery import PATIENCE_S, QUIET_S, RecoveryState, is_older, is_settled

LONG = PATIENCE_S + 1
QUIET = QUIET_S + 1


@pytest.mark.parametrize(
    ("standing", "settled"),
    [
        pytest.param(RecoveryState(0, 0, 0.0, 0.0), True, id="nobody ever took anything"),
        pytest.param(
            RecoveryState(2, 0, LONG, 0.0), False, id="who has it is away, for however long"
        ),
        pytest.param(RecoveryState(2, 1, 0.0, 1.0), False, id="something is still coming"),
        pytest.param(RecoveryState(2, 1, QUIET_S, QUIET_S), False, id="a peer has not yet said"),
        pytest.param(RecoveryState(2, 1, QUIET, QUIET), True, id="all that is here has come"),
        pytest.param(
            RecoveryState(2, 1, 0.0, LONG), True, id="what is wanted is nowhere to be had"
        ),
    ],
)
def test_an_outbox_waits_for_the_peers_but_not_for_ever(
    standing: RecoveryState, settled: bool
) -> None:
    assert is_settled(standing) is settled


@pytest.mark.parametrize(
    ("counter", "claimed", "older"),
    [
        pytest.param(100, 150, True, id="given out, and forgotten"),
        pytest.param(100, 100, False, id="the peer has what I last gave out"),
        pytest.param(150, 100, False, id="the peer is behind"),
        pytest.param(100, 200, False, id="given out since the program started"),
        pytest.param(100, 10**15, False, id="a claim about the future"),
        pytest.param(0, 150, True, id="everything was forgotten"),
    ],
)
def test_a_database_is_older_than_its_peers_know_if_it_forgot_a_revision(
    counter: int, claimed: int, older: bool
) -> None:
    assert is_older(counter, claimed, started_ms=200) is older
