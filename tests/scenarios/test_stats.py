"""`session stats` and `project list`: figures that add up, of what the reader may see, once."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.harness import PROJECT, Member, until
from tests.support.town import Town, found_team, share
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

OPUS, OTHER = "claude-opus-4-8", "glm-4.7"
START = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """A wrote two sessions, B one in the project and one in no repository."""

    a: Member
    b: Member


def respond(session: Session, model: str, at: datetime, **usage: int) -> None:
    """Append a prompt, and a response in three records that repeat its tokens."""
    common = {"sessionId": session.id, "cwd": str(session.cwd), "timestamp": at.isoformat()}
    call = {"type": "tool_use", "id": f"t-{at.timestamp()}", "name": "Grep", "input": {}}
    records: list[dict[str, Any]] = [
        {"type": "user", "uuid": f"p-{at}-{session.id}", "message": {"content": "go on"}}
    ]
    for number in range(3):
        message = {"id": f"m-{at}-{session.id}", "model": model, "usage": usage, "content": []}
        content = [call] if number == 2 else [{"type": "text", "text": "well"}]
        record = {"type": "assistant", "uuid": f"a-{at}-{number}-{session.id}"}
        records.append(record | {"message": message | {"content": content}})
    with session.path.open("a") as out:
        out.writelines(json.dumps(common | each) + "\n" for each in records)


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.members("alice", "bob")
    found_team(a, b)
    share(a, b)
    first, second = (a.write_session("by alice") for _ in range(2))
    respond(first, OPUS, START, input_tokens=1_000_000, output_tokens=1000)
    respond(first, OPUS, START + timedelta(days=1), cache_read_input_tokens=500)
    respond(second, OTHER, START, output_tokens=7)
    here = b.write_session("by bob")
    notes = b.folder / "notes"
    notes.mkdir()
    alone = b.write_session("in no repository", cwd=notes)
    until(lambda: len(figures(b)["groups"]) == 2, "the sessions of both")
    until(lambda: total(b)["tools"] == 4 + 3, "all calls are counted")
    until(lambda: total(b)["sessions"] == 4, "all sessions are counted")
    until(lambda: unconfirmed(a) == 0, "B has confirmed")
    a.until_readable(here)
    assert alone.path.exists()
    return Pair(a, b)


def figures(member: Member, *options: str) -> dict[str, Any]:
    return member.json("session", "stats", *options)


def total(member: Member) -> dict[str, Any]:
    return dict(figures(member)["total"])


def unconfirmed(member: Member) -> int:
    return sum(each["unconfirmed"] for each in figures(member)["exchange"])


def groups(member: Member, by: str) -> dict[str, dict[str, Any]]:
    return {each[by]: each for each in figures(member, "--by", by)["groups"]}


@pytest.mark.parametrize(
    "command",
    [
        ["session", "list"],
        ["session", "stats"],
        ["who", "src/nothing.py"],
        ["observation", "list"],
    ],
)
def test_a_dot_is_the_project_of_this_directory(pair: Pair, command: list[str]) -> None:
    here = pair.b.json(*command, "--project", ".", "--private")
    elsewhere = pair.b.run(*command, "--project", ".", cwd=pair.b.folder / "notes", check=False)

    assert here == pair.b.json(*command, "--project", PROJECT, "--private")
    assert elsewhere.code != 0
    assert "'.'" not in elsewhere.err


def test_tokens_of_a_response_count_once_and_cost_what_the_table_says(pair: Pair) -> None:
    # each made-up session also has a response of its own, with 12, 34 and 5600 tokens
    by = groups(pair.b, "model")

    assert by[OPUS]["tokens"] == {
        "in": 1_000_000 + 4 * 12,
        "out": 1000 + 4 * 34,
        "cache_read": 500 + 4 * 5600,
        "cache_creation": 0,
    }
    assert by[OPUS]["cost"] == pytest.approx((1_000_048 * 5 + 1136 * 25 + 22_900 * 0.5) / 1_000_000)
    assert by[OTHER]["tokens"]["out"] == 7
    assert (by[OTHER]["cost"], by[OTHER]["unpriced_models"]) == (None, [OTHER])
    assert total(pair.b)["unpriced_models"] == [OTHER]
    assert total(pair.b)["cost"] == pytest.approx(by[OPUS]["cost"])


@pytest.mark.parametrize("by", ["member", "project", "agent", "team"])
def test_groups_add_up_to_all(pair: Pair, by: str) -> None:
    found = figures(pair.b, "--by", by)

    for name in ("sessions", "turns", "tools", "hours"):
        assert sum(g[name] for g in found["groups"]) == pytest.approx(found["total"][name])
    for name in ("in", "out", "cache_read"):
        parts = [g["tokens"][name] for g in found["groups"]]
        assert sum(parts) == found["total"]["tokens"][name]
    assert found["total"]["turns"] == 4 + 3


def test_members_days_tools_and_the_week(pair: Pair) -> None:
    assert groups(pair.b, "member")[pair.a.tag]["sessions"] == 2
    days = groups(pair.b, "day")
    day = START.astimezone().date().isoformat()
    assert (days[day]["sessions"], days[day]["turns"]) == (2, 2)
    assert days[day]["tokens"]["in"] == 1_000_000
    assert groups(pair.b, "tool")["Grep"]["tools"] == 3
    assert groups(pair.b, "tool")["Bash"]["sessions"] == 4
    week = figures(pair.b)["week_hours"]
    assert len(week) == 7
    assert sum(map(sum, week)) == pytest.approx(total(pair.b)["hours"])
    local = START.astimezone()
    assert week[local.weekday()][local.hour] >= 2 / 12


def test_what_was_exchanged(pair: Pair) -> None:
    by_member = {each["member"]: each for each in figures(pair.b)["exchange"]}
    assert by_member[pair.a.tag]["received"] == 2
    assert by_member[pair.a.tag]["sent"] == 1
    today = figures(pair.a, "--by", "day")["exchange"][0]
    assert (today["sent"], today["received"], today["unconfirmed"]) == (2, 1, 0)
    [project] = [e for e in figures(pair.b, "--by", "project")["projects"] if e["project"]]
    assert project == {
        **{"project": PROJECT, "local": 1, "packaged": 1, "received": 2, "missing": 0}
    }


def test_a_project_alone(pair: Pair) -> None:
    assert figures(pair.b, "--project", "repo")["total"]["sessions"] == 3
    assert figures(pair.b, "--team", "backend")["total"]["sessions"] == 3


def test_people_see_a_table_bars_and_a_week(pair: Pair) -> None:
    for by in ("member", "team", "project", "day", "agent", "model", "tool"):
        out = pair.b.run("session", "stats", "--by", by).out
        assert out.startswith(by.upper())
        assert "█" in out
        assert "list prices of 20" in out
        assert ("Hours of the week" in out) == (by != "tool")
    assert "No price is known for glm-4.7" in pair.b.run("session", "stats").out
    assert "NOT YET CONFIRMED" in pair.b.run("session", "stats").out


def test_json_has_as_many_groups_as_asked_for(pair: Pair) -> None:
    some = figures(pair.b, "--by", "model", "--limit", "1")
    every = figures(pair.b, "--by", "model")

    assert (len(some["groups"]), some["truncated"]) == (1, True)
    assert (len(every["groups"]), every["truncated"]) == (2, False)
    assert some["total"] == every["total"]


def test_what_was_sent_to_another_team_is_not_what_this_one_got(pair: Pair) -> None:
    pair.b.run("team", "create", "nobody-else")
    for by in ("member", "day"):
        assert figures(pair.b, "--by", by, "--team", "nobody-else")["exchange"] == []
    assert figures(pair.b, "--team", "backend")["exchange"]


def test_a_list_of_no_known_agent_names_those_there_are(pair: Pair) -> None:
    out = pair.b.run("session", "list", "--agent", "xx").out

    assert out.splitlines() == [
        "No session fits. There are sessions of claude-code.",
        "Next: karma-sync session list",
    ]


def projects(member: Member) -> dict[str, dict[str, Any]]:
    return {each["project"]: each for each in member.json("project", "list")["projects"]}


def test_projects_are_mine_and_the_teams_cloned_or_not(pair: Pair) -> None:
    place = pair.a.clone("git@example.org:acme/api.git", "api")
    pair.a.run("project", "share", str(place), "--yes")
    until(lambda: "example.org/acme/api" in projects(pair.b), "the offer reaches B")

    repo = projects(pair.b)[PROJECT]
    assert repo["teams"] == [{"team": "backend", "answer": "accepted", "members": [pair.a.tag]}]
    assert repo["clones"] == [str(pair.b.repo)]
    assert (repo["sessions"], repo["mine"]) == (3, 1)
    assert repo["members"] == [pair.a.tag, pair.b.tag]
    assert repo["branches"] == ["main"]
    assert repo["last"]
    api = projects(pair.b)["example.org/acme/api"]
    assert (api["sessions"], api["clones"], api["last"]) == (0, [], None)
    assert api["teams"][0]["answer"] == "offered"
    out = pair.b.run("project", "list").out
    assert "backend, offered" in out
    assert "none here" in out
    assert "3, 1 of them yours" in out
    assert out.splitlines()[-1] == "Next: karma-sync accept example.org/acme/api"


def test_the_clone_of_a_project_that_no_team_shares_is_known(town: Town) -> None:
    dora = town.member("dora")
    dora.write_session("alone")
    dora.up()

    until(lambda: PROJECT in projects(dora), "the session is archived")
    until(lambda: projects(dora)[PROJECT]["clones"], "the clone is known")
    assert projects(dora)[PROJECT]["clones"] == [str(dora.repo)]


def test_without_sessions_there_is_nothing_to_count(town: Town) -> None:
    carol = town.member("carol")

    assert carol.run("session", "stats").out == "There are no sessions yet.\n"
    assert figures(carol)["total"]["sessions"] == 0


def test_what_stays_is_told_on_the_first_page_alone(pair: Pair) -> None:
    kept = pair.b.write_withheld("stays")
    page = ("session", "list", "--limit", "1")
    until(lambda: pair.b.json(*page)["held"], "what stays is known")
    first = pair.b.json(*page)
    later = ("session", "list", "--after", first["cursor"])

    assert [each["session"] for each in first["held"]] == [kept.id]
    assert pair.b.json(*later)["held"] == []
    assert "STAYS" in pair.b.run(*page).out
    assert "STAYS" not in pair.b.run(*later).out
