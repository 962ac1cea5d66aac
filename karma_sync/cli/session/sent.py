"""The command that says what left: sent."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.notices import warn_if_down
from karma_sync.cli.output import next_step, say, say_json, size, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from karma_sync.domain.team.team import Team
    from karma_sync.sending.ledger.sent import SentSession

_ID_CHARS = 8


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sent)


def sent(
    since: Annotated[
        str | None, typer.Option(help="Only what left since: 14d, 2026-05-31, now, all.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Only what went to this member (its tag).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what left this machine. When, how much, what was cut, who confirmed it or its end.

    Example: karma-sync sent --since 7d --to bob.desk
    """
    from karma_sync.domain.timespan import parse_since
    from karma_sync.sending.ledger import sent as departures
    from karma_sync.store.world import read_world

    app = App.from_environment()
    warn_if_down(app)
    now = utc_now()
    limit = parse_since(since or "all", now)
    with app.state.reading() as tx:
        world = read_world(tx, app.me, now, discovery=False)
    _require_member(world.teams, app.me.tag, to)
    found = departures.only(departures.sent(app.state, app.work, world), limit, to)
    if as_json:
        say_json(sent=[asdict(each) for each in found])
        return
    if not found:
        say("Nothing of that has left this machine." if since or to else "Nothing has left yet.")
        next_step("karma-sync status")
        return
    table(
        ("SESSION", "LEFT (UTC)", "SIZE", "PROJECT", "CUT", "CONFIRMED BY"),
        [_row(each) for each in found],
    )


def _row(sent: "SentSession") -> tuple[str, ...]:
    return (
        sent.session[:_ID_CHARS] or "?",
        f"{sent.last:%Y-%m-%d %H:%M}",
        "?" if sent.size is None else size(sent.size),
        sent.project,
        ", ".join(f"{rule} {count}" for rule, count in sorted(sent.cuts.items())) or "-",
        _became(sent),
    )


def _became(sent: "SentSession") -> str:
    """Who has it, or that it is gone, and who has not said so yet."""
    if sent.state == "withdrawn":
        return f"withdrawn; gone at {_who(sent, {d.tag for d in sent.to if d.gone})}"
    who = _who(sent, {d.tag for d in sent.to if d.confirmed})
    return f"{who}; stays there, no more leaves" if sent.state == "stays" else who


def _who(sent: "SentSession", done: set[str]) -> str:
    """Such as: bob.desk, not yet at carol.mini."""
    if not sent.to:
        return "nobody: nobody receives it"
    tags = [d.tag for d in sent.to]
    missing = ", ".join(tag for tag in tags if tag not in done)
    names = ", ".join(tag for tag in tags if tag in done) or "nobody yet"
    return f"{names}, not yet {missing}" if missing else names


def _require_member(teams: "Iterable[Team]", me: str, tag: str | None) -> None:
    from karma_sync.errors import NotFound

    tags = sorted({member.tag for team in teams for member in team.members} - {me})
    if tag is not None and tag not in tags:
        hint = f"--to {' or '.join(tags[:10])}" if tags else "karma-sync status"
        raise NotFound(f"nobody else in your teams is {tag!r}", hint=hint)
