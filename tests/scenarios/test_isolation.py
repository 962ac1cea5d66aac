"""Teams, projects, users and agents stay apart: every reading command is asked for what it may not.

One person works for two employers, `acme` and `globex`, which share a project of the same name.
Rows of what she has no right to are put into her library as if they had been left there.
"""

import json
from dataclasses import dataclass

import pytest

from karma_sync.domain.session.passage import Passage, Texts
from karma_sync.paths import Paths
from karma_sync.store import search_index
from karma_sync.store.library import open_library
from tests.support.harness import Member, Result, until
from tests.support.town import Town, found_team, share, wait_for_offer
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

SECRET = "zanzibar"


@dataclass(frozen=True)
class Office:
    """Ann works with Bob at acme and with Carl at globex; the sessions are theirs, by project."""

    ann: Member
    bob: Session
    reviewer: Session
    carl: Session
    carl_in_shared: Session
    bob_in_shared: Session


def _named(session: Session, agent: str) -> Session:
    line = json.dumps({"type": "agent-name", "agentName": agent, "sessionId": session.id})
    with session.path.open("a") as out:
        out.write(line + "\n")
    return session


@pytest.fixture(scope="module")
def office(town: Town) -> Office:
    ann, bob, carl = town.members("ann", "bob", "carl")
    found_team(bob, ann, name="acme")
    found_team(carl, ann, name="globex")
    for member in (ann, bob, carl):
        member.clone("git@example.org:x/lib.git", "lib")
    carl.clone("git@example.org:globex/site.git", "site")
    share(bob, ann)
    for leader, folder, team in ((bob, "lib", "acme"), (carl, "lib", "globex")):
        place = leader.folder / "src" / folder
        leader.run("project", "share", str(place), "--team", team, "--yes")
        _accept(ann, folder, team)
    share(carl, ann, project="site", cwd=carl.folder / "src" / "site")
    library = bob.folder / "src" / "lib"
    office = Office(
        ann,
        bob.write_session(f"{SECRET} acme-repo"),
        _named(bob.write_session(f"{SECRET} acme-review"), "reviewer"),
        carl.write_session(f"{SECRET} globex-site", cwd=carl.folder / "src" / "site"),
        carl.write_session(f"{SECRET} globex-lib", cwd=carl.folder / "src" / "lib"),
        bob.write_session(f"{SECRET} acme-lib", cwd=library),
    )
    sessions = (office.bob, office.reviewer, office.carl, office.carl_in_shared)
    ann.until_readable(*sessions, office.bob_in_shared)
    return office


def _accept(member: Member, project: str, team: str) -> None:
    def offered() -> bool:
        found = member.json("subscription", "list")["subscriptions"]
        return any(s["team"] == team and s["project"].endswith(f"/{project}") for s in found)

    wait_for_offer(member, project)
    until(offered, f"{project} of {team} offered to {member.tag}")
    member.run("accept", project, "--team", team, "--yes")


def _plant(paths: Paths, source: Session, session: str, **changes: str) -> None:
    """Put a copy of a session's row into a library, with other columns, under another id."""
    store = open_library(paths.library_db)
    with store.transaction() as tx:
        row = tx.execute("SELECT * FROM item WHERE session = ?", [source.id]).fetchone()
        body = json.loads(row["body"])
        body["session"]["session_id"] = session
        body |= {name: value for name, value in changes.items() if name in body}
        columns = dict(row) | changes | {"session": session, "body": json.dumps(body)}
        columns["item"] = "0" * 26 + session[:6].encode().hex()[:6]
        marks = ", ".join("?" for _ in columns)
        tx.execute(
            f"INSERT OR REPLACE INTO item ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 ours
            list(columns.values()),
        )
        channel = search_index.open_channel(tx, columns["folder"], "planted")
        planted = search_index.get_item(tx, columns["folder"], columns["item"])
        if planted is None:
            planted = search_index.add_item(tx, channel, columns["folder"], columns["item"])
            texts = Texts(prompt=f"{SECRET} {session}", path=f"/src/{session}.py")
            search_index.add(tx, planted, 1, [Passage(0, 10, 1_800_000_000, texts)])
    store.close()


def listed(member: Member, *options: str) -> set[str]:
    return {s["id"] for s in member.json("session", "list", *options)["sessions"]}


def test_each_employer_has_a_list_of_its_own(office: Office) -> None:
    acme = {office.bob.id, office.reviewer.id, office.bob_in_shared.id}
    globex = {office.carl.id, office.carl_in_shared.id}

    assert listed(office.ann, "--team", "acme") == acme
    assert listed(office.ann, "--team", "globex") == globex
    assert listed(office.ann) == acme | globex


def test_the_same_project_of_two_employers_does_not_mix(office: Office) -> None:
    lib = ("--project", "x/lib")

    assert listed(office.ann, *lib, "--team", "acme") == {office.bob_in_shared.id}
    assert listed(office.ann, *lib, "--team", "globex") == {office.carl_in_shared.id}


def test_a_project_of_the_other_employer_is_not_known_there(office: Office) -> None:
    refused = office.ann.run(
        "session", "list", "--team", "acme", "--project", "globex/site", check=False
    )

    assert refused.code != 0
    assert office.carl.id not in refused.out + refused.err


def test_each_agent_has_a_history_of_its_own(office: Office) -> None:
    reviewer = listed(office.ann, "--agent", "claude-code/reviewer")
    default = listed(office.ann, "--agent", "claude-code")

    assert reviewer == {office.reviewer.id}
    assert default == listed(office.ann) - reviewer
    assert listed(office.ann, "--agent", "codex") == set()


def test_every_command_takes_the_key_that_json_gives(office: Office) -> None:
    for each in office.ann.json("session", "list")["sessions"]:
        shown = office.ann.json("session", "show", each["key"])["session"]
        assert shown["id"] == each["id"]
        assert office.ann.raw(each["key"]) == office.ann.raw(each["id"])


def test_a_key_of_another_user_agent_or_project_shows_nothing(office: Office) -> None:
    session = office.bob.id
    for key in (
        f"carl.box:{session}",
        f"bob.box:claude-code/reviewer:{session}",
        f"bob.box:claude-code:example.org/globex/site:{session}",
        f"bob.box:claude-code/reviewer:example.org/acme/repo:{session}",
    ):
        assert office.ann.run("session", "show", key, check=False).code != 0, key
    assert office.ann.run("session", "show", f"bob:{session}").code == 0


LEFT_BEHIND = {
    "of a team that she is not in": {"team": "f" * 32, "folder": "ks-c-left"},
    "of a project that she was never asked for": {"project": "example.org/acme/payroll"},
    "of a project of the other employer": {"project": "example.org/globex/site"},
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_no_reading_command_shows_what_lies_there_without_a_right(
    office: Office, what: str
) -> None:
    ann, planted = office.ann, f"planted{sorted(LEFT_BEHIND).index(what)}-0000"
    _plant(ann.paths, office.bob, planted, **LEFT_BEHIND[what])

    assert planted not in listed(ann)
    for said in _all_commands(ann, planted):
        assert planted not in said.out, said
        echo = said.err
        for typed in said.args:
            echo = echo.replace(typed.partition("@")[0], "")
        assert planted not in echo, said
        assert SECRET not in said.out.replace(f"{SECRET} acme", "").replace(f"{SECRET} globex", "")
    assert ann.run("session", "show", planted, check=False).code != 0
    assert planted not in json.dumps(ann.json("status"))


def _all_commands(member: Member, session: str) -> list[Result]:
    """The results of all reading commands that are asked for this session."""
    asked = (
        ("session", "list", "--project", "payroll"),
        ("session", "list", f"file:{session}.py"),
        ("session", "list", session),
        ("session", "list", "project:payroll"),
        ("search", session),
        ("search", session, "--json"),
        ("search", session, "--all", "--sort", "new"),
        ("search", f"file:{session}.py", "--json"),
        ("search", "project:payroll"),
        ("search", f"-{session}", "project:payroll", "--json"),
        ("search", "--regex", session),
        ("session", "show", f"{session}@x"),
        ("session", "show", session),
        ("session", "show", session[:8], "--raw"),
        ("session", "show", session, "--json"),
        ("session", "show", session, "--file", "transcript.jsonl"),
        ("session", "show", f":::{session}"),
        ("session", "preview", session),
        ("session", "unshare", session),
    )
    return [member.run(*words, check=False) for words in asked]


def test_a_search_keeps_employers_projects_and_agents_apart(office: Office) -> None:
    def found(*words: str) -> set[str]:
        return {hit["session"] for hit in office.ann.json("search", SECRET, *words)["hits"]}

    acme = {office.bob.id, office.reviewer.id, office.bob_in_shared.id}
    globex = {office.carl.id, office.carl_in_shared.id}

    until(lambda: found() == acme | globex, "everything is found")
    assert found("team:acme") == acme
    assert found("team:globex") == globex
    assert found("project:x/lib", "team:acme") == {office.bob_in_shared.id}
    assert found("by:bob") == acme
    assert found("agent:claude-code/reviewer") == {office.reviewer.id}
    assert found("agent:claude-code") == (acme | globex) - {office.reviewer.id}
    assert found("project:repo") == {office.bob.id, office.reviewer.id}, "across the agents"
