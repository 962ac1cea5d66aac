"""Models events: what karma-sync reports to people, with what an event can be found by."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """The kinds of events; the values are the words that people read."""

    TEAM_CREATED = "founded"
    TEAM_RENAMED = "renamed"
    TEAM_DISSOLVED = "dissolved"
    MEMBER_ADDED = "added"
    MEMBER_JOINED = "joined"
    MEMBER_REMOVED = "removed"
    MEMBER_LEFT = "left"
    MEMBER_MUTED = "muted"
    MEMBER_UNMUTED = "unmuted"
    LEADER_TRANSFERRED = "leadership transferred"
    LEADER_TAKEN_OVER = "leadership taken over"
    PROJECT_SHARED = "shared"
    PROJECT_UNSHARED = "unshared"
    PROJECT_PROPOSED = "proposed"
    SUBSCRIPTION_OFFERED = "offered"
    SUBSCRIPTION_ACCEPTED = "accepted"
    SUBSCRIPTION_PAUSED = "paused"
    SUBSCRIPTION_RESUMED = "resumed"
    SUBSCRIPTION_CHANGED = "changed"
    SUBSCRIPTION_DECLINED = "declined"
    SUBSCRIPTION_REOPENED = "reopened"
    SUBSCRIPTION_LIMITED = "limited"
    SESSION_PACKAGED = "packaged"
    SESSION_RECEIVED = "received"
    SESSION_UNSHARED = "session unshared"
    SESSION_SHARED = "session shared"
    SESSION_WITHHELD = "withheld"
    SESSION_NOT_SENT = "did not leave"
    SESSION_PARTS_LEFT_OUT = "left out"
    SESSION_RETRACTED = "retracted"
    SESSION_LOST = "lost"
    SESSION_WITHDRAWN = "withdrawn"
    SESSION_PURGED = "purged"
    OBSERVATION_UNSHARED = "observation unshared"
    OBSERVATION_SHARED = "observation shared"
    DEVICE_PAIRED = "paired"
    DEVICE_UNPAIRED = "unpaired"
    MACHINE_ADDED = "machine added"
    MACHINE_REMOVED = "machine removed"
    CONTACT = "contact"
    CONTACT_ACCEPTED = "contact accepted"
    CONTACT_DECLINED = "contact declined"
    INVITATION = "invitation"
    INVITATION_ACCEPTED = "invitation accepted"
    INVITATION_DECLINED = "invitation declined"
    TEAM_REBUILT = "rebuilt"
    OUTBOX_RECOVERING = "recovering"
    OUTBOX_RECOVERED = "recovered"
    OUTBOX_MENDED = "outbox mended"
    FOLDER_MENDED = "mended"
    ITEM_ALTERED = "altered"
    CHANGED_BY_OTHERS = "changed by others"
    ITEM_REFUSED = "item refused"
    RETRACTION_REFUSED = "retraction refused"
    DOCUMENT_REFUSED = "document refused"
    DOCUMENT_DOUBLED = "document doubled"
    NOTICE_REFUSED = "notice refused"
    INVITATION_REFUSED = "invitation refused"
    DOOR_REFUSED = "door refused"
    REQUEST_REFUSED = "request refused"
    ANSWER_REFUSED = "answer refused"
    FOLDER_TOO_LARGE = "too large"
    FAULT = "fault"
    FAULT_OVER = "fault over"


@dataclass(frozen=True)
class Topic:
    """The subject of an event: a team (by its name), a project, and the tag of who acted.

    "" stands for none, or for one that nobody knows.
    """

    team: str = ""
    project: str = ""
    actor: str = ""


@dataclass(frozen=True)
class Event:
    """Something to report to people: what happened to whom or to what (`subject`), at `at` (UTC).

    `payload` is the reason or a detail, in words. Refusals and faults are `bad`.
    """

    id: int
    at: datetime
    type: EventType
    subject: str
    payload: str
    bad: bool = False
    about: Topic = Topic()


@dataclass(frozen=True)
class EventFilter:
    """The conditions on events that a person wants; an empty one limits nothing.

    A project fits by its end (`repo` or `acme/repo`), a member by its tag or user name, as the
    actor or the subject. `since` is UTC.
    """

    types: tuple[EventType, ...] = ()
    team: str = ""
    project: str = ""
    member: str = ""
    since: datetime | None = None


ALL_EVENTS = EventFilter()
