"""karma-sync is upgraded while an agent's server runs: its answers say that it is older."""

from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession

from tests.support.mcp_client import text_of, with_server
from tests.support.town import Town
from tests.support.upgradable import Upgradable

pytestmark = pytest.mark.memory

NOTE = "this server is the earlier program"


def test_a_server_whose_program_was_replaced_says_so_and_goes_on(
    town: Town, tmp_path: Path
) -> None:
    bob = Upgradable(town, tmp_path)
    member = bob.member
    member.run("up", "-d")
    member.run("team", "create", "backend")
    member.run("project", "share", ".", "--yes")
    session = member.write_session("how do we back off and retry")
    member.until_readable(session)

    async def talk(client: ClientSession) -> list[Any]:
        before = await client.call_tool("list_sessions", {})
        bob.edit("__init__.py", "__version__", "NEW = 1\n__version__")
        after = await client.call_tool("list_sessions", {})
        failed = await client.call_tool("read_session", {"id": "nobody"})
        return [before, after, failed]

    before, after, failed = with_server(member, talk)

    assert NOTE not in text_of(before)
    assert "note" not in before.structured_content
    assert after.structured_content["ids"] == before.structured_content["ids"] != []
    framed, note = (each.text for each in after.content)
    assert framed.rstrip().endswith(after.structured_content["end"])
    assert NOTE in note
    assert list(after.structured_content)[-2:] == ["end", "note"]
    assert after.structured_content["note"] == note
    assert failed.is_error
    assert NOTE in text_of(failed)
