"""A large transcript is never in memory as a whole."""

import errno
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.growing_file import LineTooLong, whole_lines
from karma_sync.domain import limits
from tests.support.builders import ALICE, BOB, Desk, channel_of, examples, said, team_of_all
from tests.unit.sending.test_packager import names, swapping

CHANNEL = channel_of(team_of_all(ALICE, BOB), ALICE)
SESSION_MB = 100
MOST_MB = 120  # an empty run of the same needs about 70
HUGE = 5 * 10**9


def test_sending_receiving_and_reading_need_less_memory_than_the_session_has_bytes(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.large", str(tmp_path), str(SESSION_MB)],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) / 10**6 < MOST_MB


@pytest.mark.parametrize("name", ["s1.jsonl", "s1/subagents/agent-a.jsonl"])
def test_five_gigabytes_without_a_line_end_are_refused_at_the_first_of_them(
    tmp_path: Path, name: str
) -> None:
    desk = Desk(tmp_path, CHANNEL, swapping())
    desk.write(said("one"))
    with desk.write(said("deep"), name).open("ab") as out:
        out.truncate(HUGE)  # NULs that take no room on disk, as a crash leaves them

    with pytest.raises(OSError, match="a line is longer") as refused:
        desk.packager.package(
            CHANNEL,
            desk.session(),
            Catalogue(list, lambda _: None).facts(desk.session()),
            desk.outbox,
        )
    assert refused.value.errno == errno.EFBIG
    assert names(desk) == set()


@examples()
@given(
    st.lists(st.sampled_from([b"", b"a", b"bc\n", b"\n", b"\n\nd"]), max_size=20),
    st.integers(1, 6),
)
def test_lines_come_whole_however_they_were_cut_and_none_is_longer_than_allowed(
    pieces: list[bytes], most: int
) -> None:
    content = b"".join(pieces)
    with patch.object(limits, "LINE_BYTES", most):
        try:
            found = list(whole_lines(pieces))
        except LineTooLong:
            assert max(map(len, content.split(b"\n"))) > most
            return

    assert b"".join(found) == content
    assert all(block.endswith(b"\n") for block in found[:-1])
