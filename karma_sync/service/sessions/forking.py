"""Use cases of `session fork`: writes a session of another member where an agent here finds it."""

import re
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from karma_sync.agents.claude.fork_plan import ForkPlan, closing_lines, fork_lines, plan_fork
from karma_sync.agents.claude.fork_records import Rewriting
from karma_sync.agents.claude.project_directory import PlacesHere, project_directory
from karma_sync.agents.growing_file import LineTooLong
from karma_sync.domain import limits
from karma_sync.domain.access import AccessScope
from karma_sync.domain.session.fork import SessionFork
from karma_sync.domain.session.profile import TRANSCRIPT, FileKind, kind_of
from karma_sync.domain.session.readable import Readable
from karma_sync.domain.session.source_files import is_lines
from karma_sync.domain.text import one_line
from karma_sync.errors import BadInput, Conflict
from karma_sync.files import Staged, delete_files, put_new, stage_new
from karma_sync.git.repository import has_branch, has_commit
from karma_sync.service.sessions.clones import Clone
from karma_sync.service.sessions.reading import ReadableSessions
from karma_sync.store import state
from karma_sync.store.database import Database

# Not from the module that finds sessions: it takes long to load.
_AGENT = "claude-code"
# Names that a peer gave: a path is made only of such parts.
_PART = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}")
_TITLE_CHARS = 120


@dataclass(frozen=True)
class ForkWishes:
    """A person's wishes for a fork; `author` is the name of the parent's author in the title."""

    author: str
    at: str = ""
    keep_thinking: bool = False


@dataclass(frozen=True)
class PreparedFork:
    """A fork that can be written.

    - `session` is its id, `path` the transcript that it gets.
    - `files` are the other files that it gets: by name in the parent, the path here.
    - `left_out` are the names of the parent's files that it does not get.
    - `has_branch`, `has_commit`: whether the clone has the branch and the last commit that the
      session named; None if it named none.
    """

    parent: Readable
    clone: Clone
    session: str
    title: str
    path: Path
    plan: ForkPlan
    files: Mapping[str, Path]
    left_out: tuple[str, ...]
    has_branch: bool | None
    has_commit: bool | None


@dataclass(frozen=True)
class WrittenFork:
    """The files that a fork has, and those in whose place another file lay already."""

    files: list[Path]
    kept: list[Path]


class Forking:
    """Makes forks.

    `home` is the directory of Claude Code here, `spool` a private directory for a copy of what is
    read, `machines` are the tags of the reader's other machines.
    """

    def __init__(
        self,
        sessions: ReadableSessions,
        scope: AccessScope,
        home: Path,
        spool: Path,
        machines: Collection[str] = (),
    ) -> None:
        self._sessions = sessions
        self._scope = scope
        self._home = home
        self._spool = spool
        self._mine = {scope.user, *machines}

    @contextmanager
    def prepared(
        self, parent: Readable, clone: Clone, wishes: ForkWishes, environ: Mapping[str, str]
    ) -> Iterator[tuple[PreparedFork, Callable[[Database], WrittenFork]]]:
        """Prepare a fork: yield its description and the function that writes it; write nothing yet.

        `environ` is the environment in which the agent will run.

        Raises:
            BadInput: the agent is another one, or thinking cannot be kept.
            NotFound: the session has no such message.
            Conflict: it has nothing that an agent could go on from.
        """
        _require_forkable(self._mine, parent, wishes)
        with ExitStack() as stack:
            source = stack.enter_context(self._copied(parent, TRANSCRIPT))
            plan = plan_fork(_lines(source), at=wishes.at, keep_thinking=wishes.keep_thinking)
            fork = self._described(parent, clone, plan, wishes, environ)

            def write(store: Database) -> WrittenFork:
                return self._write(store, fork, source, wishes.keep_thinking)

            yield fork, write

    def messages(self, parent: Readable) -> frozenset[str]:
        """The ids of the messages that a fork of a session would take."""
        with self._copied(parent, TRANSCRIPT) as source:
            return messages_in(_lines(source))

    def _described(
        self,
        parent: Readable,
        clone: Clone,
        plan: ForkPlan,
        wishes: ForkWishes,
        environ: Mapping[str, str],
    ) -> PreparedFork:
        session = str(uuid.uuid4())
        own = project_directory(self._home, clone.start, environ) / session
        old = parent.manifest.session.session_id
        names = [file.path for file in parent.manifest.files if file.path != TRANSCRIPT]
        places = {name: self._place(name, own, old) for name in names}
        return PreparedFork(
            parent=parent,
            clone=clone,
            session=session,
            title=_title(parent, wishes.author),
            path=own.with_name(f"{session}.jsonl"),
            plan=plan,
            files={name: path for name, path in places.items() if path},
            left_out=tuple(name for name, path in places.items() if path is None),
            has_branch=has_branch(clone.root, plan.branch) if plan.branch else None,
            has_commit=has_commit(clone.root, plan.commit) if plan.commit else None,
        )

    def _place(self, name: str, own: Path, old: str) -> Path | None:
        """The place of a parent's file in the fork; None if a fork does not get it."""
        parts = name.split("/")
        if not all(map(_PART.fullmatch, parts)):
            return None
        try:
            kind = kind_of(name)
        except KeyError:
            return None  # only the archive has such files
        match kind:
            case FileKind.SUBAGENT | FileKind.SUBAGENT_NOTE | FileKind.TOOL_RESULT:
                return own.joinpath(*parts)
            case FileKind.TASK:
                return self._home.joinpath("tasks", own.name, *parts[1:])
            case FileKind.TODO if parts[1].startswith(old):
                return self._home / "todos" / parts[1].replace(old, own.name)
            case FileKind.PLAN:
                return self._home / "plans" / parts[-1]
        return None  # scripts of workflows, other copies, whole source files, logs

    def _write(
        self, store: Database, fork: PreparedFork, source: BinaryIO, keep_thinking: bool
    ) -> WrittenFork:
        """Record the fork, then write it: its transcript last, when all other files are there."""
        record = _recorded(fork)
        with store.transaction() as tx:
            state.forks.put(tx, record)
        staged: list[Staged] = []
        try:
            for name, path in fork.files.items():
                if not path.exists():
                    staged.append(stage_new(path, self._side_file(fork, name, keep_thinking)))
            source.seek(0)
            lines = self._transcript(fork, source, keep_thinking)
            staged.append(stage_new(fork.path, lines))
            written = put_new(staged)
            _require_written(fork.path, written)
        except BaseException:
            for each in staged:
                each.discard()
            with store.transaction() as tx:
                state.forks.drop(tx, session=fork.session)
            raise
        kept = [path for path in fork.files.values() if path not in written]
        return WrittenFork(written, kept)

    def _transcript(
        self, fork: PreparedFork, source: BinaryIO, keep_thinking: bool
    ) -> Iterator[bytes]:
        rewriting = _rewriting(fork, fork.plan, keep_thinking)
        yield from fork_lines(_lines(source), fork.plan, rewriting.line)
        yield from closing_lines(fork.plan, fork.session, fork.title)

    def _side_file(self, fork: PreparedFork, name: str, keep_thinking: bool) -> Iterator[bytes]:
        if not is_lines(name) or kind_of(name) is not FileKind.SUBAGENT:
            yield from self._sessions.content(self._scope, fork.parent, name)
            return
        with self._copied(fork.parent, name) as source:
            try:
                plan = plan_fork(_lines(source), keep_thinking=keep_thinking, is_subagent=True)
            except Conflict:
                return  # a subagent that was just begun: the file stays empty
            source.seek(0)
            rewriting = _rewriting(fork, plan, keep_thinking)
            yield from fork_lines(_lines(source), plan, rewriting.line)

    @contextmanager
    def _copied(self, parent: Readable, name: str) -> Iterator[BinaryIO]:
        """A file of a session as it is now: it is read twice, and may grow in between."""
        with tempfile.TemporaryFile(dir=self._spool) as copy:
            copy.writelines(self._sessions.content(self._scope, parent, name))
            copy.seek(0)
            yield copy


def messages_in(lines: Iterable[bytes]) -> frozenset[str]:
    """The ids of the messages that a fork of this transcript would take; none if it has none."""
    try:
        return plan_fork(lines).said
    except Conflict:
        return frozenset()


def messages_at(path: Path) -> frozenset[str]:
    """As `messages_in`, of a transcript of the agent here."""
    with path.open("rb") as source:
        return messages_in(_lines(source))


def _recorded(fork: PreparedFork) -> SessionFork:
    manifest = fork.parent.manifest
    return SessionFork(
        session=fork.session,
        author=manifest.member,
        parent=manifest.session.session_id,
        team=manifest.team,
        project=manifest.project,
        item=manifest.item if manifest.team else "",  # the archive's copy came through no channel
        records=fork.plan.heads,
    )


def _require_written(path: Path, written: list[Path]) -> None:
    if path not in written:
        delete_files(written)
        raise Conflict(f"{path} appeared meanwhile; type the command again")


def _rewriting(fork: PreparedFork, plan: ForkPlan, keep_thinking: bool) -> Rewriting:
    root = fork.clone.root
    name = fork.parent.manifest.project.rpartition("/")[2]
    places = PlacesHere(fork.plan.directories, name, root, lambda below: (root / below).is_dir())
    saved = {name: str(path) for name, path in fork.files.items()}
    return Rewriting(fork.session, places.of, plan.stands_for, saved.get, keep_thinking)


def _require_forkable(mine: Collection[str], parent: Readable, wishes: ForkWishes) -> None:
    manifest = parent.manifest
    agent = manifest.session.agent
    if agent != _AGENT:
        raise BadInput(
            f"session {manifest.session.session_id} is by {agent}; only those by {_AGENT} can be"
            " forked",
            hint=f"karma-sync session show {manifest.session.session_id}",
        )
    if not wishes.keep_thinking:
        return
    if manifest.member not in mine or manifest.redactions:
        raise BadInput(
            "thinking is bound to the account and to every word before it: it can be kept only of"
            " a session of yours from which nothing was cut",
            hint="leave out --keep-thinking",
        )


def _title(parent: Readable, author: str) -> str:
    named = one_line(parent.manifest.session.title, _TITLE_CHARS) or "a session"
    return f"{named} (from {author})"


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """The lines of an open file.

    Raises:
        LineTooLong: a line is longer than any record.
    """
    while line := source.readline(limits.LINE_BYTES + 1):
        if len(line) > limits.LINE_BYTES:
            raise LineTooLong(f"a line is longer than {limits.LINE_BYTES} bytes")
        yield line
