"""Use case of `session continue`: which machine of a person is ahead in a session."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import BadInput, NotFound
from karma_sync.library.reader import Library, the_one
from karma_sync.service.forks import known_forks
from karma_sync.service.sessions.forking import messages_at
from karma_sync.store.database import Database


class Ahead(StrEnum):
    """The machines that have messages of a session which the other machine lacks."""

    THERE = "there"
    HERE = "here"
    BOTH = "both"
    NEITHER = "neither"


@dataclass(frozen=True)
class Lead:
    """The comparison of a session there with its copy here.

    `there` and `here` count the messages that only that machine has. `session` is the one here that
    holds the same conversation, `directory` where it works; "" if nothing of it is here.
    """

    there: int
    here: int
    session: str = ""
    directory: str = ""

    @property
    def ahead(self) -> Ahead:
        """The machine that is ahead."""
        if self.there:
            return Ahead.BOTH if self.here else Ahead.THERE
        return Ahead.HERE if self.here else Ahead.NEITHER


def on_other_machine(
    library: Library, scope: AccessScope, wanted: str, machines: Collection[str]
) -> Readable:
    """The session of one of my other machines (`machines`, by tag) that `wanted` names.

    Raises:
        NotFound: none of them has it.
        BadInput: several fit, or I have no other machine.
    """
    if not machines:
        raise BadInput(
            "you have no other machine",
            hint="karma-sync invite --me, or karma-sync machine add TAG on both",
        )
    found = library.fitting(scope, wanted)
    theirs = [r for r in found if r.manifest.member in machines]
    if not theirs and found:
        author = found[0].manifest.member
        if author == scope.user:
            raise NotFound(f"session {wanted} is of this machine", hint="your agent has it")
        raise NotFound(
            f"session {wanted} is by {author}, who is no other machine of yours",
            hint=f"karma-sync session fork {wanted}",
        )
    return the_one(scope, wanted, theirs)


def standing_of(
    theirs: Collection[str], here: Mapping[str, Collection[str]], works_in: Mapping[str, str]
) -> Lead:
    """Compare a session whose messages are `theirs` with the sessions here that hold it.

    `here` has the messages of each such session, `works_in` its directory. Of several, the one
    counts that lacks least, and of these the one that went on furthest.
    """

    def compared(session: str) -> Lead:
        ours = set(here[session])
        there = len(set(theirs) - ours)
        return Lead(there, len(ours - set(theirs)), session, works_in.get(session, ""))

    known = [compared(session) for session in here]
    return min(known, key=lambda s: (s.there, -s.here), default=Lead(len(theirs), 0))


def messages_of(sessions: Iterable[SourceSession]) -> dict[str, frozenset[str]]:
    """The ids of the messages of each of these sessions of the agent here."""
    found = {}
    for session in sessions:
        try:
            found[session.session_id] = messages_at(session.transcript.path)
        except OSError:
            continue  # it disappeared meanwhile
    return found


def ids_here(states: Database, parent: Readable) -> list[str]:
    """The ids of sessions here that may hold the same conversation: itself, and forks of it."""
    manifest = parent.manifest
    same, author = manifest.session.session_id, manifest.member
    forks = known_forks(states).values()
    return [same, *(f.session for f in forks if (f.parent, f.author) == (same, author))]
