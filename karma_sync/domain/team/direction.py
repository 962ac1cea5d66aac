"""The directions in which a member can take part in a project, and a team's rule for removals.

They are not in `domain/team/subscription.py`, because `--help` lists them and must not load the
modules that subscriptions need (tests/unit/cli/test_command_table.py).
"""

from enum import StrEnum


class Direction(StrEnum):
    """The ways in which a member takes part in a project."""

    SEND = "send"
    RECEIVE = "receive"
    BOTH = "both"


class AfterRemoval(StrEnum):
    """The team's rule for the items of others that a removed member received."""

    PURGE = "purge"
    KEEP = "keep"
