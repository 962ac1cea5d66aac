"""Use cases of observations: the sources here, what would leave, what a person holds back."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from karma_sync.agents.claude.memory import ClaudeMemory
from karma_sync.agents.engram.source import EngramFolder, EngramSource
from karma_sync.agents.observations import ObservationSource, OwnObservations
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.observation import (
    Observation,
    ObservationFilter,
    SourceObservation,
    StayReason,
    counted_types,
    decoded,
)
from karma_sync.domain.session.selection import Limits, Unshared, Whose, WithheldObservation
from karma_sync.domain.team.pairing_code import PairingCode
from karma_sync.domain.team.subscription import Content, Subscription
from karma_sync.domain.value import Value
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.library.observations import Observations, ReadObservation
from karma_sync.library.reader import author
from karma_sync.redact.redactor import Redactor
from karma_sync.sending.eligibility import ProjectMatcher
from karma_sync.sending.observation_selection import ObservationSelector, Rules, Selected
from karma_sync.sending.observations import content_of
from karma_sync.sending.packaging.observations import cuts_in, redacted_lines
from karma_sync.service.projects import ProjectAnswers
from karma_sync.service.sessions.preview import Outlet, outlets
from karma_sync.settings import Settings
from karma_sync.store import observations, state
from karma_sync.store.database import Database
from karma_sync.store.read_only import reading_only

_PROPOSED = 5


@dataclass(frozen=True)
class ObservationParts:
    """The sources on this machine, and what selects those that leave."""

    own: OwnObservations
    engram: EngramSource
    sources: Sequence[ObservationSource]
    selector: ObservationSelector

    def directories(self) -> list[Path]:
        """Every directory in which observations change."""
        return [path for source in self.sources for path in source.directories()]

    def with_authors(self, names: Set[str]) -> "ObservationParts":
        """The same, as if these names too were the person's in Engram."""
        engram = self.engram
        more = replace(engram, authors=lambda: engram.authors() | names)
        sources = [more if source is engram else source for source in self.sources]
        return replace(self, engram=more, sources=sources)


def observation_parts(
    settings: Settings,
    own: Path,
    authors: Callable[[], frozenset[str]],
    matcher: ProjectMatcher,
) -> ObservationParts:
    """The sources of a member; `own` is the file of `observation add`.

    `authors` are the names under which the person's Engram creates chunks, as configured now.
    """
    places = matcher.places

    def roots() -> Mapping[str, str]:
        return {**places.learned, **places.mapped}

    def folders() -> list[EngramFolder]:
        found = (EngramFolder(Path(path)) for path in sorted(roots()))
        return [each for each in found if each.chunks.root.is_dir()]

    added = OwnObservations(own)
    engram = EngramSource(settings.observations.engram, folders, authors, reading_only)
    memory = ClaudeMemory(settings.claude_dirs, settings.tag, matcher.worked_in)
    selector = ObservationSelector(places.of, roots)
    return ObservationParts(added, engram, (added, engram, memory), selector)


def received_ids(library: Database, me: str, ids: Iterable[str]) -> frozenset[str]:
    """The ids among these that came from others; none of them is sent on."""
    with library.reading() as tx:
        return observations.ids_by_others(tx, me, ids)


@dataclass(frozen=True)
class LeavingObservations:
    """The observations of one project that would leave.

    `cuts` counts the redactions by rule. `stays` are those of the project that stay, with reason;
    `problems` are sources that could not be read.
    """

    found: Sequence[Observation]
    cuts: Mapping[str, int]
    stays: Sequence[tuple[SourceObservation, StayReason]]
    problems: Sequence[str] = ()

    @property
    def types(self) -> dict[str, int]:
        """The number of observations of each type."""
        return counted_types(self.found)

    @property
    def reasons(self) -> dict[str, int]:
        """The number of observations that stay, by reason code."""
        return dict(sorted(Counter(why.value for _, why in self.stays).items()))


@dataclass(frozen=True)
class ObservationSurvey:
    """Reads the sources for what a person is shown; every text that it returns is redacted."""

    parts: ObservationParts
    state: Database
    library: Database
    redactor: Callable[[], Redactor]
    author: str

    def with_authors(self, names: Set[str]) -> "ObservationSurvey":
        """The same, as if these names too were the person's in Engram."""
        return replace(self, parts=self.parts.with_authors(names))

    def leaving(
        self, outlet: Outlet, contents: Sequence[Content], limits: Limits
    ) -> LeavingObservations:
        """The observations that would leave for a project with these contents and limits.

        Raises:
            BadInput: a redaction rule of the person cannot be used.
            RedactionFailed: nothing would leave.
        """
        problems: list[str] = []
        selected = self.selected(outlet, contents, limits, problems)
        leaves, stays = selected.leaves, selected.concerning
        lines, refused = redacted_lines(self.redactor(), leaves)
        known = {each.id: each for each in leaves}
        stays += [(SourceObservation(known[name]), why) for name, why in refused.items()]
        shown = [decoded(line) for line in lines.values()]
        return LeavingObservations(shown, cuts_in(lines.values()), stays, problems)

    def selected(
        self,
        outlet: Outlet,
        contents: Sequence[Content],
        limits: Limits,
        problems: list[str] | None = None,
    ) -> Selected:
        """Split unredacted observations: leave or stay; `problems` gets what could not be read."""
        whole = Selected()
        for source in self.parts.sources:
            if content_of(source.name) in contents:
                content = source.read()
                if problems is not None:
                    problems += content.problems
                rules = self._rules(outlet, limits, content.found)
                found = self.parts.selector.select(source.name, content.found, rules)
                whole.leaves.extend(found.leaves)
                whole.stays.extend(found.stays)
        return whole

    def one(self, ways_out: Sequence[Outlet], wanted: str) -> "ShownObservation":
        """The one observation of this machine whose id begins with `wanted`, and its ways.

        Raises:
            NotFound: no source has it.
            BadInput: several fit.
        """
        found: dict[str, tuple[str, SourceObservation]] = {}
        for source in self.parts.sources:
            for each in source.read().found:
                if wanted and each.record.id.startswith(wanted):
                    found[each.record.id] = source.name, each
        if wanted in found:
            found = {wanted: found[wanted]}
        if not found:
            raise NotFound(
                f"no observation of yours begins with {wanted!r}",
                hint="karma-sync observation list --mine",
            )
        if len(found) > 1:
            names = " or ".join(sorted(found)[:_PROPOSED])
            raise BadInput(f"{wanted!r} fits several observations", hint=names)
        [(name, each)] = found.values()
        ways = []
        for outlet in ways_out:
            rules = self._rules(outlet, outlet[0].mine.limits, [each])
            selected = self.parts.selector.select(name, [each], rules)
            why = selected.stays[0][1] if selected.stays else None
            agreed = outlet[0].mine.agreed(content_of(name))
            ways.append(ObservationWay(outlet[0], why, agreed))
        lines, _ = redacted_lines(self.redactor(), [each.record])
        shown = [decoded(line) for line in lines.values()]
        record = shown[0] if shown else each.record.changed(title="", content="")
        return ShownObservation(name, record, ways, cuts_in(lines.values()))

    def _rules(self, outlet: Outlet, limits: Limits, found: Iterable[SourceObservation]) -> Rules:
        with self.state.reading() as tx:
            choices, unshared = state.choices(tx), frozenset(state.unshared.all(tx))
        received = received_ids(self.library, self.author, (each.record.id for each in found))
        return Rules(outlet[1], limits, choices, self.author, unshared, received)


@dataclass(frozen=True)
class ObservationWay:
    """A project that is sent: why the observation stays (None if not), and whether it may leave."""

    answers: ProjectAnswers
    stays: StayReason | None
    agreed: bool


@dataclass(frozen=True)
class ShownObservation:
    """One observation of this machine as it would leave."""

    source: str
    record: Observation
    ways: Sequence[ObservationWay]
    cuts: Mapping[str, int]


Verb = Callable[[Database, str], None]


def held(store: Database, wanted: str) -> str | None:
    """The one withheld or unshared id that begins with `wanted`; None if there is not one."""
    with store.reading() as tx:
        ids = {each.id for each in state.withheld_observations.all(tx)}
        ids |= {
            each.name
            for each in state.unshared.all(tx)
            if each.whose is Whose.OBSERVATION and not each.lifted
        }
    found = [each for each in ids if wanted and each.startswith(wanted)]
    return wanted if wanted in ids else found[0] if len(found) == 1 else None


def outlet_of(store: Database, me: PairingCode, answers: ProjectAnswers) -> Outlet:
    """A project with the names by which a directory belongs to it."""
    known = [each for each in outlets(store, me) if each[0].is_same(answers)]
    return known[0] if known else (answers, answers.names)


def own_observations(parts: ObservationParts, me: str) -> list[ReadObservation]:
    """The person's own observations on this machine, the latest changed first, unredacted."""
    found = [
        ReadObservation(each.record, me, "", each.project, "")
        for source in parts.sources
        for each in source.read().found
        if each.stays not in (StayReason.FOREIGN, StayReason.UNKNOWN_AUTHOR)
    ]
    return sorted(found, key=lambda each: (each.record.updated, each.id), reverse=True)


def author_name(store: Database, tag: str) -> str:
    """The name of an author: the user part, or the tag if two members share that."""
    with store.reading() as tx:
        teams = state.teams.all(tx)
    return author(tag, "", teams)


class ObservationCounts(Value, frozen=True, kw_only=True):
    """The numbers of observations: mine here, by others, and mine that have not left yet.

    `imports` counts what the last import of each item did, by `imported`, `skipped` and the codes
    of what was refused. `unasked` are the projects of which the person was not shown any yet.
    """

    local: int
    remote: int
    pending: int
    imports: dict[str, int]
    unasked: tuple[str, ...]


@dataclass(frozen=True)
class ObservationCounter:
    """Counts what this person has, what others sent, and what has not left yet."""

    survey: ObservationSurvey
    reader: Observations
    scope: AccessScope
    me: PairingCode

    def counts(self, projects: Collection[str] = ()) -> ObservationCounts:
        """The counts, of all projects or of those with these names."""
        wanted = ObservationFilter(projects=tuple(projects))
        read = list(self.reader.all(self.scope, wanted))
        out = {each.id: each.record.version for each in read if each.author == self.me.tag}
        ways = [w for w in outlets(self.survey.state, self.me) if _is_of(w[0].project, projects)]
        mine = own_observations(self.survey.parts, self.me.tag)
        local = {each.id for each in mine if _is_of(each.project, projects)}
        pending: set[str] = set()
        for outlet in ways:
            answers = outlet[0]
            contents = [c for c in answers.mine.content if c is not Content.SESSIONS]
            here = self.survey.selected(outlet, contents, answers.mine.limits)
            # a source may know another name of the project than the team
            local |= {each.id for each in here.leaves}
            local |= {each.record.id for each, why in here.concerning if why in _OWN_REASONS}
            pending |= {each.id for each in here.leaves if out.get(each.id, 0) < each.version}
        return ObservationCounts(
            local=len(local),
            remote=len(read) - len(out),
            pending=len(pending),
            imports=self._imports(),
            unasked=tuple(
                answers.named
                for answers, _ in ways
                if Content.OBSERVATIONS in answers.mine.content
                and not answers.mine.limits.observations
            ),
        )

    def _imports(self) -> dict[str, int]:
        with self.survey.library.reading() as tx:
            results = observations.results(tx)
        found: Counter[str] = Counter()
        for counts in results.values():
            found.update(counts)
        return dict(sorted(found.items()))


# Observations that stay for one of these reasons are this person's own.
_OWN_REASONS = frozenset(StayReason) - {StayReason.FOREIGN, StayReason.UNKNOWN_AUTHOR}


def _is_of(project: str, wanted: Collection[str]) -> bool:
    """Whether a project has one of these names, or ends so; true if no name is wanted."""
    return not wanted or any(f"/{project}".endswith(f"/{name}") for name in wanted)


def require_on(*, is_on: bool) -> None:
    """Raises Conflict, with the reason code, if observations are turned off."""
    if not is_on:
        raise Conflict(
            "observations-off: observations are not shared, by config.toml or"
            " KARMA_SYNC_OBSERVATIONS",
            hint="set share = true below [observations] in config.toml",
        )


def require_subscription(answers: Sequence[ProjectAnswers]) -> None:
    """Raises Conflict, with the reason code, if no accepted project takes observations."""
    engaged = [a for a in answers if a.mine.engaged]
    if not engaged:
        raise Conflict(
            "no-subscription: you have accepted no project",
            hint="karma-sync subscription list",
        )
    if not any(Content.OBSERVATIONS in a.mine.content for a in engaged):
        raise Conflict(
            "no-observations: none of the projects that you accepted has observations",
            hint=f"karma-sync observation share {engaged[0].named}",
        )


def agree(mine: Subscription, contents: Sequence[Content]) -> Subscription:
    """My answer after the person was shown what leaves of these contents, and agreed."""
    limits = mine.limits.changed(
        observations=mine.limits.observations or Content.OBSERVATIONS in contents,
        memory=mine.limits.memory or Content.MEMORY in contents,
    )
    every = {*mine.content, *contents}
    return mine.change(mine.direction, tuple(c for c in Content if c in every), limits)


def withhold(store: Database, observation: str) -> None:
    """Keep an observation on this machine from now on; what left of it stays as it is."""
    with store.transaction() as tx:
        state.withheld_observations.put(tx, WithheldObservation(id=observation))


def unshare(store: Database, observation: str) -> None:
    """Take an observation back from everybody, and keep it here."""
    with store.transaction() as tx:
        state.unshared.put(tx, Unshared(whose=Whose.OBSERVATION, name=observation))


def release(store: Database, observation: str) -> bool:
    """Undo `withhold` and `unshare`; whether there was anything to undo."""
    with store.transaction() as tx:
        held = state.withheld_observations.get(tx, observation)
        taken = state.unshared.get(tx, Whose.OBSERVATION, observation)
        state.withheld_observations.drop(tx, id=observation)
        if taken and not taken.lifted:
            state.unshared.put(tx, taken.changed(lifted=True))
    return held is not None or (taken is not None and not taken.lifted)
