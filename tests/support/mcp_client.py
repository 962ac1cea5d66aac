"""An agent's side of the Model Context Protocol: a real client that starts `karma-sync mcp`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mcp import ClientSession, StdioServerParameters, stdio_client

from karma_sync.mcp.desk import Desk, Given
from karma_sync.mcp.view import Views
from karma_sync.service.served_log import ServedLog
from karma_sync.service.sessions.agent_scope import AgentReach
from tests.support.harness import Member

T = TypeVar("T")
PATIENCE_S = 120.0


def with_server(member: Member, talk: Callable[[ClientSession], Awaitable[T]], *options: str) -> T:
    """Start the server as a member's agent does, in the clone; talk with it, and end it."""
    program, *args = member.command(("mcp", *options))
    environ = member.environ | {"CLAUDECODE": "1"}
    server = StdioServerParameters(command=program, args=args, env=environ, cwd=member.repo)

    async def run() -> T:
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return await talk(session)

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def text_of(result: Any) -> str:
    """The text of a result, as an agent's model gets it."""
    return "\n".join(each.text for each in result.content)


DEFAULT = AgentReach()
NOTHING: Mapping[str, object] = {}


def ask(
    member: Member,
    tool: str,
    given: Mapping[str, object] = NOTHING,
    reach: AgentReach = DEFAULT,
    cwd: Path | None = None,
) -> Given:
    """The server's answer to one call, without a process for it."""
    views = Views(member.paths, member.environ, cwd or member.repo, reach)
    return Desk(views, ServedLog(member.paths.served)).ask(tool, given)
