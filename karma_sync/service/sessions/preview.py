"""Use case of `session preview`: one session as it would leave, to whom, and every redaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from karma_sync.agents.record_choice import WithheldRecords
from karma_sync.domain import limits
from karma_sync.domain.session.profile import MAY_BE_GIVEN, Profile, kind_of
from karma_sync.domain.session.project import Names
from karma_sync.domain.session.selection import Candidate, Decision, Outcome, decide
from karma_sync.domain.session.source_files import SourceFile, SourceSession
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.errors import BadInput, NotFound
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.eligibility import Decider
from karma_sync.sending.packaging.file_selection import sendable
from karma_sync.sending.packaging.outgoing import Outgoing
from karma_sync.service.projects import ProjectAnswers, all_answers
from karma_sync.service.sessions.choices import my_channels
from karma_sync.service.sessions.redaction_preview import (
    Cut,
    LeavingFile,
    as_it_leaves,
    look_through,
)
from karma_sync.store.database import Database

Outlet = tuple[ProjectAnswers, Names]
"""A project that I send to a team, and the names by which a directory belongs to it."""


@dataclass(frozen=True)
class Way:
    """A subscription that concerns the session, and whether the session would leave through it."""

    answers: ProjectAnswers
    candidate: Candidate
    decision: Decision

    @property
    def recipients(self) -> list[str]:
        """The tags of the members that would receive the session."""
        return [member.tag for member in self.answers.recipients]


@dataclass(frozen=True)
class Preview:
    """The parts of a session that would leave.

    Texts and sizes are those after redaction. `files` are those of `profile`. `cuts` are all
    redactions, also those in the files.
    """

    session: SourceSession
    title: str
    branches: Sequence[str]
    ways: Sequence[Way]
    profile: Profile
    files: Sequence[LeavingFile]
    cuts: Sequence[Cut]

    @property
    def withheld(self) -> WithheldRecords:
        """The records that stay here, of all transcripts."""
        found = WithheldRecords()
        for file in self.files:
            found.add(file.withheld)
        return found


def preview(
    decider: Decider, redactor: Redactor, session: SourceSession, outlets: Sequence[Outlet]
) -> Preview:
    """Read one session and redact all of it.

    Raises:
        OSError: it cannot be read.
        RedactionFailed: it cannot be redacted, so it would not leave.
    """
    facts = decider.matcher.facts(session)
    ways = ways_of(decider, session, outlets)
    profile, sources = _files(decider, redactor, session, ways)
    outgoing = Outgoing(redactor, session.agent, profile)
    looked: list[LeavingFile] = []
    outputs: set[str] = set()
    for source in sorted(sources, key=lambda file: not file.is_transcript):
        looked.append(look_through(outgoing, source, outputs))
        outputs.update(looked[-1].outputs)
    files = [
        file
        for file in looked
        if kind_of(file.name) not in MAY_BE_GIVEN or file.name.partition("/")[2] not in outputs
    ]
    texts = [("title", facts.title), ("agent", facts.agent)]
    texts += [("branch", branch) for branch in facts.branches]
    texts += [("model", model) for model in facts.models]
    redacted = [(name, *redactor.string(text)) for name, text in texts]
    cuts = [
        Cut(rule, f"({name})", 1, text)
        for name, text, found in redacted
        for rule, count in found.items()
        for _ in range(count)
    ]
    return Preview(
        session=session,
        title=redacted[0][1][: limits.TITLE_CHARS],
        branches=[text for name, text, _ in redacted if name == "branch"],
        ways=ways,
        profile=profile,
        files=files,
        cuts=[*cuts, *(cut for file in files for cut in file.cuts)],
    )


def content(
    decider: Decider,
    redactor: Redactor,
    session: SourceSession,
    outlets: Sequence[Outlet],
    name: str,
) -> Iterator[bytes]:
    """The bytes that would leave of the session's file `name`.

    Raises:
        NotFound: no file of that name would leave.
        OSError, RedactionFailed: as `preview` does, also while the result is read.
    """
    profile, files = _files(decider, redactor, session, ways_of(decider, session, outlets))
    found = next((file for file in files if file.name == name), None)
    if found is None:
        hint = f"karma-sync session preview {session.session_id}"
        raise NotFound(f"no {name} would leave of this session", hint=hint)
    return as_it_leaves(Outgoing(redactor, session.agent, profile), found)


def _files(
    decider: Decider, redactor: Redactor, session: SourceSession, ways: "Sequence[Way]"
) -> tuple[Profile, list[SourceFile]]:
    """The largest profile of all ways, and the files that would leave by it."""
    profiles = [way.answers.mine.limits.profile for way in ways]
    profile = max(profiles, key=attrgetter("rank"), default=Profile.STANDARD)
    return profile, sendable(decider.matcher.complete(session, profile), profile, redactor)


def outlets(store: Database, me: PairingCode) -> list[Outlet]:
    """Everything that I send, also what is paused, by team and project."""
    names = {(c.team.id, c.project): c.names for c in my_channels(store, me)}
    return [
        (answers, names[answers.team.id, answers.project])
        for answers in all_answers(store, me)
        if (answers.team.id, answers.project) in names
    ]


def ways_of(decider: Decider, session: SourceSession, outlets: Sequence[Outlet]) -> list[Way]:
    """The outlets that concern the session."""
    ways, facts, choices = [], decider.matcher.facts(session), decider.choices()
    for answers, names in outlets:
        mine = answers.mine
        candidate = decider.preview_candidate(session, facts, names)
        decision = decide(candidate, mine.project, mine.limits, choices)
        if decision.outcome is not Outcome.UNCONCERNED:
            ways.append(Way(answers, candidate, decision))
    return ways


def is_sent(decider: Decider, session: SourceSession, outlets: Sequence[Outlet]) -> bool:
    """Whether the session leaves through any of the outlets now."""
    return any(
        way.answers.mine.sends and way.decision.outcome is Outcome.LEAVES
        for way in ways_of(decider, session, outlets)
    )


def one_project(ways: Sequence[Way], wanted: str | None) -> tuple[str, list[Way]]:
    """The project with which a session can be shared, and all ways to it.

    Raises:
        NotFound: there is no such project, or it is not `wanted`.
        BadInput: there are several.
    """
    projects = sorted({way.answers.project for way in ways})
    if wanted is not None:
        projects = [p for p in projects if p == wanted or p.endswith(f"/{wanted}")]
    if not projects:
        raise NotFound(
            "the session worked in no project that you send", hint="karma-sync subscription list"
        )
    if len(projects) > 1:
        raise BadInput(
            "the session worked in several projects", hint=f"--project {' or '.join(projects)}"
        )
    return projects[0], [way for way in ways if way.answers.project == projects[0]]
