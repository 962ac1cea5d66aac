"""The direction of a subscription; alone in its file, as `--help` needs it and pydantic is slow."""

from enum import StrEnum


class Direction(StrEnum):
    SEND = "send"
    RECEIVE = "receive"
    BOTH = "both"
