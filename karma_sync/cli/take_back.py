"""Commands that take back what has left: session unshare, redact."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.output import next_step, say
from karma_sync.cli.setup import say_if_down
from karma_sync.errors import BadInput

if TYPE_CHECKING:
    from karma_sync.store.ledger import Departed

_MOST_BYTES = 100_000
_PIECES = "cut a part of it that stands in no other place: karma-sync redact --literal < FILE"


def add_to(app: typer.Typer) -> None:
    """Register the command that stands alone; `session` has the other."""
    app.command()(redact)


def unshare(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The beginning of a session's id; with --agent, an agent's name."
        ),
    ],
    agent: Annotated[
        bool,
        typer.Option(
            "--agent",
            help="ID is an agent's name, such as claude-code or claude-code/reviewer: withdraw all"
            " of its sessions, and let none leave from now on.",
        ),
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Let it leave again.")] = False,
) -> None:
    """Withdraw what has left, from every member. It goes from disk, library and database.

    A session goes with all that belongs to it, its subagents too, and does not leave again.

    Example: karma-sync session unshare 3a782158
    """
    from karma_sync.domain.withdrawal import Whose
    from karma_sync.service import take_back

    app = App.from_environment()
    whose = Whose.AGENT if agent else Whose.SESSION
    if undo:
        lifted = take_back.lift(app.state, wanted, whose)
        say(f"{lifted.whose} {lifted.name} may leave again.")
    else:
        unshared, rows = take_back.find(app.work, wanted, whose)
        take_back.unshare(app.state, unshared)
        say(f"{unshared.whose} {unshared.name} is withdrawn: {_count(rows)}.")
    say_if_down(app)
    next_step("karma-sync status")


def redact(
    literal: Annotated[
        bool,
        typer.Option("--literal", help="Cut a text, read from standard input, never an argument."),
    ] = False,
    rule: Annotated[
        Path | None,
        typer.Option(
            help="Cut what the rules of this file match; it is written as gitleaks' configuration.",
        ),
    ] = None,
) -> None:
    """Call back a secret that got out. What holds it is packaged anew, without it.

    It is cut from all that leaves later, too. The text is kept in redactions.json beside your
    key, readable by you alone, and goes nowhere else.

    Example: karma-sync redact --literal < secret.txt
    """
    from karma_sync.redact import own
    from karma_sync.redact.configured import text_of
    from karma_sync.service import take_back
    from karma_sync.service.redactions import RedactionsFile

    if literal == (rule is not None):
        raise BadInput(
            "say what to cut: a text or rules",
            hint="karma-sync redact --literal < FILE, or karma-sync redact --rule FILE",
        )
    app = App.from_environment()
    app.settings  # noqa: B018  before `init` nothing is written
    file = RedactionsFile(app.paths.redactions)
    if rule is not None:
        rules = text_of(rule)
        changed = file.change(lambda now: now.with_rules(rules))
        what = ", ".join(r.name for r in own.parse_rules(rules))
    else:
        text = own.checked_literal(_read_literal())
        changed = file.change(lambda now: now.with_literal(text))
        what = f"a text of {len(text)} characters"
    # said again too: a daemon that was killed between the two must not miss it
    take_back.redactions_changed(app.state, utc_now())
    say(f"{what} {'is' if changed else 'was already'} cut from all that is shared.")
    say_if_down(app)
    next_step("karma-sync status")


def _count(rows: "list[Departed]") -> str:
    sessions = len({row.session for row in rows})
    return f"{sessions} session{'' if sessions == 1 else 's'}"


def _read_literal() -> str:
    """From standard input; what is typed on a terminal is not shown."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("The text to cut (not shown): ")
    return _text(sys.stdin.buffer.read(_MOST_BYTES + 1))


def _text(raw: bytes) -> str:
    if len(raw) > _MOST_BYTES:
        raise BadInput(f"more than {_MOST_BYTES} bytes are no text to cut", hint=_PIECES)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadInput("the text is not UTF-8", hint=_PIECES) from None
