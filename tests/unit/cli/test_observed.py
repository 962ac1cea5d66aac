"""What an agent may print of observations without a frame."""

import pytest

from karma_sync.cli.observed import require_private_of
from karma_sync.errors import NeedsConsent
from karma_sync.library.observations import ReadObservation
from tests.support.builders import ALICE, BOB, PROJECT
from tests.support.observing import saved


def test_what_another_edited_is_not_printed_for_an_agent_although_i_wrote_it_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    mine = ReadObservation(saved(ALICE), ALICE, "", PROJECT, "team")
    edited = ReadObservation(saved(BOB), ALICE, BOB, PROJECT, "team")

    require_private_of([mine], ALICE, private=False)
    with pytest.raises(NeedsConsent):
        require_private_of([mine, edited], ALICE, private=False)
    require_private_of([mine, edited], ALICE, private=True)
