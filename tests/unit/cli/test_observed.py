"""Texts that an agent does not get without a frame, unless the person allows it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from karma_sync.app import App
from karma_sync.cli.agent import mcp
from karma_sync.cli.observation.engram import export
from karma_sync.cli.observed import require_private_of
from karma_sync.errors import NeedsConsent
from karma_sync.library.observations import ReadObservation
from karma_sync.service.served_log import Served, ServedLog
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


def test_an_agent_has_nothing_of_others_written_where_no_frame_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")

    with pytest.raises(NeedsConsent):
        export(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_ids_in_the_log_are_not_printed_for_an_agent_as_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    monkeypatch.setenv("KARMA_SYNC_HOME", str(tmp_path))
    paths = App.from_environment().paths
    served = Served(datetime(2026, 5, 31, tzinfo=UTC), "read_session", "", "", 1, 9, ("bob.box:1",))
    ServedLog(paths.served).append(served)

    with pytest.raises(NeedsConsent):
        mcp.log(as_json=True)
    mcp.log(as_json=True, private=True)
    assert capsys.readouterr().out.count("bob.box:1") == 1
