"""Puts the output that an agent reads into a frame, which packaging cuts from its transcript."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from karma_sync.app import App
from karma_sync.cli.ask import is_under_agent
from karma_sync.cli.output import print_line
from karma_sync.domain.session.frame import NAMING_COMMANDS, READING_COMMANDS
from karma_sync.errors import NeedsConsent, NotInitialised

if TYPE_CHECKING:
    from karma_sync.domain.session.readable import Readable


def run_for_agent(name: str, command: Callable[..., object], options: Mapping[str, Any]) -> object:
    """Run a command by its full name, inside a frame if it gives texts or names of others.

    JSON and exact bytes have no frame: a program reads them. `require_private` is for those.
    """
    is_plain = options.get("as_json") or options.get("raw")
    if name not in READING_COMMANDS | NAMING_COMMANDS or is_plain:
        return command(**options)
    with framed_for_agent():
        return command(**options)


@contextmanager
def framed_for_agent() -> Iterator[None]:
    """Print the output in a frame, if an agent runs this command.

    Before there is an identity, nothing of others is here, and no mark can be made.
    """
    marks = _marks() if is_under_agent() else None
    if marks is None:
        yield
        return
    begin, end = marks
    print_line(begin)
    try:
        yield
    finally:
        print_line(end)


def _marks() -> tuple[str, str] | None:
    try:
        return App.from_environment().frames.marks()
    except NotInitialised:
        return None


def require_private(private: bool, what: str) -> None:
    """Refuse to print text to an agent without a frame, if the text does not leave otherwise.

    Raises:
        NeedsConsent: an agent runs this command, and `--private` is missing.
    """
    if is_under_agent() and not private:
        raise NeedsConsent(
            f"an agent runs this command, and {what}: what it prints without a frame can leave in"
            " the agent's own transcript",
            hint="leave out --raw and --json, or add --private",
        )


def require_private_for(found: "Iterable[Readable]", me: str, private: bool) -> None:
    """The same for sessions by other members than `me`, and for sessions that only I have.

    Raises:
        NeedsConsent: as `require_private` does.
    """
    from karma_sync.service.sessions.reading import ReadableCopy

    for each in found:
        if isinstance(each, ReadableCopy):
            require_private(private, "a session is from the archive")
        elif each.manifest.member != me:
            require_private(private, f"a session is by {each.manifest.member}")
