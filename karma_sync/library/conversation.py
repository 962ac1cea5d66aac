"""Reads the conversation of a session; the adapter of its agent makes it from the records."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO

from karma_sync.agents.claude.conversation import conversation as of_claude
from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.session.conversation import Message
from karma_sync.domain.session.profile import TRANSCRIPT, TRANSCRIPTS, kind_of
from karma_sync.domain.session.readable import Readable
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
    return adapter(line for block in whole_lines(pieces) for line in BytesIO(block))


def is_conversation(name: str) -> bool:
    """Whether the file of a session with this name holds a conversation."""
    try:
        return kind_of(name) in TRANSCRIPTS
    except KeyError:
        return False


def subagents(found: Readable) -> list[str]:
    """The names of the files of a session that hold the conversations of its subagents."""
    names = (file.path for file in found.manifest.files)
    return [name for name in names if name.startswith("subagents/") and is_conversation(name)]


def with_subagents(found: Readable, read: Callable[[str], Iterable[bytes]]) -> Iterator[Message]:
    """The messages of a session, then those of its subagents; `read` gives a file's bytes."""
    for name in (TRANSCRIPT, *subagents(found)):
        yield from conversation(found.manifest.session.agent, read(name))
