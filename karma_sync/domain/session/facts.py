"""Holds the facts about a session from its transcript: title, agent, models, times, tokens.

The facts are collected while a file grows, so that no line is read twice
(`agents/claude/gathering.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class PlanNames:
    """The names of a session's plans.

    `slugs` stand in its records; `paths` are files that it wrote, or that the program named to it.
    """

    slugs: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.slugs or self.paths)

    def match(self, name: str, folder: Path) -> bool:
        """Whether the file `name` in `folder` (the folder of all plans) is one of these plans.

        A subagent's plan has the slug of the session and its own id: `SLUG-agent-ID.md`
        (docs/agent-files.md, "Side files").
        """
        stem = name.removesuffix(".md")
        own = stem in self.slugs or stem.partition("-agent-")[0] in self.slugs
        return (own and stem != name) or str(folder / name) in self.paths


_NAMES = ("custom_title", "ai_title", "summary", "agent_setting", "agent_name")


class Facts(BaseModel):
    """Facts from the lines of one file so far; texts are as written, not redacted yet.

    `titles` are the custom titles that the session had. `session` is the first session id that a
    record names; in a subagent's file it is the parent's. `messages` counts the records of people,
    tools and the model. `cwds` are the working directories that records name. `slugs` and `plans`
    name the session's plans (see PlanNames). `tokens` are sums by kind. `counted` and `closed`
    prevent that an API response is counted twice, because several records may repeat one message
    id: `counted` has the tokens by message id of the latest responses, `closed` the ends of earlier
    ids. `heads` are the uuids of the first records after each root of the conversation, and `ahead`
    how many of them are still to come.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid")

    session: str = ""
    custom_title: str = ""
    titles: list[str] = []
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
    messages: int = 0
    prompts: int = 0
    tokens: dict[str, int] = {}
    counted: dict[str, dict[str, int]] = {}
    closed: dict[str, None] = {}
    heads: list[str] = []
    ahead: int = 0

    @property
    def title(self) -> str:
        """The first of these that exists.

        Custom title, title by the AI, summary, first prompt, first command.
        """
        named = self.custom_title or self.ai_title or self.summary
        return named or self.first_prompt or self.first_command

    @property
    def agent(self) -> str:
        """The name of the agent that wrote the session; "" if the agent has no name of its own.

        The agent that was chosen has priority over `agent_name`, because Claude Code also writes
        that record when a person renames the session. A fork keeps the one with the old title.
        """
        is_title = self.agent_name == self.title or self.agent_name in self.titles
        return self.agent_setting or ("" if is_title else self.agent_name)

    def with_names_of(self, others: "Iterable[Facts]") -> "Facts":
        """These facts; a name that is missing, of the session or its agent, is taken from others.

        The agent may write a new title into another copy of the transcript.
        """
        missing = [name for name in _NAMES if not getattr(self, name)]
        found = {n: v for other in others for n in missing if (v := getattr(other, n))}
        return self.model_copy(update=found) if found else self

    @staticmethod
    def plan_names(several: "Iterable[Facts]") -> PlanNames:
        """All plans that these facts name."""
        known = list(several)
        slugs = frozenset(slug for facts in known for slug in facts.slugs)
        return PlanNames(slugs, frozenset(path for facts in known for path in facts.plans))
