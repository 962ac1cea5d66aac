"""The command that says what left: sent."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.app import App, utc_now
from karma_sync.cli.output import next_step, say, say_json, size, table
from karma_sync.cli.setup import warn_if_down

if TYPE_CHECKING:
    from collections.abc import Iterable

    from karma_sync.domain.team import Team
    from karma_sync.service.recalled import Sent

_ID_CHARS = 8


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sent)


def sent(
    since: Annotated[
        str, typer.Option(help="Only what left since: 14d, 2026-05-31, now, all.")
    ] = "all",
    to: Annotated[str | None, typer.Option(help="Only what went to this member (its tag).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what left this machine. When, how much, what was cut, who confirmed it or its end.

    Example: karma-sync sent --since 7d --to bob.desk
    """
    from karma_sync.service import recalled
    from karma_sync.service.consent import parse_since
    from karma_sync.service.world import read_world

    app = App.from_environment()
    warn_if_down(app)
    now = utc_now()
    limit = parse_since(since, now)
    with app.state.reading() as tx:
        world = read_world(tx, app.me, now, discovery=False)
    _require_member(world.teams, app.me.tag, to)
    found = recalled.only(recalled.sent(app.work, world), limit, to)
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


def _row(sent: "Sent") -> tuple[str, ...]:
    return (
        sent.session[:_ID_CHARS] or "?",
        f"{sent.last:%Y-%m-%d %H:%M}",
        size(sent.size),
        sent.project,
        ", ".join(f"{rule} {count}" for rule, count in sorted(sent.cuts.items())) or "-",
        _confirmed(sent),
    )


def _confirmed(sent: "Sent") -> str:
    if sent.withdrawn:
        gone = [d.tag for d in sent.to if d.gone]
        return f"withdrawn; gone at {', '.join(gone) or 'nobody yet'}" + _but(
            [d.tag for d in sent.to if not d.gone] if gone else []
        )
    return ", ".join(d.tag for d in sent.to if d.confirmed) or "nobody yet"


def _but(missing: list[str]) -> str:
    return f", not yet at {', '.join(missing)}" if missing else ""


def _require_member(teams: "Iterable[Team]", me: str, tag: str | None) -> None:
    from karma_sync.errors import NotFound

    tags = sorted({member.tag for team in teams for member in team.members} - {me})
    if tag is not None and tag not in tags:
        hint = f"--to {' or '.join(tags[:10])}" if tags else "karma-sync status"
        raise NotFound(f"nobody else in your teams is {tag!r}", hint=hint)
