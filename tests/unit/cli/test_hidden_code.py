"""An invitation code among arguments is found however it was typed, and nothing else is taken."""

from datetime import UTC, datetime

import pytest

from karma_sync.cli.hidden_code import code_words
from karma_sync.domain.team.invite_code import InviteCode
from tests.support.builders import ALICE, device_of, key_of

CODE = InviteCode(
    "a" * 26, device_of(ALICE), key_of(ALICE).public, b"the secret of it", datetime.now(UTC)
).encode()
HALVES = [CODE[:60], CODE[60:]]


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["--user", "bob", CODE, "--yes"], [CODE]),
        ([CODE.lower()], [CODE.lower()]),
        ([f"'{CODE}'"], [f"'{CODE}'"]),
        (["--yes", *HALVES, "--machine", "desk"], HALVES),
        (["--", CODE], [CODE]),
        (["--machine", "ksi1-host"], []),
        ([CODE[:40]], []),
        (["-"], []),
        ([], []),
    ],
)
def test_the_words_of_a_code_are_found(typed: list[str], taken: list[str]) -> None:
    assert code_words(typed) == taken
