"""What becomes of a session that might leave."""

from enum import StrEnum


class Outcome(StrEnum):
    LEAVES = "leaves"
    UNCONCERNED = "unconcerned"  # of another project
    EARLIER = "earlier"  # than the limit
    MIXED = "mixed"  # it also worked in another place
    WITHHELD = "withheld"  # by its owner
    UNSHARED = "unshared"  # by its owner, after it had left
    EXCLUDED = "excluded"  # it worked in an excluded directory
    WAITING = "waiting"  # until it was quiet for as long as was asked for
