"""Addresses a session: `user:agent:project:session`, the same in commands, JSON, MCP and web.

The user is the author's tag. The agent is the program, with the agent's name if it has one
(`claude-code/reviewer`); a session without a name is its program's own. In each part `%`, `:`, `@`
and characters that do not print are percent-escaped, so a host with a port keeps its place:
`alice.mbp:claude-code:example.org%3A8443/acme/web:3a782158-...`.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from karma_sync.errors import BadInput

# characters that stay as they are in a part; letters, digits and `_.-~` always do
_PLAIN = "/+,=!$&'()*;"
_AGENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}(/.*)?", re.DOTALL)
_PARTS = 4


@dataclass(frozen=True)
class SessionKey:
    """The address of a session; an empty part fits any value.

    As typed by a person, `session` may be the beginning of the session's id, and `user` the user
    part of a tag alone.
    """

    user: str = ""
    agent: str = ""
    project: str = ""
    session: str = ""

    @classmethod
    def parse(cls, text: str) -> "SessionKey":
        """The key that a text names.

        Parts may be missing: `session`, `user:session`, `user:agent:session`,
        `user:project:session`. The middle part is an agent if it looks like one, which a project
        does not, because the name of its host has a dot or a port.

        Raises:
            BadInput: the text has more than four parts, names no session, or an escape in it is
                not UTF-8.
        """
        parts = text.split(":")
        try:
            values = [unquote_to_bytes(part).decode() for part in parts]
        except UnicodeError:
            raise _bad(text) from None
        if len(values) > _PARTS or not values[-1]:
            raise _bad(text)
        user = values[0] if len(values) > 1 else ""
        if len(values) == _PARTS:
            return cls(*values)
        middle = values[1] if len(values) > len(("user", "session")) else ""
        if _AGENT.fullmatch(middle):
            return cls(user, middle, "", values[-1])
        return cls(user, "", middle, values[-1])

    def __str__(self) -> str:
        return ":".join(_escaped(p) for p in (self.user, self.agent, self.project, self.session))

    def fits(self, other: "SessionKey") -> bool:
        """Whether the complete key `other` is one that this key, as it was typed, may mean."""
        return (
            (self.user in ("", other.user) or self.user == other.user.split(".")[0])
            and self.agent in ("", other.agent)
            and self.project in ("", other.project)
            and other.session.startswith(self.session)
        )


def _escaped(part: str) -> str:
    return "".join(c if c.isprintable() and not c.isascii() else quote(c, _PLAIN) for c in part)


def _bad(text: str) -> BadInput:
    return BadInput(
        f"{text!r} names no session",
        hint="the beginning of an id, or user:agent:project:session, as session list --json has it",
    )
