"""The command that calls a secret back, or shows beforehand what that would do: redact."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import say_if_down
from karma_sync.cli.output import Progress, next_step, say, say_json, table
from karma_sync.cli.session.unshare import say_reach
from karma_sync.errors import BadInput

if TYPE_CHECKING:
    from karma_sync.redact.custom.redactions import OwnRedactions
    from karma_sync.service.sessions.redaction_preview import Foreseen

_MOST_BYTES = 100_000
_PIECES = "cut a part of it that stands in no other place: karma-sync redact --literal < FILE"
_ID_CHARS = 8
_TITLE_CHARS = 40


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(redact)


@dataclass(frozen=True)
class _Wish:
    """What is to be cut, as far as it may be said; `change` adds it to the person's own."""

    what: str
    rules: frozenset[str]
    change: "Callable[[OwnRedactions], OwnRedactions]"
    command: str


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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which sessions that left hold it, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
) -> None:
    """Call back a secret that got out. What holds it is packaged anew, without it.

    It is cut from all that leaves later, too. A text is found as it is, letter case included, also
    behind JSON's escapes and over several lines; not as base64, hex or in a URL's escapes. It is
    kept in redactions.json beside your key, readable by you alone, and goes nowhere else.

    Example: karma-sync redact --literal --dry-run < secret.txt
    """
    from karma_sync.redact.custom.redactions_file import RedactionsFile
    from karma_sync.service.sessions import withdrawal

    if literal == (rule is not None):
        raise BadInput(
            "say what to cut: a text or rules",
            hint="karma-sync redact --literal < FILE, or karma-sync redact --rule FILE",
        )
    if as_json and not dry_run:
        raise BadInput("--json shows what --dry-run finds", hint="add --dry-run, or leave it out")
    app = App.from_environment()
    app.settings  # noqa: B018  before `init` nothing is written
    wish = _literal_wish() if rule is None else _rules_wish(rule)
    if dry_run:
        _show(_foreseen(app, wish), wish, as_json)
        return
    changed = RedactionsFile(app.paths.redactions).change(wish.change)
    # said again too: a daemon that was killed between the two must not miss it
    withdrawal.redactions_changed(app.state, utc_now())
    say(f"{wish.what} {'is' if changed else 'was already'} cut from all that is shared.")
    say_reach(withdrawal.reach(app.state, app.work, app.me, utc_now(), withdrawal.left(app.work)))
    say_if_down(app)
    next_step("karma-sync status")


def _literal_wish() -> _Wish:
    from karma_sync.redact.custom import redactions

    text = redactions.checked_literal(_read_literal())
    return _Wish(
        f"a text of {len(text)} characters",
        frozenset({redactions.LITERAL}),
        lambda now: now.with_literal(text),
        "karma-sync redact --literal < FILE",
    )


def _rules_wish(file: Path) -> _Wish:
    from karma_sync.redact.custom import redactions
    from karma_sync.redact.custom.ruleset import text_of

    text = text_of(file)
    names = [rule.name for rule in redactions.parse_rules(text)]
    return _Wish(
        ", ".join(names),
        frozenset(names),
        lambda now: now.with_rules(text),
        f"karma-sync redact --rule {file}",
    )


def _foreseen(app: App, wish: _Wish) -> "Foreseen":
    from karma_sync.library.reader import Library
    from karma_sync.service.sessions.redaction_preview import foresee
    from karma_sync.service.sessions.withdrawal import left

    redactor = app.redactions.changed(wish.change)
    library = Library(app.paths.library, app.library)
    with Progress("looking into what left") as progress:
        return foresee(redactor, wish.rules, left(app.work), library, progress)


def _show(found: "Foreseen", wish: _Wish, as_json: bool) -> None:
    from karma_sync.domain.text import one_line

    if as_json:
        sessions = [asdict(each) for each in found.holding]
        say_json(
            sessions=sessions, cuts=found.cuts, sessions_looked=found.looked, unread=found.unread
        )
        return
    if found.holding:
        rows = [
            (h.session[:_ID_CHARS], h.project, _counts(h.cuts), one_line(h.title, _TITLE_CHARS))
            for h in found.holding
        ]
        table(("SESSION", "PROJECT", "WOULD CUT", "TITLE"), rows)
    say(f"{len(found.holding)} of {found.looked} sessions that have left hold {wish.what}.")
    if found.unread:
        say(f"{found.unread} more could not be looked into: the library here does not have them.")
    say("Nothing was changed.")
    next_step(wish.command)


def _counts(cuts: Mapping[str, int]) -> str:
    return ", ".join(f"{rule} {count}" for rule, count in cuts.items())


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
