"""What a transcript tells of itself, gathered line by line so that nothing is read twice.

Field names are Claude Code's (docs/agent-files.md, "Records"). What is unknown is passed over: the
set of record types changes every few weeks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class PlanNames:
    """How a session names its plans: slugs of its records, paths that it wrote to or was given."""

    slugs: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.slugs or self.paths)

    def mean(self, name: str, folder: Path) -> bool:
        """Whether the file of this name in the folder of all plans is one of them.

        A subagent's plan is named after its session's: `SLUG-agent-ID.md`.
        """
        stem = name.removesuffix(".md")
        own = stem in self.slugs or stem.partition("-agent-")[0] in self.slugs
        return (own and stem != name) or str(folder / name) in self.paths


class Facts(BaseModel):
    """A gathering over whole lines; texts are as written, not redacted yet.

    `session` is the first that a record says it is of: in a subagent's file that of its parent.
    `cwds` are the working directories that records name. Token counts are per API response,
    which may span several records with one message id. `slugs` and `plans` tell which plans are
    the session's, see PlanNames.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid")

    session: str = ""
    custom_title: str = ""
    ai_title: str = ""
    summary: str = ""
    first_prompt: str = ""
    first_command: str = ""
    agent_setting: str = ""
    agent_name: str = ""
    slugs: list[str] = []
    plans: list[str] = []
    branches: list[str] = []
    models: list[str] = []
    cwds: list[str] = []
    first: datetime | None = None
    last: datetime | None = None
    records: int = 0
    prompts: int = 0
    tokens: dict[str, int] = {}
    counted: dict[str, dict[str, int]] = {}
    closed: dict[str, None] = {}

    @property
    def title(self) -> str:
        """Custom title, AI title, summary, first prompt, in that order; then the first command."""
        named = self.custom_title or self.ai_title or self.summary
        return named or self.first_prompt or self.first_command

    @property
    def agent(self) -> str:
        """The name of the agent that wrote it, where it has one of its own.

        An agent that was chosen beats a name given later: renaming a session writes that too.
        """
        return self.agent_setting or (self.agent_name if self.agent_name != self.title else "")

    @staticmethod
    def plan_names(told: "Iterable[Facts]") -> PlanNames:
        """All plans that these name."""
        found = list(told)
        slugs = frozenset(slug for facts in found for slug in facts.slugs)
        return PlanNames(slugs, frozenset(path for facts in found for path in facts.plans))
