"""The forks on this machine: the sessions that they continue, and how one is deleted."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from karma_sync.domain.session.fork import SessionFork
from karma_sync.errors import BadInput, Conflict, NotFound
from karma_sync.files import delete_files
from karma_sync.store import library, state
from karma_sync.store.database import Database

if TYPE_CHECKING:  # listing forks needs none of it, and pydantic loads slowly
    from karma_sync.domain.session.source_files import SourceSession


def known_forks(states: Database) -> dict[str, SessionFork]:
    """The forks on this machine, by session."""
    with states.reading() as tx:
        return {fork.session: fork for fork in state.forks.all(tx)}


def withdrawn_forks(
    states: Database, items: Database, present: Callable[[], Collection[str]]
) -> list[SessionFork]:
    """The forks whose parent the library no longer has, by session.

    Its owner withdrew it, or the project ended for which it had come. `present` returns the
    sessions that the agent has; it is asked only if there may be such forks.
    """
    forks = [fork for fork in known_forks(states).values() if fork.item]
    if forks:
        with items.reading() as tx:
            forks = [fork for fork in forks if not library.is_kept(tx, fork.item)]
    if not forks:
        return []
    here = present()
    return [fork for fork in forks if fork.session in here]


def find_fork(states: Database, wanted: str) -> SessionFork:
    """The fork whose id begins with `wanted`.

    Raises:
        NotFound: there is none.
        BadInput: there are several.
    """
    found = [f for name, f in known_forks(states).items() if wanted and name.startswith(wanted)]
    if not found:
        raise NotFound(
            f"no fork on this machine begins with {wanted!r}",
            hint="karma-sync session list is:fork",
        )
    if len(found) > 1:
        raise BadInput(
            f"{wanted!r} fits several forks", hint=" or ".join(f.session for f in found[:5])
        )
    return found[0]


def require_closed(session: "SourceSession") -> None:
    """Raises Conflict if the agent works in a session now."""
    if session.running:
        raise Conflict(
            f"the agent has session {session.session_id} open", hint="end it there, then again"
        )


def delete_session(session: "SourceSession") -> list[Path]:
    """Delete the files of a session from the agent's directory; the deleted ones, its own first."""
    gone = delete_files(file.path for file in session.files)
    own = session.directory / session.session_id
    folders = [path for path in own.rglob("*") if path.is_dir() and not path.is_symlink()]
    for folder in [*sorted(folders, reverse=True), own]:
        try:
            folder.rmdir()
        except OSError:
            continue  # something else lies there, or there is none
    return gone
