"""Whatever makes more leave shows what, to whom and with which cuts, and asks; the default is no.

Every command stands in one of two lists here. A new one must be placed before the tests pass.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.main import get_command

from karma_sync.app import App
from karma_sync.cli.commands import ALIASES
from karma_sync.cli.main import app as program
from karma_sync.redact.examples import fill
from karma_sync.service.sessions.widening import SendingRules
from karma_sync.store import state
from tests.support.engram_home import row, write_chunk
from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, wait_for_offer

pytestmark = pytest.mark.memory

TOKEN = fill("ghp_{alnum:36}", "widening")


@dataclass(frozen=True)
class Stage:
    """A leads a team with B; both send and receive one project."""

    town: Town
    a: Member
    b: Member


Prepared = tuple[Member, list[str]]
"""The member that types, and the command, which makes more leave."""


def _new_project(stage: Stage, name: str, of: Member) -> str:
    place = of.clone(f"git@example.org:acme/{name}.git", name)
    of.write_session(f"in {name}, with {TOKEN}", cwd=place)
    return str(place)


def _share(stage: Stage) -> Prepared:
    return stage.a, ["project", "share", _new_project(stage, "shared", stage.a)]


def _offered(stage: Stage, name: str) -> str:
    stage.a.run("project", "share", _new_project(stage, name, stage.a), "--yes")
    _new_project(stage, name, stage.b)
    wait_for_offer(stage.b, name)
    return name


def _map(stage: Stage) -> Prepared:
    notes = stage.a.folder / "notes"
    notes.mkdir()
    stage.a.write_session(f"in no repository, with {TOKEN}", cwd=notes)
    return stage.a, ["project", "map", str(notes), "repo"]


def _alias(stage: Stage) -> Prepared:
    _new_project(stage, "other", stage.a)
    return stage.a, ["project", "alias", "example.org/acme/other", "--project", PROJECT]


def _change(stage: Stage) -> Prepared:
    stage.a.write_session(f"long ago, with {TOKEN}", days_ago=90)
    wider = ["--since", "all", "--profile", "full", "--direction", "both"]
    return stage.a, ["subscription", "change", "repo", *wider]


def _resume_one(stage: Stage) -> Prepared:
    name = _offered(stage, "unlimited")
    stage.b.run("accept", name, "--since", "all", "--yes")
    stage.b.run("subscription", "pause", name)
    return stage.b, ["subscription", "resume", name]


def _resume_all(stage: Stage) -> Prepared:
    stage.b.write_session(f"before the loss, with {TOKEN}")
    stage.b.down()
    stage.b.paths.intent.write_bytes(stage.b.paths.intent.read_bytes()[:-9])
    stage.b.up()
    return stage.b, ["resume"]


def _share_one(stage: Stage) -> Prepared:
    session = stage.a.write_session(f"mixed, with {TOKEN}")
    session.append("elsewhere", cwd=stage.a.clone("git@example.org:acme/far.git", "far"))
    return stage.a, ["session", "share", session.id]


def _undo(stage: Stage) -> Prepared:
    session = stage.a.write_session(f"taken back, with {TOKEN}")
    until(lambda: stage.b.peek(session.id), "the session at B")
    stage.a.run("session", "unshare", session.id)
    return stage.a, ["session", "unshare", session.id, "--undo"]


def _include(stage: Stage) -> Prepared:
    private = stage.a.repo / "private"
    private.mkdir()
    stage.a.run("exclude", str(private))
    stage.a.write_session(f"in private, with {TOKEN}", cwd=private)
    return stage.a, ["exclude", "--remove", str(private)]


def _add(stage: Stage) -> Prepared:
    carol = stage.town.member("carol")
    return stage.a, ["team", "add", carol.code]


def _guest(stage: Stage) -> Prepared:
    guest = stage.town.member("gina")
    stage.a.write_session(f"for a guest, with {TOKEN}")
    return stage.a, ["team", "guest", guest.code, "--project", "repo"]


def _observed(stage: Stage, title: str) -> str:
    """An observation of A's that would leave; its id."""
    text = ("--title", title, "--content", f"the token is {TOKEN}")
    found: str = stage.a.json("observation", "add", *text)["id"]
    return found


def _observe(stage: Stage) -> Prepared:
    _observed(stage, "the first one")
    return stage.a, ["observation", "share", "repo", "--author", "alice-at-home"]


def _import(stage: Stage) -> Prepared:
    stage.a.run("observation", "share", "repo", "--yes")
    old = stage.a.folder / "old"
    write_chunk(
        old / ".engram", [row("saved elsewhere", content=f"the token is {TOKEN}")], "old-me"
    )
    mine = ["--project", "repo", "--author", "old-me"]
    return stage.a, ["observation", "import", "--engram", str(old), *mine]


def _let_go(stage: Stage, verb: str) -> Prepared:
    held = _observed(stage, f"to {verb}")
    stage.a.run("observation", "share", "repo", "--yes")
    stage.a.run("observation", verb, held)
    return stage.a, ["observation", verb, held, "--undo"]


def _policy(stage: Stage) -> Prepared:
    _new_project(stage, "later", stage.b)
    return stage.b, ["team", "policy", "--accept", "all", "--direction", "both"]


def _invite(stage: Stage) -> Prepared:
    stage.a.write_session(f"for whoever joins, with {TOKEN}")
    return stage.a, ["invite", "--no-wait"]


WIDENING: dict[str, Callable[[Stage], Prepared]] = {
    "project share": _share,
    "accept": lambda stage: (stage.b, ["accept", _offered(stage, "first")]),
    "subscription accept": lambda s: (s.b, ["subscription", "accept", _offered(s, "second")]),
    "project map": _map,
    "project alias": _alias,
    "subscription change": _change,
    "subscription resume": _resume_one,
    "resume": _resume_all,
    "session share": _share_one,
    "session unshare": _undo,
    "exclude": _include,
    "team add": _add,
    "team guest": _guest,
    "observation share": _observe,
    "observation import": _import,
    "observation withhold": lambda stage: _let_go(stage, "withhold"),
    "observation unshare": lambda stage: _let_go(stage, "unshare"),
    "invite": _invite,
    "team policy": _policy,
}
# It asks twice: about the team, which is not known before its leader answers, and then about what
# would be sent (test_three_commands.py).
ASKS_LATER = {"join"}

# These only show, make less leave, or change nothing of what leaves.
HARMLESS = {
    *("init", "up", "down", "status", "demo", "code", "rename", "events"),
    *("pair", "inbox", "invitation accept", "invitation decline", "team create"),
    *("invite list", "invite revoke"),
    *("team list", "team show", "team leave", "team remove", "team dissolve", "team rename"),
    *("team transfer", "team successors", "team take-over"),
    *("project unshare", "project propose"),
    *("project scan", "subscription list", "decline", "subscription decline", "pause"),
    *("subscription pause", "subscription reopen"),
    *("session list", "session show", "session preview", "session withhold", "sent", "redact"),
    *("mcp", "mcp log", "context"),
    # a restored session is withheld, and a fork stays
    *("session restore", "session purge", "session fork", "session continue"),
    # who is who sends nothing
    *("machine list", "machine add", "machine remove"),
    *("mute", "unmute", "team retract"),
    *("search", "who", "browse", "session export", "session stats", "project list"),
    *("observation add", "observation delete", "observation list", "observation show"),
    *("observation search", "observation status", "observation preview"),
    *("observation export", "observation manifest"),  # onto this machine
    *(
        "service install",
        "service uninstall",
        "service start",
        "service stop",
        "service status",
        "service logs",
    ),
}


@pytest.fixture(scope="module")
def stage(town: Town) -> Stage:
    a, b = town.pair()
    return Stage(town, a, b)


def _names(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    below = getattr(command, "commands", {})
    for name in below:
        if name not in ALIASES:
            yield from _names(below[name], (*path, name))
    if not below or command.invoke_without_command and path:
        yield " ".join(path)


def test_every_command_either_asks_or_sends_no_more() -> None:
    assert WIDENING.keys().isdisjoint(HARMLESS)
    assert set(_names(get_command(program))) == WIDENING.keys() | ASKS_LATER | HARMLESS


@pytest.mark.parametrize("name", WIDENING)
def test_it_shows_what_more_would_leave_and_without_a_yes_changes_nothing(
    stage: Stage, name: str
) -> None:
    member, command = WIDENING[name](stage)
    assert " ".join(command).startswith(name)
    before = _decided(member)

    refused = member.run(*command, check=False)
    assert refused.code == 8, refused
    assert "--yes" in refused.err
    assert _decided(member) == before
    declined = member.on_terminal(*command, answers=[""])
    assert declined.code == 8, declined
    assert "[y/N]" in declined.out
    assert _decided(member) == before
    for shown in (refused.out, declined.out):
        assert "sends now: " in shown or "sent to: " in shown
        assert "github " in shown.partition("cut out: ")[2]
        assert "receivers: " in shown
        assert "receivers:   none" not in shown or name == "project share"

    member.run(*command, "--yes")

    assert _decided(member) != before


def _decided(member: Member) -> object:
    """Everything that the member decided about what it sends, and to whom."""
    app = App(member.paths, member.environ)
    try:
        rules = SendingRules.stored(app.state, app.me)
        with app.state.reading() as tx:
            found = state.subscriptions.all(tx, member=app.me.key)
            answers = [each.changed(retracted=()) for each in found]  # the daemon notes those
            rosters = [
                (t.id, t.projects, [m.key for m in t.everybody]) for t in state.teams.all(tx)
            ]
            agreed, halts = state.agreements.all(tx), state.halts.all(tx)
            invited = {invite.id for invite in state.invites.all(tx)}
            policies = state.policies.all(tx)
        own = app.observations.own.versions(), policies
        limits = rules.choices, rules.unshared, rules.mapped, agreed, halts, own
        return limits, app.observation_settings().authors, answers, rosters, invited
    finally:
        app.close()
