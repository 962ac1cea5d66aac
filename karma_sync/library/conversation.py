"""Reads the conversation of a session; the adapter of its agent makes it from the records."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from karma_sync.agents.claude.conversation import conversation as of_claude
from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.session.conversation import Message
from karma_sync.errors import KarmaError

_ADAPTERS: Mapping[str, Callable[[Iterable[bytes]], Iterator[Message]]] = {
    "claude-code": of_claude,
}


def conversation(agent: str, pieces: Iterable[bytes]) -> Iterator[Message]:
    """The messages in a transcript of an agent; `pieces` are its bytes, cut anywhere.

    Raises:
        KarmaError: this version does not know the agent, or a line is too long.
    """
    adapter = _ADAPTERS.get(agent)
    if adapter is None:
        raise KarmaError(
            f"this version cannot read sessions of agent {agent}",
            hint="karma-sync session show ID --raw",
        )
    return adapter(line for block in whole_lines(pieces) for line in block.split(b"\n"))
