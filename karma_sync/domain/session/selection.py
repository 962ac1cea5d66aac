"""Decides whether a session leaves for a project.

The limits of a subscription decide, and the person's choices: withheld, shared and unshared
sessions, unshared agents, excluded directories. Pure: `decide` serves the list that a person sees
before consenting as well as the sender afterwards, so the two cannot differ.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from operator import attrgetter
from posixpath import normpath
from typing import Annotated

from msgspec import Meta

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Belonging
from karma_sync.domain.value import Value


class Outcome(StrEnum):
    """The outcomes for a session that might leave."""

    LEAVES = "leaves"
    UNCONCERNED = "unconcerned"  # it belongs to another project
    EARLIER = "earlier"  # it was last active before the limit
    MIXED = "mixed"  # it also worked in another place
    WITHHELD = "withheld"  # its owner keeps it on this machine
    UNSHARED = "unshared"  # its owner withdrew it after it had left
    FORK = "fork"  # it goes on from a session of another member
    EXCLUDED = "excluded"  # it worked in an excluded directory
    WAITING = "waiting"  # it was not quiet long enough yet


BY_OWNER = "you withhold it"
_EVER = datetime.min.replace(tzinfo=UTC)


class Limits(Value, frozen=True, kw_only=True):
    """Limits which sessions of a project leave, when, and with which files.

    Sessions leave that were active at or after `since` (UTC; None means all), after nobody wrote
    to them for `after_idle` seconds, with the files that `profile` takes. `observations` and
    `memory` tell that the person was shown which of them leave, and agreed.
    """

    since: datetime | None = None
    after_idle: Annotated[int, Meta(ge=0)] = 0
    profile: Profile = Profile.STANDARD
    observations: bool = False
    memory: bool = False

    def narrowed(self, other: "Limits") -> "Limits":
        """The limits under which a session leaves only if it leaves under both."""
        starts = [limit.since for limit in (self, other) if limit.since is not None]
        return Limits(
            since=max(starts, default=None),
            after_idle=max(self.after_idle, other.after_idle),
            profile=min(self.profile, other.profile, key=attrgetter("rank")),
            observations=self.observations and other.observations,
            memory=self.memory and other.memory,
        )

    def within(self, other: "Limits") -> bool:
        """Whether these limits let through nothing more than `other` does, and nothing earlier."""
        return self.narrowed(other) == self


class Withhold(Value, frozen=True, kw_only=True):
    """A session that its owner keeps on this machine."""

    session: str


class WithheldObservation(Value, frozen=True, kw_only=True):
    """An observation that its owner keeps on this machine."""

    id: str


class Share(Value, frozen=True, kw_only=True):
    """A session that its owner shares by name.

    It leaves for `project` although it also worked in `others`, or is older than the limit.
    """

    session: str
    project: str
    others: tuple[str, ...] = ()


class Exclusion(Value, frozen=True, kw_only=True):
    """A directory, or a pattern of directories; sessions that worked there do not leave."""

    pattern: str

    def covers(self, directory: str) -> bool:
        """Whether the pattern matches the directory or one of its parents.

        `*` stands for any text. A pattern without a slash is compared with a directory's name, any
        other pattern with its whole path. `..` in the directory's path is resolved as text.
        """
        path = normpath(directory.replace("\\", "/")).rstrip("/")
        while path:
            parent, _, name = path.rpartition("/")
            compared = path if "/" in self.pattern else name
            if compared == self.pattern or fnmatchcase(compared, self.pattern):
                return True
            path = parent
        return False


@dataclass(frozen=True)
class Choices:
    """Everything that the person chose for single sessions and directories.

    `behind` are further directories that exclusions mean, because they name a link to them.
    `forks` are the sessions that go on from another member's, each with that member's tag.
    `observations` are the ids of those that are withheld.
    """

    withheld: frozenset[str] = frozenset()
    shares: tuple[Share, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    behind: tuple[tuple[str, Exclusion], ...] = ()
    forks: Mapping[str, str] = field(default_factory=dict)
    observations: frozenset[str] = frozenset()

    def share_of(self, session: str, project: str) -> Share | None:
        """The person's choice to share this session with this project; None if there is none."""
        wanted = (session, project)
        return next((s for s in self.shares if (s.session, s.project) == wanted), None)

    def excluded(self, directories: Mapping[str, str]) -> tuple[str, Exclusion] | None:
        """The first excluded directory and its exclusion; None if no directory is excluded.

        `directories` are real paths by the path that a record names; either may be excluded.
        """
        linked = [(Exclusion(pattern=path), named) for path, named in self.behind]
        known = [*((each, each) for each in self.exclusions), *linked]
        for directory, real in directories.items():
            for exclusion, named in known:
                if exclusion.covers(directory) or exclusion.covers(real):
                    return directory, named
        return None


@dataclass(frozen=True)
class Candidate:
    """The facts about a session on which the decision depends.

    - `directories`: the real path of every directory in which the session worked, with links
      resolved, by the path that its records name.
    - `last`: its last activity by its records (UTC).
    - `quiet_s`: for how many seconds nobody has written to it; negative if its files have a time
      in the future.
    - `unshared`: whether the person unshared it. The sender also holds back sessions that were
      withdrawn and whose unsharing the database no longer knows.
    """

    session: str
    belonging: Belonging
    directories: Mapping[str, str]
    last: datetime
    quiet_s: float
    unshared: bool = False


@dataclass(frozen=True)
class Decision:
    """Whether a session leaves.

    `why` explains outcomes at which a person may wonder. `wait_s` is the number of seconds until
    the session leaves if nobody writes to it.
    """

    outcome: Outcome
    why: str = ""
    wait_s: float = 0.0

    @property
    def reason(self) -> str:
        """The reason why the session stays, in words; "" if it leaves or is of another project.

        `why` is empty for a session that is earlier than the limit: a list would have thousands.
        """
        earlier = "it is earlier than the limit of the project"
        return earlier if self.outcome is Outcome.EARLIER else self.why


def decide(candidate: Candidate, project: str, limits: Limits, choices: Choices) -> Decision:
    """Whether a session leaves for a project; the person's choices have priority over limits."""
    belonging = candidate.belonging
    if project != belonging.project and project not in belonging.mixed:
        return Decision(Outcome.UNCONCERNED)
    if (held := _held_back(candidate, choices)) is not None:
        return held
    share = choices.share_of(candidate.session, project)
    if share is None and candidate.session in choices.forks:
        return Decision(Outcome.FORK, why_fork(choices.forks[candidate.session]))
    others = [p for p in belonging.others(project) if share is None or p not in share.others]
    if others:
        return Decision(Outcome.MIXED, f"it also worked in {others[0]}")
    if share is None and candidate.last < (limits.since or _EVER):
        return Decision(Outcome.EARLIER)
    if limits.after_idle and candidate.quiet_s < limits.after_idle:
        why = f"it leaves once it was quiet for {limits.after_idle} s"
        return Decision(Outcome.WAITING, why, limits.after_idle - candidate.quiet_s)
    return Decision(Outcome.LEAVES)


def _held_back(candidate: Candidate, choices: Choices) -> Decision | None:
    """The reason why a session stays even if it was shared by name; None if there is none."""
    if candidate.session in choices.withheld:
        return Decision(Outcome.WITHHELD, BY_OWNER)
    if candidate.unshared:
        return Decision(Outcome.UNSHARED, "you unshared it")
    excluded = choices.excluded(candidate.directories)
    if excluded:
        directory, exclusion = excluded
        return Decision(Outcome.EXCLUDED, why_excluded(directory, exclusion))
    return None


def why_fork(author: str) -> str:
    """The reason why a session stays that continues another member's session."""
    return f"it is a fork of a session by {author}"


def why_excluded(directory: str, exclusion: Exclusion) -> str:
    """The reason why a session stays that worked in an excluded directory."""
    return f"it worked in {directory}; you exclude {exclusion.pattern}"


class Whose(StrEnum):
    """Whether an `Unshared` names a session, an agent or an observation."""

    SESSION = "session"
    AGENT = "agent"
    OBSERVATION = "observation"


class Unshared(Value, frozen=True, kw_only=True):
    """A session, all of an agent, or an observation, taken back by the person after it had left.

    It does not leave, and is withdrawn where it has left, until this is `lifted`.
    `name` is a session's id or an agent's name: `claude-code` means every session of that program,
    `claude-code/reviewer` the sessions of one agent.
    """

    whose: Whose
    name: str
    lifted: bool = False

    def covers(self, agent: str, session: str) -> bool:
        """Whether this names the session, or the agent that wrote it."""
        if self.whose is not Whose.AGENT:
            return self.whose is Whose.SESSION and self.name == session
        return agent == self.name or agent.startswith(f"{self.name}/")


def is_named(known: Iterable[Unshared], agent: str, session: str) -> bool:
    """Whether the person said about a session that it is unshared, or is shared again."""
    return any(each.covers(agent, session) for each in known)


def is_unshared(known: Iterable[Unshared], agent: str, session: str) -> bool:
    """Whether a session must not leave, and must be withdrawn where it has left."""
    return is_named((each for each in known if not each.lifted), agent, session)
