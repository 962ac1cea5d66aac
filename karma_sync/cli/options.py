"""Options that several commands share."""

from typing import Annotated

import typer

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.team.subscription import Direction

TeamOption = Annotated[str | None, typer.Option(help="The team, if several share the project.")]

DirectionOption = Annotated[
    Direction | None, typer.Option(help="send, receive or both; both if not given.")
]

SinceOption = Annotated[
    str | None,
    typer.Option(help="Send sessions active since: all, now, 14d, 2026-05-31; 30d if not given."),
]

LastOption = Annotated[
    int | None,
    typer.Option(min=0, help="Of the sessions there are, send the newest so many, and all later."),
]

IdleOption = Annotated[
    str | None,
    typer.Option(help="Send a session once nobody wrote to it for so long: 10m, 2h; 0s: at once."),
]

ProfileOption = Annotated[
    Profile | None,
    typer.Option(
        help="conversation: transcripts only. standard: also tool results, plans, tasks, todos."
        " full: also file history (whole source files) and debug logs (your environment)."
    ),
]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would leave, and end.")]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
