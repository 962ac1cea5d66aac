"""`join` keeps its code out of the list of arguments, however it was typed."""

import os
import sys
from datetime import UTC, datetime

import pytest

from karma_sync.cli.team.join import join
from karma_sync.domain.team.invite_code import InviteCode
from tests.support.builders import ALICE, device_of, key_of, team_of_all

CODE = InviteCode(
    team=team_of_all(ALICE).id,
    device=device_of(ALICE),
    key=key_of(ALICE).public,
    secret=b"s" * 16,
    expires=datetime(2026, 6, 1, tzinfo=UTC),
).encode()


class Executed(Exception):
    """Stands for the new program."""


@pytest.mark.parametrize(
    "typed",
    [[CODE], ["--yes", CODE], ["--", CODE], [CODE, "--user", "bob"], CODE.split("-")],
    ids=["alone", "after an option", "after two dashes", "before an option", "in pieces"],
)
def test_the_new_program_has_the_code_in_a_pipe_and_understands_its_arguments(
    monkeypatch: pytest.MonkeyPatch, typed: list[str]
) -> None:
    executed: list[str] = []

    def execute(_program: str, command: list[str]) -> None:
        executed.extend(command)
        raise Executed

    monkeypatch.setattr(os, "execv", execute)
    monkeypatch.setattr(sys, "argv", ["karma-sync", "join", *typed])
    code = [each for each in typed if each not in ("--", "--yes", "--user", "bob")]
    with pytest.raises(Executed):
        join(code)
    pipe = int(executed[-1])
    with os.fdopen(pipe, "rb") as reading:
        assert reading.read().decode().replace("-", "") == CODE.replace("-", "")

    assert not any(piece in executed for piece in CODE.split("-") if piece)
    assert executed[-2] == "--code-from"
    assert "--" not in executed
