"""What limits what I send, and the one decision whether a session leaves.

Pure, so that what is shown before a yes and what leaves afterwards cannot differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from msgspec import Meta

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Belonging
from karma_sync.domain.value import Value


class Outcome(StrEnum):
    LEAVES = "leaves"
    UNCONCERNED = "unconcerned"  # of another project
    EARLIER = "earlier"  # than the limit
    MIXED = "mixed"  # it also worked in another place
    WITHHELD = "withheld"  # by its owner
    UNSHARED = "unshared"  # by its owner, after it had left
    EXCLUDED = "excluded"  # it worked in an excluded directory
    WAITING = "waiting"  # until it was quiet for as long as was asked for


BY_OWNER = "you withhold it"
_EVER = datetime.min.replace(tzinfo=UTC)
_PROFILES = tuple(Profile)  # from the narrowest to the widest


class Limits(Value, frozen=True, kw_only=True):
    """What of a project leaves.

    Sessions active at or after `since` (UTC; None: all of them), once they were quiet for
    `after_idle` seconds, with the files of `profile`.
    """

    since: datetime | None = None
    after_idle: Annotated[int, Meta(ge=0)] = 0
    profile: Profile = Profile.STANDARD

    def narrowed(self, other: "Limits") -> "Limits":
        """What both of them let through."""
        starts = [limit.since for limit in (self, other) if limit.since is not None]
        return Limits(
            since=max(starts, default=None),
            after_idle=max(self.after_idle, other.after_idle),
            profile=min(self.profile, other.profile, key=_PROFILES.index),
        )

    def within(self, other: "Limits") -> bool:
        """Whether nothing leaves that would not leave with `other`, or not as early."""
        return self.narrowed(other) == self


class Withhold(Value, frozen=True, kw_only=True):
    """A session that its owner keeps here."""

    session: str


class Share(Value, frozen=True, kw_only=True):
    """A session that leaves for `project` although it also worked in `others`, or is older."""

    session: str
    project: str
    others: tuple[str, ...] = ()


class Exclusion(Value, frozen=True, kw_only=True):
    """A directory, or a pattern of directories, of which nothing leaves."""

    pattern: str

    def covers(self, directory: str) -> bool:
        """Whether the directory, or one that it lies in, is meant.

        `*` stands for any text; a pattern without a slash is about names of directories.
        """
        path = directory.replace("\\", "/").rstrip("/")
        while path:
            above, _, name = path.rpartition("/")
            meant = path if "/" in self.pattern else name
            if meant == self.pattern or fnmatchcase(meant, self.pattern):
                return True
            path = above
        return False


@dataclass(frozen=True)
class Choices:
    """All that a person said about single sessions and directories."""

    withheld: frozenset[str] = frozenset()
    shares: tuple[Share, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()

    def share_of(self, session: str, project: str) -> Share | None:
        """Whether this session was shared with this project by name."""
        wanted = (session, project)
        return next((s for s in self.shares if (s.session, s.project) == wanted), None)

    def excluded(self, directories: Iterable[str]) -> tuple[str, Exclusion] | None:
        """The first of the directories that is excluded, and by what."""
        for directory in directories:
            for exclusion in self.exclusions:
                if exclusion.covers(directory):
                    return directory, exclusion
        return None


@dataclass(frozen=True)
class Candidate:
    """A session as far as the decision goes.

    `directories` are all in which it worked; `last` is when its records say that it was last
    active (UTC), `quiet_s` for how many seconds nobody wrote to it; below 0 where the clock says
    that it was written later than now. `unshared` as far as that is looked at here: who sends also
    holds back what was withdrawn and is not known to be unshared.
    """

    session: str
    belonging: Belonging
    directories: Sequence[str]
    last: datetime
    quiet_s: float
    unshared: bool = False


@dataclass(frozen=True)
class Decision:
    """Whether a session leaves; `why` is in words where a person would wonder.

    `wait_s` is in how many seconds it leaves if nobody writes to it.
    """

    outcome: Outcome
    why: str = ""
    wait_s: float = 0.0


def decide(candidate: Candidate, project: str, limits: Limits, choices: Choices) -> Decision:
    """Whether a session leaves for a project: what a person said of it counts most."""
    belonging = candidate.belonging
    if project != belonging.project and project not in belonging.mixed:
        return Decision(Outcome.UNCONCERNED)
    if candidate.session in choices.withheld:
        return Decision(Outcome.WITHHELD, BY_OWNER)
    if candidate.unshared:
        return Decision(Outcome.UNSHARED, "you unshared it")
    hit = choices.excluded(candidate.directories)
    if hit:
        return Decision(Outcome.EXCLUDED, f"it worked in {hit[0]}; you exclude {hit[1].pattern}")
    share = choices.share_of(candidate.session, project)
    others = [p for p in belonging.others(project) if share is None or p not in share.others]
    if others:
        return Decision(Outcome.MIXED, f"it also worked in {others[0]}")
    if share is None and candidate.last < (limits.since or _EVER):
        return Decision(Outcome.EARLIER)
    if limits.after_idle and candidate.quiet_s < limits.after_idle:
        why = f"it leaves once it was quiet for {limits.after_idle} s"
        return Decision(Outcome.WAITING, why, limits.after_idle - candidate.quiet_s)
    return Decision(Outcome.LEAVES)


class Whose(StrEnum):
    SESSION = "session"
    AGENT = "agent"


class Unshared(Value, frozen=True, kw_only=True):
    """Does not leave, and is withdrawn where it has left; until it is `lifted`.

    `name` is a session's id, or an agent's name: `claude-code` means every session of that
    program, `claude-code/reviewer` those of one agent.
    """

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
