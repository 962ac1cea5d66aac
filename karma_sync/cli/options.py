"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from karma_sync.cli import completion
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.team.direction import Direction
from karma_sync.errors import BadInput


class WordsCommand(TyperCommand):
    """A command whose words may begin with a dash: `-path` is no `-p -a -t -h`."""

    ignore_unknown_options = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill the parameters; an option of one letter must stand alone."""
        options = [each for each in self.params if not getattr(each, "is_flag", True)]
        with_value = {name for option in options for name in option.opts}
        pairs = zip(["", *args], args, strict=False)
        guarded = [each if before in with_value else _guarded(each) for before, each in pairs]
        rest = super().parse_args(ctx, guarded)
        words = {k: list(map(_typed, v)) for k, v in ctx.params.items() if isinstance(v, list)}
        ctx.params.update(words)
        return rest


_GUARD = "\0"  # no process can have it in an argument


def _guarded(word: str) -> str:
    is_word = word.startswith("-") and word[1:2] != "-" and len(word) > len("-h")
    return f"{_GUARD}{word}" if is_word else word


def _typed(value: object) -> object:
    return value.removeprefix(_GUARD) if isinstance(value, str) else value


def typed_directory(text: str) -> Path:
    """Return the directory that was typed; an unset variable of the shell is not the current one.

    Raises:
        BadInput: the text is empty.
    """
    if not text.strip():
        raise BadInput("an empty text names no directory", hint="type a dot for the current one")
    return Path(text)


SessionArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="The beginning of a session id, or user:agent:project:session.",
        autocompletion=completion.sessions,
    ),
]

IntoOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        parser=typed_directory,
        help="The clone in which to go on. Default: found by git.",
    ),
]

TeamOption = Annotated[
    str | None,
    typer.Option(
        help="The team, if several teams share the project.", autocompletion=completion.teams
    ),
]

DirectionOption = Annotated[
    Direction | None, typer.Option(help="send, receive or both. Default: both.")
]

ContentOption = Annotated[
    str | None,
    typer.Option(
        help="What you send and take: sessions, observations, memory, with commas between."
        " Default: sessions,observations."
    ),
]

SinceOption = Annotated[
    str | None,
    typer.Option(
        help="Send sessions that were active since then: all, now, 14d, 2026-05-31. Default: 30d."
    ),
]

LastOption = Annotated[
    int | None,
    typer.Option(min=0, help="Send the newest N of the existing sessions, and all later ones."),
]

IdleOption = Annotated[
    str | None,
    typer.Option(help="Send a session after it is idle for this long: 10m, 2h; 0s: at once."),
]

ProfileOption = Annotated[
    Profile | None,
    typer.Option(
        help="conversation: transcripts only. standard: also tool results, plans, tasks, todos,"
        " progress and hooks. full: also file history (whole source files), debug logs (your"
        " environment), and all that the agent records, your private instructions too."
    ),
]

WholeHomeOption = Annotated[
    str | None,
    typer.Option(
        metavar="PROJECT",
        help="The name of the project, if its repository is your home: all of it is meant.",
    ),
]

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be sent, and change nothing.")
]

PrivateOption = Annotated[
    bool,
    typer.Option(
        "--private",
        help="For an agent that runs this: print what others wrote, or what stays here,"
        " also without a frame. It can then leave in the agent's own transcript.",
    ),
]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

AnyProjectArgument = Annotated[
    str | None,
    typer.Argument(
        help="`.`, a unique ending such as `repo`, or host/owner/repo.",
        autocompletion=completion.projects,
    ),
]

ProjectArgument = Annotated[
    str,
    typer.Argument(
        help="`.`, a unique ending such as `repo`, or host/owner/repo.",
        autocompletion=completion.projects,
    ),
]
