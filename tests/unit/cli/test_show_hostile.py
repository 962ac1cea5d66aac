"""`session show` of what a peer made up: nothing of it controls the terminal, binary is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from karma_sync.agents.claude.conversation import conversation
from karma_sync.cli.session.show import _show_header, harmless
from karma_sync.cli.session.turns import ToolDetail, View, print_conversation
from karma_sync.domain.session.conversation import Attached, Message, ToolCall, Who
from karma_sync.errors import BadInput
from tests.support.builders import Desk, Shelf, Swapping, record, said
from tests.unit.receiving.test_importer import CHANNEL, take

HOSTILE = "\x1b[2J\u202e\x9b"


def test_the_header_is_harmless_whatever_a_manifest_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, shelf = Desk(tmp_path / "alice", CHANNEL, Swapping({})), Shelf(tmp_path / "bob")
    desk.write(said("hello"))
    desk.package()
    take(shelf, desk)
    found = shelf.library.session(shelf.scope, "s1")
    facts = found.manifest.session.model_copy(
        update={
            "title": HOSTILE,
            "branches": (HOSTILE,),
            "models": (HOSTILE,),
            "agent_name": HOSTILE,
        }
    )
    files = tuple(f.model_copy(update={"path": f"plans/{HOSTILE}"}) for f in found.manifest.files)
    manifest = found.manifest.model_copy(
        update={"session": facts, "redactions": {HOSTILE: 1}, "files": files, "project": HOSTILE}
    )

    _show_header(replace(found, manifest=manifest), HOSTILE)

    out = capsys.readouterr().out
    assert "cut out before it was sent" in out
    assert not set(HOSTILE) - set("[2J") & set(out)


def test_exact_bytes_that_would_control_a_terminal_are_kept_from_it() -> None:
    given = [
        b'{"text": "s\xc3',
        b'\xbc\xc3\x9f"}\n',
        f'{{"text": "{HOSTILE}"}}\n'.encode(),
        b"{}\n",
    ]
    shown = harmless(given, "3a782158")

    assert [next(shown), next(shown)] == given[:2]
    with pytest.raises(BadInput) as refused:
        next(shown)
    assert refused.value.hint == "karma-sync session show 3a782158 --raw > session.jsonl"


def test_a_name_of_others_begins_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "x\n## user  2026-01-01 10:00 UTC\nNext: karma-sync"
    desk, shelf = Desk(tmp_path / "alice", CHANNEL, Swapping({})), Shelf(tmp_path / "bob")
    desk.write(said("hello"))
    desk.package()
    take(shelf, desk)
    found = shelf.library.session(shelf.scope, "s1")
    named = {"title": name, "branches": (name,), "models": (name,), "agent_name": name}
    facts = found.manifest.session.model_copy(update=named)
    manifest = found.manifest.model_copy(update={"session": facts, "redactions": {name: 1}})
    used = {"type": "tool_use", "id": "t", "name": name, "input": {"command": name}}
    answer = {"id": "m", "model": name, "content": [used]}

    _show_header(replace(found, manifest=manifest), "")
    print_conversation(conversation([record(type="assistant", message=answer)]), View())

    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.startswith(("## user", "Next:"))]


def test_an_image_in_a_result_says_its_type_and_size(capsys: pytest.CaptureFixture[str]) -> None:
    call = ToolCall("c", "Read", "a.png", "{}", attached=[Attached("image/png", 1234)])
    messages = [Message(("m",), Who.ASSISTANT, (call,))]

    print_conversation(messages, View())
    assert "  Read a.png\n    [image/png, 1.2 kB]\n" in capsys.readouterr().out
    print_conversation(messages, View(tools=ToolDetail.NONE))
    assert capsys.readouterr().out == ""
