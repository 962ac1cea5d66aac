"""The command `sent`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App
from karma_sync.cli import completion
from karma_sync.cli.frame import require_private
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.options import JsonOption, PrivateOption
from karma_sync.cli.output import print_json, print_line, print_next, size
from karma_sync.cli.screen import Line, Tone, print_table
from karma_sync.domain.ids import short_ids
from karma_sync.runtime.timing import utc_now

if TYPE_CHECKING:
    from karma_sync.sending.ledger.sent import SentSession


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sent)


def sent(
    since: Annotated[
        str | None, typer.Option(help="Only sessions sent since then: 14d, 2026-05-31, now, all.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Only sessions sent to this member: bob.desk", autocompletion=completion.members
        ),
    ] = None,
    as_json: JsonOption = False,
    private: PrivateOption = False,
) -> None:
    """List sent sessions.

    It shows when each session was sent, its size, its redactions, and who confirmed it or its
    withdrawal.

    Example: karma-sync sent --since 7d --to bob.desk
    """
    from karma_sync.domain.timespan import parse_since
    from karma_sync.sending.ledger.sent import filtered
    from karma_sync.service.sessions.departures import departures

    app = App.from_environment()
    warn_if_down(app)
    now = utc_now()
    limit = parse_since(since or "all", now)
    found = filtered(departures(app.state, app.work, app.me, now, to), limit)
    if as_json:
        if found:
            require_private(private, "it names sessions, projects and members of all your teams")
        print_json(sent=[asdict(each) for each in found])
        return
    if not found:
        print_line("No such session was sent." if since or to else "No session was sent yet.")
        print_next("karma-sync status")
        return
    short = short_ids(each.session for each in found)
    print_table(
        ("SESSION", "SENT (UTC)", "SIZE", "PROJECT", "CUT", "CONFIRMED BY"),
        [_row(each, short) for each in found],
    )


def _row(sent: "SentSession", short: Mapping[str, str]) -> "tuple[str | Line, ...]":
    return (
        short[sent.session] or "?",
        f"{sent.last:%Y-%m-%d %H:%M}",
        "?" if sent.size is None else size(sent.size),
        sent.project,
        ", ".join(f"{rule} {count}" for rule, count in sorted(sent.cuts.items())) or "-",
        _state(sent),
    )


def _state(sent: "SentSession") -> Line:
    """Return the members that confirmed the session or its withdrawal, and the others."""
    is_withdrawn = sent.state == "withdrawn"
    if sent.state == "stays":
        return Line(_kept(sent), Tone.SECONDARY)
    done = {d.tag for d in sent.to if (d.gone if is_withdrawn else d.confirmed)}
    tone = Tone.CONFIRMED if len(done) == len(sent.to) else Tone.WAITS
    who = _who(sent, done)
    if is_withdrawn:
        return Line(f"withdrawn; gone at {who}", tone)
    return Line(who, tone)


def _kept(sent: "SentSession") -> str:
    """Return the members that keep a session of which no more is sent, or that may have it."""
    kept = ", ".join(d.tag for d in sent.to if d.confirmed)
    maybe = ", ".join(d.tag for d in sent.to if not d.confirmed)
    parts = [f"kept by {kept}"] if kept else []
    parts += [f"perhaps also at {maybe}" if kept else f"perhaps at {maybe}"] if maybe else []
    return "; ".join([*parts, "no more of it is sent"])


def _who(sent: "SentSession", done: set[str]) -> str:
    """Return for instance: bob.desk, not yet carol.mini."""
    if not sent.to:
        return "none: no member receives it"
    tags = [d.tag for d in sent.to]
    missing = ", ".join(tag for tag in tags if tag not in done)
    names = ", ".join(tag for tag in tags if tag in done) or "none yet"
    return f"{names}, not yet {missing}" if missing else names
