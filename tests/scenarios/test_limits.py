"""Limits on sending: who accepts sets them, and owners keep sessions or directories here."""

import json
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from karma_sync.redact.examples import fill
from tests.support.harness import Member, until
from tests.support.town import Town, wait_for_offer
from tests.support.transcripts import Session

pytestmark = pytest.mark.memory

TOKEN = fill("ghp_{alnum:36}", "limits")


@dataclass(frozen=True)
class Pair:
    """A and B exchange `repo`; B is offered `web`, `api` and `tool`, and has sessions of each."""

    a: Member
    b: Member
    old: dict[str, list[Session]]


@pytest.fixture(scope="module")
def pair(town: Town) -> Pair:
    a, b = town.pair()
    old = {}
    for name in ("web", "api", "tool"):
        remote = f"git@example.org:acme/{name}.git"
        a.run("project", "share", str(a.clone(remote, name)), "--yes")
        place = b.clone(remote, name)
        old[name] = [b.write_session(f"day {day}", cwd=place, days_ago=day) for day in range(1, 5)]
        wait_for_offer(b, name)
    return Pair(a, b, old)


def test_a_dry_run_shows_what_would_leave_and_what_is_cut_and_changes_nothing(pair: Pair) -> None:
    pair.old["tool"][0].append(f"the token is {TOKEN}", cwd=pair.old["tool"][0].cwd)
    done = pair.b.run("accept", "tool", "--dry-run")

    assert re.search(r"sends now: +4 sessions", done.out)
    assert re.search(r"cut out: +github \d", done.out)
    assert TOKEN not in done.out
    assert "Nothing was changed." in done.out
    assert _subscription(pair.b, "tool")["status"] == "offered"


def test_last_sends_the_newest_of_those_there_are_and_all_that_come(pair: Pair) -> None:
    done = pair.b.run("accept", "web", "--yes", "--last", "2")
    place = pair.old["web"][0].cwd
    later = pair.b.write_session("today", cwd=place)
    pair.a.until_readable(*pair.old["web"][:2], later)

    assert re.search(r"sends now: +2 sessions", done.out)
    assert "2 earlier sessions" in done.out
    assert {s["id"] for s in pair.a.sessions() if s["project"].endswith("/web")} == {
        s.id for s in (*pair.old["web"][:2], later)
    }
    preview = pair.b.run("session", "preview", pair.old["web"][2].id).out
    assert "stays here: it is earlier than the limit of the project" in preview


def test_after_idle_a_session_leaves_once_nobody_wrote_to_it_for_that_long(pair: Pair) -> None:
    pair.b.run("accept", "api", "--yes", "--since", "now", "--after-idle", "8s")
    place = pair.old["api"][0].cwd
    began = time.time()
    session = pair.b.write_session("begun", cwd=place)
    until(lambda: session.id in _project(pair.b, "api")["resting"], "it rests at B")
    session.append("still writing")
    pair.a.until_readable(session)

    assert time.time() - began >= 8  # never before; how long after is nobody's promise
    assert session.id not in _project(pair.b, "api")["resting"]


def test_the_profile_conversation_sends_transcripts_only_and_a_wider_one_all(pair: Pair) -> None:
    session = pair.old["tool"][1]
    session.beside("tool-results/toolu_1.txt", b"a long output\n")
    session.beside("subagents/agent-1.jsonl", session.content)
    pair.b.run("accept", "tool", "--yes", "--profile", "conversation")
    until(lambda: pair.a.peek(session.id, "subagents/agent-1.jsonl"), "the subagent at A")
    assert pair.a.peek(session.id, "tool-results/toolu_1.txt") is None

    pair.b.run("subscription", "change", "tool", "--profile", "standard", "--yes")
    until(lambda: pair.a.peek(session.id, "tool-results/toolu_1.txt"), "the tool's result at A")

    pair.b.run("subscription", "change", "tool", "--profile", "conversation")
    until(lambda: not pair.a.peek(session.id, "tool-results/toolu_1.txt"), "that it is gone again")
    pair.a.until_readable(session)


def test_the_profile_full_sends_file_history_and_debug_log_and_a_smaller_one_takes_them_back(
    pair: Pair,
) -> None:
    session, swept = (
        pair.old["tool"][2],
        pair.b.write_session("soon gone", cwd=pair.old["tool"][2].cwd),
    )
    private = [place for each in (session, swept) for place in _private(pair.b, each)]
    for _, _, path in private:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"with {TOKEN} in it\n")
    asked = pair.b.run("subscription", "change", "tool", "--profile", "full", check=False)
    assert asked.code == 8
    pair.b.run("subscription", "change", "tool", "--profile", "full", "--yes")
    cut = b"with [REDACTED:github] in it\n"
    for each, name, _ in private:
        until(partial(_holds, pair.a, each, name, cut), f"{name} at A")

    content = swept.content
    for path in (swept.path, *(path for each, _, path in private if each is swept)):
        path.unlink()
    pair.b.run("subscription", "change", "tool", "--profile", "standard")
    for each, name, _ in private:
        until(partial(_holds, pair.a, each, name, None), f"no {name} at A")
    pair.a.until_readable(session)
    assert pair.a.peek(swept.id) == content


def _private(member: Member, session: Session) -> list[tuple[Session, str, Path]]:
    """The files of a session that only the profile `full` sends: name in the item, and path."""
    history, log = "file-history/0123456789abcdef@v1", f"debug/{session.id}.txt"
    folder = member.claude / "file-history" / session.id
    return [
        (session, history, folder / "0123456789abcdef@v1"),
        (session, log, member.claude / log),
    ]


def test_what_would_send_more_is_asked_and_what_sends_less_is_not(pair: Pair) -> None:
    before = _subscription(pair.b, "web")
    wider = pair.b.run("subscription", "change", "web", "--since", "all", check=False)
    assert (wider.code, _subscription(pair.b, "web")) == (8, before)

    pair.b.run("subscription", "change", "web", "--after-idle", "1s")
    assert _subscription(pair.b, "web")["since"] == before["since"]
    assert _subscription(pair.b, "web")["after_idle"] == 1


def test_a_withheld_session_never_leaves(pair: Pair) -> None:
    _pause_and_wait(pair.a)
    session = pair.a.write_session("nobody's business")
    done = pair.a.run("session", "withhold", session.id[:8])
    pair.a.run("subscription", "resume", "repo")
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert "unshare" not in done.out
    assert pair.b.peek(session.id) is None
    assert _project(pair.a, "repo")["withheld"][session.id] == "you withhold it"
    assert f"{session.id[:8]}  example.org/acme/repo  withheld" in pair.a.run("session", "list").out

    pair.a.run("session", "share", session.id, "--yes")
    pair.b.until_readable(session)


def test_a_session_that_has_left_stays_as_it_was_and_the_way_to_take_it_back_is_named(
    pair: Pair,
) -> None:
    session = pair.a.write_session("out already")
    pair.b.until_readable(session)
    before = session.content
    done = pair.a.run("session", "withhold", session.id)
    session.append("not for others")
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert f"karma-sync session unshare {session.id}" in done.out
    assert pair.b.raw(session.id) == before


def test_nothing_leaves_of_an_excluded_directory(pair: Pair) -> None:
    private = pair.a.repo / "private" / "deep"
    private.mkdir(parents=True)
    client = pair.a.repo / "client-x"
    client.mkdir()
    pair.a.run("exclude", str(private.parent), "client-*")
    kept = [pair.a.write_session("no", cwd=private), pair.a.write_session("no", cwd=client)]
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert pair.a.json("exclude")["excluded"] == [str(private.parent), "client-*"]
    assert [pair.b.peek(session.id) for session in kept] == [None, None]
    assert "you exclude client-*" in _project(pair.a, "repo")["withheld"][kept[1].id]
    refused = pair.a.run("session", "share", kept[1].id, "--yes", check=False)
    assert refused.code == 6

    pair.a.run("exclude", "--remove", "client-*", "--yes")
    pair.b.until_readable(kept[1])
    assert pair.b.peek(kept[0].id) is None


def test_a_mixed_session_is_shown_and_leaves_only_when_its_owner_says_so(pair: Pair) -> None:
    other = pair.a.clone("git@example.org:acme/plans.git", "plans")
    _pause_and_wait(pair.a)  # or it may leave between the two lines, and stay as it was then
    session = pair.a.write_session(f"here, with {TOKEN}")
    session.append("and there", cwd=other)
    pair.a.run("subscription", "resume", "repo")
    until(lambda: session.id in _project(pair.a, "repo")["withheld"], "it is withheld at A")
    held = [h for h in pair.a.json("session", "list")["held"] if h["session"] == session.id]
    assert held[0]["why"] == "it also worked in example.org/acme/plans"

    asked = pair.a.run("session", "share", session.id, check=False)
    assert asked.code == 8
    assert "it also worked in example.org/acme/plans" in asked.out
    assert "receivers:   bob.box" in asked.out
    assert pair.a.on_terminal("session", "share", session.id, answers=["n"]).code == 8
    assert pair.b.peek(session.id) is None

    assert pair.a.on_terminal("session", "share", session.id, answers=["y"]).code == 0
    until(lambda: b"and there" in (pair.b.peek(session.id) or b""), "the mixed session at B")
    third = pair.a.clone("git@example.org:acme/third.git", "third")
    session.append("and in a third place", cwd=third)
    why = "it also worked in example.org/acme/third"
    until(lambda: _project(pair.a, "repo")["withheld"].get(session.id) == why, "it is frozen at A")
    pair.b.until_readable(pair.a.write_session("a barrier"))

    assert b"third place" not in pair.b.raw(session.id)


def test_a_session_frozen_when_it_became_mixed_goes_on_when_it_is_shared(pair: Pair) -> None:
    other = pair.a.clone("git@example.org:acme/later.git", "later")
    session = pair.a.write_session("only here")
    pair.b.until_readable(session)
    session.append("now there", cwd=other)
    until(lambda: session.id in _project(pair.a, "repo")["withheld"], "it is frozen at A")
    pair.a.run("session", "share", session.id, "--yes")

    pair.b.until_readable(session)


def test_a_preview_shows_every_cut_and_never_what_is_cut(pair: Pair) -> None:
    session = pair.a.write_session(f"title with {TOKEN} in it", odd=False)
    session.append("a line without", f"before {TOKEN} behind")
    session.beside("tool-results/toolu_1.txt", f"one\ntwo {TOKEN}\n".encode())
    line = json.dumps({"type": "user", "sessionId": session.id, "say": TOKEN})
    session.beside("subagents/agent-1.jsonl", line.encode() + b"\n")
    done = pair.a.run("session", "preview", session.id)
    found = pair.a.json("session", "preview", session.id)
    pair.b.until_readable(pair.a.write_session("a barrier"))
    (sent,) = (s for s in pair.b.sessions() if s["id"] == session.id)

    assert TOKEN not in done.out + json.dumps(found)
    cuts = {(c["rule"], c["file"], c["line"]) for c in found["cuts"]}
    assert {("github", "(title)", 1), ("github", "tool-results/toolu_1.txt", 2)} <= cuts
    assert {("github", "transcript.jsonl", 1), ("github", "transcript.jsonl", 7)} <= cuts
    assert ("github", "subagents/agent-1.jsonl", 1) in cuts
    assert all("[REDACTED:github]" in c["around"] for c in found["cuts"])
    assert found["ways"][0]["goes_to"] == ["bob.box"]
    in_files = [c for c in found["cuts"] if not c["file"].startswith("(")]
    assert sent["redactions"]["github"] == len(in_files)
    assert "tool-results/toolu_1.txt, line 2: one two [REDACTED:github]" in done.out
    for file in found["files"]:
        arrived = pair.b.raw(session.id, file["file"])
        shown = pair.a.run("session", "preview", session.id, "--raw", "--file", file["file"])
        assert shown.out.encode() == arrived
        assert file["size"] == len(arrived)
    assert found["title"] == sent["title"]
    none = pair.a.run("session", "preview", session.id, "--raw", "--file", "x", check=False)
    assert none.code == 5


@pytest.mark.parametrize("command", ["preview", "withhold", "share"])
def test_an_id_that_is_nobodys_exits_5(pair: Pair, command: str) -> None:
    assert pair.a.run("session", command, "0000", check=False).code == 5


def test_a_session_that_leaves_already_cannot_be_shared_again(pair: Pair) -> None:
    session = pair.a.write_session("plain")

    assert pair.a.run("session", "share", session.id, "--yes", check=False).code == 6


def _pause_and_wait(member: Member) -> None:
    member.run("subscription", "pause", "repo")
    until(lambda: "sendonly" in _paused(member), "the outbox to be paused")


def _paused(member: Member) -> set[str]:
    return {folder["type"] for folder in member.rest("config/folders") if folder["paused"]}


def _subscription(member: Member, name: str) -> dict[str, object]:
    found = member.json("subscription", "list")["subscriptions"]
    return dict(next(s for s in found if s["project"].endswith(f"/{name}")))


def _project(member: Member, name: str) -> dict[str, dict[str, str]]:
    found = member.json("status")["projects"]
    return dict(next(p for p in found if p["project"].endswith(f"/{name}")))


def _holds(member: Member, session: Session, name: str, content: bytes | None) -> bool:
    return member.peek(session.id, name) == content
