"""Describes forks: sessions here that go on from a session of another member."""

from karma_sync.domain.value import Value

# The first records of a conversation that show whether a session is a copy of another.
HEAD_RECORDS = 8
MOST_HEADS = 256


class SessionFork(Value, frozen=True, kw_only=True):
    """A session on this machine that goes on from another one.

    `author` is the tag of the member who wrote the `parent`, a session's id. It came as `item` of
    `team` and `project`; `item` is "" if it came through no channel. `records` are the uuids with
    which the fork begins, and goes on after each compaction: a fork that the agent makes of it
    begins with them.
    """

    session: str
    author: str
    parent: str
    team: str
    project: str
    item: str
    records: tuple[str, ...] = ()

    def with_records(self, more: "list[str]") -> "SessionFork":
        """The same, that also knows these records."""
        known = tuple(dict.fromkeys((*self.records, *more)))
        return self if known == self.records else self.changed(records=known[-MOST_HEADS:])

    def of_session(self, session: str, records: "list[str]") -> "SessionFork":
        """The fork that the agent made of this one: it has the same parent."""
        return self.changed(session=session, records=tuple(records[-MOST_HEADS:]))
