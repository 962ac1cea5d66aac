"""Which way a member shares a project, and what of it."""

from enum import StrEnum


class Direction(StrEnum):
    SEND = "send"
    RECEIVE = "receive"
    BOTH = "both"


class Content(StrEnum):
    SESSIONS = "sessions"
    OBSERVATIONS = "observations"
    BOTH = "both"
