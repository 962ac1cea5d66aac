"""Puts what an agent reads of karma-sync into a frame, which packaging cuts from its transcript."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from karma_sync.app import App
from karma_sync.cli.ask import is_under_agent
from karma_sync.cli.output import print_line
from karma_sync.domain.session.frame import READING_COMMANDS
from karma_sync.errors import NeedsConsent

if TYPE_CHECKING:
    from karma_sync.library.reader import Readable


def run_for_agent(name: str, command: Callable[..., object], options: Mapping[str, Any]) -> object:
    """Run a command by its full name, inside a frame if it is a reading command.

    JSON and exact bytes have no frame: a program reads them. `require_private` is for those.
    """
    is_plain = options.get("as_json") or options.get("raw")
    if name not in READING_COMMANDS or is_plain:
        return command(**options)
    begin, end = App.from_environment().frames.marks()
    print_line(begin)
    try:
        return command(**options)
    finally:
        print_line(end)


def require_private(private: bool, what: str) -> None:
    """Refuse to print without a frame, to an agent, what does not leave otherwise.

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
    """The same for sessions: those by other members than `me`, and those that only I have.

    Raises:
        NeedsConsent: as `require_private` does.
    """
    from karma_sync.service.sessions.reading import ReadableCopy

    for each in found:
        if isinstance(each, ReadableCopy):
            require_private(private, "a session is from the archive")
        elif each.manifest.member != me:
            require_private(private, f"a session is by {each.manifest.member}")
