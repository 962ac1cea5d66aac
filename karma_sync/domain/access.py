"""Which items of the library a reader may see."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AccessScope:
    """The reader's tag, and the teams, projects and agents that a query may return.

    Every query of the library takes one. None puts no limit on teams, projects or agents.
    """

    reader: str
    teams: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    agents: frozenset[str] | None = None
