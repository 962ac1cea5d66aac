"""A new inbox is empty: Syncthing tells at once of what is in a folder."""

from pathlib import Path

from karma_sync.channel.inbox import Inbox


def test_a_new_inbox_holds_its_allow_list_alone(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")

    inbox.prepare()

    assert [path.name for path in inbox.path.iterdir()] == [".stignore"]
    assert (inbox.items(), inbox.signature("0" * 32)) == ({}, None)
