"""Use cases of `exclude`: what a person means by a directory or pattern, and what it concerns."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from shlex import quote

from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.growing_file import whole_lines
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.profile import TRANSCRIPT
from karma_sync.domain.session.selection import Exclusion, Outcome, why_excluded
from karma_sync.domain.session.source_files import SourceSession
from karma_sync.errors import BadInput, NotFound
from karma_sync.library.reader import LibraryView
from karma_sync.sending.eligibility import Decider, real_paths
from karma_sync.sending.exclusions import WILDCARDS, split_pattern
from karma_sync.service.directories import WINDOWS
from karma_sync.service.sessions.choices import HeldSession
from karma_sync.service.sessions.preview import Outlet, ways_of
from karma_sync.store.ledger import Departed
from karma_sync.store.work import Stays

_CHARS = 1000


def patterns_of(text: str, here: Path, home: Path) -> list[str]:
    """The patterns for a text that a person typed: a directory, or a pattern; sorted.

    A text without a slash and with `*`, `?` or `[` is a pattern of directory names. Any other text
    is a path that begins at the root, at `~` or at `here`. `.` and `..` are resolved. If links are
    on the way to it, the result has the path through the links and the real one.

    Raises:
        BadInput: the text is empty or too long, would exclude everything, names a file or another
            user's home, or goes up from what a pattern matches.
    """
    if not text.strip() or len(text) > _CHARS or not text.isprintable():
        raise BadInput(
            f"{text!r} is neither a directory nor a pattern",
            hint="for instance: karma-sync exclude ~/private 'client-*'",
        )
    if WINDOWS.match(text):
        return [normpath(text.replace("\\", "/"))]
    plain = _at_home(text.strip().rstrip("/") or "/", home)
    path = here / plain
    if path.is_file():
        raise BadInput(f"{path} is a file", hint=f"karma-sync exclude {quote(str(path.parent))}")
    if path.is_dir() or not WILDCARDS & set(plain):
        return _unless_all({os.path.normpath(path), os.path.realpath(path)})
    if "/" not in plain:
        return _unless_all({plain})
    fixed, rest = split_pattern(str(path))
    if ".." in rest:
        raise BadInput(
            f"`..` after a pattern names no directory: {plain}",
            hint="leave out what stands before `..`",
        )
    bases = {os.path.normpath(fixed), os.path.realpath(fixed)}
    return _unless_all({str(Path(base, *rest)) for base in bases})


def _at_home(plain: str, home: Path) -> str:
    if plain == "~" or plain.startswith("~/"):
        return str(home) + plain[1:]
    if plain.startswith("~"):
        raise BadInput(
            f"karma-sync cannot find the home directory {plain.partition('/')[0]}",
            hint="type the whole path",
        )
    return plain


def _unless_all(patterns: set[str]) -> list[str]:
    """Raises BadInput if a pattern matches every directory."""
    if any(p == "/" or ("*" in p and set(p) <= {"/", "*", "?"}) for p in patterns):
        raise BadInput("that would exclude everything", hint="karma-sync pause")
    return sorted(patterns)


@dataclass(frozen=True)
class ExcludedSession:
    """A session of mine that stays here because of `exclusion`, a pattern; `team` is a name.

    `left` is true if others have an earlier state of it.
    """

    session: str
    project: str
    team: str
    exclusion: str
    why: str
    left: bool

    def as_held(self) -> HeldSession:
        """The same for a list of all sessions that stay; it names what takes back the sent ones."""
        undo = f"; what was sent stays: karma-sync session unshare {self.session}"
        why = self.why + undo if self.left else self.why
        return HeldSession(self.session, self.project, self.team, Stays.WITHHELD, why)


class ExcludedSessions:
    """Finds the sessions that exclusions keep here, also those whose source the agent deleted.

    Their directories are in the content that was sent, which the library has.
    """

    def __init__(self, decider: Decider, view: LibraryView) -> None:
        self._decider = decider
        self._view = view

    def all(
        self,
        sessions: Sequence[SourceSession],
        outlets: Sequence[Outlet],
        left: Sequence[Departed],
    ) -> list[ExcludedSession]:
        """All of them, by project and ID; `left` is what left and was not withdrawn."""
        teams = {answers.team.id: answers.team.name for answers, _ in outlets}
        sources = {session.session_id: session for session in sessions}
        reasons = {name: found for name, s in sources.items() if (found := self._of_source(s))}
        rows = {row.session: row for row in left if row.session}
        for name in rows.keys() - sources.keys():
            if found := self._of_sent(rows[name]):
                reasons[name] = found
        kept = {(r.session, r.project, r.team): True for r in left if r.session in reasons}
        for name in reasons.keys() & sources.keys():
            for way in ways_of(self._decider, sources[name], outlets):
                if way.decision.outcome is Outcome.EXCLUDED:
                    kept.setdefault((name, way.answers.project, way.answers.team.id), False)
        excluded = [
            ExcludedSession(
                name,
                project,
                teams.get(team, team),
                reasons[name][1].pattern,
                why_excluded(*reasons[name]),
                is_left,
            )
            for (name, project, team), is_left in kept.items()
        ]
        return sorted(excluded, key=lambda each: (each.project, each.session, each.team))

    def _of_source(self, session: SourceSession) -> tuple[str, Exclusion] | None:
        try:
            return self._decider.excluded(session, self._decider.matcher.facts(session))
        except OSError:
            return None  # it disappeared meanwhile

    def _of_sent(self, row: Departed) -> tuple[str, Exclusion] | None:
        found, facts = self._view.item(row.folder, row.item), Facts()
        if found is None:
            return None  # it is not in the library, so nobody knows where it worked
        try:
            for lines in whole_lines(self._view.content(found, TRANSCRIPT)):
                feed(facts, lines)
        except NotFound:
            return None  # it was removed meanwhile
        return self._decider.choices().excluded(real_paths(facts.cwds))
