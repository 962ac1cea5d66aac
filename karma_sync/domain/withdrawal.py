"""What a person took back after it had left: single sessions, or all of an agent."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Whose(StrEnum):
    SESSION = "session"
    AGENT = "agent"


class Unshared(BaseModel):
    """Does not leave, and is withdrawn where it has left; until it is `lifted`.

    `name` is a session's id, or an agent's name: `claude-code` means every session of that
    program, `claude-code/reviewer` those of one agent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    whose: Whose
    name: str
    lifted: bool = False

    def holds(self, agent: str, session: str) -> bool:
        """Whether it is about this session of this agent."""
        if self.whose is Whose.SESSION:
            return self.name == session
        return agent == self.name or agent.startswith(f"{self.name}/")


def is_unshared(all_of_them: Iterable[Unshared], agent: str, session: str) -> bool:
    """Whether a session must not leave, and be withdrawn if it has."""
    return any(each.holds(agent, session) for each in all_of_them if not each.lifted)
