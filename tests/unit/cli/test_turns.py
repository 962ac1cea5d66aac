"""A conversation that is followed: what is new is printed at once, and nothing twice."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from karma_sync.agents.claude.conversation import conversation
from karma_sync.cli.session.turns import ConversationFollower, View, print_conversation
from tests.support.builders import record, said


def answered(response: str, *blocks: dict[str, Any]) -> bytes:
    return record(type="assistant", message={"id": response, "content": list(blocks)})


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def used(call: str, command: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": command}}


def result(call: str, output: str = "done") -> bytes:
    part = {"type": "tool_result", "tool_use_id": call, "content": output}
    return record(message={"content": [part]})


LINES = [
    said("the first"),
    answered("m1", text("I look")),
    answered("m1", used("t1", "make")),
    answered("m1", used("t2", "ls")),
    result("t2"),
    result("t1"),
    answered("m2", text("It is made")),
    said("the second"),
    answered("m3", text("Well")),
]
Capture = pytest.CaptureFixture[str]


def followed(
    capsys: Capture, view: View, steps: Sequence[int], ended: Callable[[int], bool]
) -> list[str]:
    """The output at each step; a step is a number of lines that are there."""
    follower, printed = ConversationFollower(view), []
    for count in steps:
        follower.print(conversation(LINES[:count]), ended(count))
        printed.append(capsys.readouterr().out)
    return printed


def never(count: int) -> bool:
    return False


@pytest.mark.parametrize("steps", [range(1, 10), [3, 4, 9], [9, 9], [2, 2, 6, 9]])
def test_what_was_followed_is_the_whole_conversation(capsys: Capture, steps: Sequence[int]) -> None:
    printed = followed(capsys, View(), steps, never)
    print_conversation(conversation(LINES), View())

    assert "".join(printed) == capsys.readouterr().out


def test_an_answer_is_there_at_once_and_a_call_with_its_result(capsys: Capture) -> None:
    printed = followed(capsys, View(), range(1, 10), never)

    assert "I look" in printed[1]
    assert printed[2] == printed[3] == printed[4] == ""
    assert "Bash make" in printed[5]
    assert "It is made" in printed[6]
    assert "Well" in printed[8]


def test_a_call_without_a_result_is_shown_when_the_session_has_ended(capsys: Capture) -> None:
    printed = followed(capsys, View(), [3, 3], lambda count: True)

    assert "Bash make" in printed[0]
    assert printed[1] == ""


def test_after_the_last_prompts_only_what_is_new_follows(capsys: Capture) -> None:
    printed = followed(capsys, View(last=1), [7, 8, 9], never)

    assert "the first" in printed[0]
    assert "the first" not in printed[1] + printed[2]
    printed = followed(capsys, View(last=1), [8, 9], never)
    assert "".join(printed).count("##") == 2
    assert "It is made" not in "".join(printed)


def test_of_prompts_alone_each_is_shown_once(capsys: Capture) -> None:
    printed = followed(capsys, View(prompts_only=True), range(1, 10), never)

    assert ("".join(printed).count("##"), "Well" in "".join(printed)) == (2, False)
