"""The command `redact`."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli.ask import ask_secret, ask_unless
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import print_if_down
from karma_sync.cli.options import PrivateOption, YesOption
from karma_sync.cli.output import print_json, print_line, print_next
from karma_sync.cli.progress import ProgressBar
from karma_sync.cli.screen import print_table
from karma_sync.cli.session.unshare import print_reach, tell_of_archive
from karma_sync.domain.ids import short_ids
from karma_sync.errors import BadInput, NotFound
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.redact.custom.redactions import Entry, OwnRedactions
    from karma_sync.service.sessions.redaction_preview import Foreseen

_MOST_BYTES = 100_000
_PIECES = "cut a unique part of it: karma-sync redact --literal < FILE"
_TITLE_CHARS = 40


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(redact)


@dataclass(frozen=True)
class _Wish:
    """The text to cut, named without the secret; `change` adds it to the person's redactions."""

    what: str
    rules: frozenset[str]
    change: "Callable[[OwnRedactions], OwnRedactions]"
    command: str


def redact(
    literal: Annotated[
        bool,
        typer.Option("--literal", help="Cut a text that is read from standard input."),
    ] = False,
    rule: Annotated[
        Path | None,
        typer.Option(
            help="Cut what the rules of this file match, a gitleaks configuration.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show which sent sessions have it, and change nothing."),
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List what you had cut; no text is shown.")
    ] = False,
    remove: Annotated[
        str | None, typer.Option(metavar="ID", help="Cut this no more: an ID of --list.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --dry-run or --list: print JSON.")
    ] = False,
    yes: YesOption = False,
    private: PrivateOption = False,
) -> None:
    """Redact a secret.

    Sent sessions that have it are packaged again without it, and replaced at every member. It is
    cut from later sessions too. The text is found in the same letter case, also behind JSON escapes
    and over several lines; not as base64, as hex or in a URL. It is kept in redactions.json beside
    your key, with mode 0600, and is never sent.

    Example: karma-sync redact --literal --dry-run < secret.txt
    """
    from karma_sync.redact.custom.redactions_file import RedactionsFile
    from karma_sync.service.sessions import withdrawal

    if sum((literal, rule is not None, list_, remove is not None)) != 1:
        raise BadInput(
            "redact needs one of these: a text, a file of rules, --list or --remove",
            hint="karma-sync redact --literal < FILE, or karma-sync redact --rule FILE",
        )
    if as_json and not (dry_run or list_):
        raise BadInput("--json needs --dry-run or --list", hint="add one of them, or leave it out")
    app = App.from_environment()
    app.settings  # noqa: B018 it raises NotInitialised
    if as_json:
        require_private(private, "it names what is secret, and the sessions that have it")
    if list_:
        _list(app, as_json)
        return
    if remove is not None:
        _remove(app, remove, yes)
        return
    wish = _literal_wish() if rule is None else _rules_wish(rule)
    if dry_run:
        _show(_foreseen(app, wish), wish, as_json)
        return
    changed = RedactionsFile(app.paths.redactions).change(wish.change)
    # also if nothing changed: the last command may have been killed between the two
    withdrawal.redactions_changed(app.state, utc_now())
    print_line(f"{wish.what} {'is' if changed else 'was already'} cut from all that is shared.")
    print_reach(withdrawal.reach(app.state, app.work, app.me, utc_now(), withdrawal.left(app.work)))
    tell_of_archive(app)
    print_if_down(app)
    print_next("karma-sync status")


def _list(app: App, as_json: bool) -> None:
    entries = app.redactions.entries()
    if as_json:
        print_json(redactions=[asdict(each) for each in entries])
        return
    if not entries:
        print_line("You had nothing cut; karma-sync's own rules always apply.")
        print_next("karma-sync redact --literal < FILE")
        return
    print_table(("ID", "CUTS"), [(each.id, _told(each)) for each in entries])
    print_next(f"karma-sync redact --remove {entries[0].id}, to cut it no more")


def _told(entry: "Entry") -> str:
    if entry.chars:
        return f"a text of {entry.chars} characters"
    return f"rules: {', '.join(entry.names)}"


def _remove(app: App, wanted: str, yes: bool) -> None:
    """Remove an entry, after printing its cuts so far and the future receivers of the text."""
    from karma_sync.redact.custom.redactions_file import RedactionsFile
    from karma_sync.service.sessions import withdrawal
    from karma_sync.service.sessions.departures import departures

    entry = next((each for each in app.redactions.entries() if each.id == wanted), None)
    if entry is None:
        raise NotFound(f"no redaction has the ID {wanted!r}", hint="karma-sync redact --list")
    sent = departures(app.state, app.work, app.me, utc_now())
    cut = [s for s in sent if s.state != "withdrawn" and set(entry.names) & s.cuts.keys()]
    tags = sorted({each.tag for s in cut for each in s.to})
    print_line(
        f"{_told(entry)}: what it cut from your sessions may be sent from now on, also in"
        f" {len(cut)} sessions that were sent; to {', '.join(tags) or 'no member now'}."
    )
    ask_unless(yes, hint=f"karma-sync redact --remove {wanted} --yes")
    RedactionsFile(app.paths.redactions).change(lambda now: now.without(wanted))
    withdrawal.redactions_changed(app.state, utc_now())
    print_line(f"{_told(entry)} is no longer cut.")
    print_if_down(app)
    print_next("karma-sync status")


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
    from karma_sync.redact.custom.ruleset import read_text

    text = read_text(file)
    names = [rule.name for rule in redactions.parse_rules(text, str(file))]
    return _Wish(
        ", ".join(names),
        frozenset(names),
        lambda now: now.with_rules(text),
        f"karma-sync redact --rule {file}",
    )


def _foreseen(app: App, wish: _Wish) -> "Foreseen":
    from karma_sync.service.sessions.redaction_preview import foresee
    from karma_sync.service.sessions.withdrawal import left

    redactor = app.redactions.changed(wish.change)
    with ProgressBar("reading sent sessions") as progress:
        return foresee(redactor, wish.rules, left(app.work), app.view, progress)


def _show(found: "Foreseen", wish: _Wish, as_json: bool) -> None:
    from karma_sync.domain.text import one_line

    if as_json:
        sessions = [asdict(each) for each in found.holding]
        print_json(
            sessions=sessions, cuts=found.cuts, sessions_looked=found.searched, unread=found.unread
        )
        return
    if found.holding:
        short = short_ids(h.session for h in found.holding)
        rows = [
            (short[h.session], h.project, _counts(h.cuts), one_line(h.title, _TITLE_CHARS))
            for h in found.holding
        ]
        print_table(("SESSION", "PROJECT", "WOULD CUT", "TITLE"), rows)
    print_line(f"{len(found.holding)} of {found.searched} sent sessions have {wish.what}.")
    if found.unread:
        print_line(f"{found.unread} more could not be read: they are not in the library here.")
    print_line("Nothing was changed.")
    print_next(wish.command)


def _counts(cuts: Mapping[str, int]) -> str:
    return ", ".join(f"{rule} {count}" for rule, count in cuts.items())


def _read_literal() -> str:
    """Read the text from standard input; a terminal does not show it."""
    if sys.stdin.isatty():
        return ask_secret("The text to cut (not shown)")
    return _text(sys.stdin.buffer.read(_MOST_BYTES + 1))


def _text(raw: bytes) -> str:
    if len(raw) > _MOST_BYTES:
        raise BadInput(f"the text is longer than {_MOST_BYTES} bytes", hint=_PIECES)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadInput("the text is not UTF-8", hint=_PIECES) from None
