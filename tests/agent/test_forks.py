"""The real agent goes on from a fork with the conversation that its author had, word for word.

A's agent works, B forks the session that arrives, and B's agent is resumed. What it posts is
compared with what A's own agent posts when it is resumed. The API is scripted, and cannot check
signatures of thinking.
"""

import json
import re
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from karma_sync.redact.examples import fill
from tests.agent.rig import Agent, Json, Ran, Said
from tests.support.harness import REMOTE, Member, until
from tests.support.memory_town import MemoryTown
from tests.support.town import found_team, share
from tests.support.transcripts import encoded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKEN = fill("ghp_{alnum:36}", "forks")
GO_ON = "now go on from there"
MANY = "seq 1 20000"


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def thought(said: str) -> Json:
    return {"type": "thinking", "thinking": said, "signature": "c2lnbmF0dXJl"}


def call(name: str, id_: str, **given: object) -> Json:
    return {"type": "tool_use", "id": f"toolu_{id_}", "name": name, "input": given}


def rule(word: str, *blocks: Json) -> Json:
    return {"word": word, "blocks": list(blocks)}


@dataclass(frozen=True)
class Stage:
    """A and B, each with an agent; both share a project."""

    a: Member
    b: Member
    as_agent: Agent
    bs_agent: Agent

    def work(self, *prompts: str, rules: Sequence[Json] = (), cwd: Path | None = None) -> str:
        """Have A's agent answer prompts in one session; its id."""
        self.as_agent.rules[:] = rules
        session = str(uuid.uuid4())
        for number, prompt in enumerate(prompts):
            how = "--resume" if number else "--session-id"
            self.as_agent.say(cwd or self.a.repo, prompt, how, session)
        return session

    def path(self, session: str, cwd: Path | None = None) -> Path:
        """A's transcript."""
        return self.a.claude / "projects" / encoded(cwd or self.a.repo) / f"{session}.jsonl"

    def place(self, lines: Sequence[Json]) -> str:
        """Put a session of these records into A's directory; its id."""
        session = str(uuid.uuid4())
        ids = {"sessionId": session}
        known = [{**r, **{k: v for k, v in ids.items() if k in r}} for r in lines]
        self.path(session).write_text("".join(json.dumps(r) + "\n" for r in known))
        return session

    def arrived(self, session: str, word: str = "") -> None:
        """Wait until B has a session, with this word in it."""
        until(lambda: word.encode() in (self.b.peek(session) or b"-"), f"{session} at B")

    def fork(self, session: str, *options: str) -> Json:
        """The JSON answer of B's command about the fork that it makes."""
        found: Json = self.b.json("session", "fork", session, *options)
        return found

    def author(self, session: str, cwd: Path | None = None) -> list[Said]:
        """The messages that A's own agent posts if it goes on from the session."""
        self.as_agent.rules[:] = []
        kept = ("--fork-session", "--no-session-persistence")
        return self.as_agent.say(cwd or self.a.repo, GO_ON, "--resume", session, *kept).posted

    def resumed(self, fork: Json) -> Ran:
        """The run in which B's agent goes on from a fork."""
        self.bs_agent.rules[:] = []
        return self.bs_agent.say(Path(fork["directory"]), GO_ON, "--resume", fork["session"])

    def same(self, session: str, word: str = "", cwd: Path | None = None) -> Json:
        """Fork a session, and compare what both agents post; the fork."""
        self.arrived(session, word)
        fork = self.fork(session)
        assert plain(self.resumed(fork).posted) == plain(self.author(session, cwd))
        return fork


_OWN = re.compile(r'[^\s"]*/projects/[^/\s"]+/[0-9a-f-]{36}/')


def plain(said: Sequence[Said]) -> Any:
    """A conversation without the place of its files, which is another at B."""
    return json.loads(_OWN.sub("OWN/", json.dumps(said, ensure_ascii=False)))


def records(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def stage(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    town = MemoryTown(tmp_path_factory.mktemp("agents"))
    try:
        a, b = town.members("alice", "bob")
        for each in (a, b):
            each.git(each.repo, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit",
                     "--quiet", "--allow-empty", "--message", "begin")  # fmt: skip
        found_team(a, b)
        share(a, b)
        a.run("subscription", "change", "repo", "--since", "all", "--yes")
        yield Stage(a, b, Agent(program, a.claude), Agent(program, b.claude))
    finally:
        town.close()


def test_plain_turns(stage: Stage) -> None:
    session = stage.work("first question", "second question", rules=[rule("first", text("yes"))])

    fork = stage.same(session, "second question")
    assert fork["messages"] == 4


def test_thinking_is_left_out(stage: Stage) -> None:
    session = stage.work(
        "think hard",
        "think harder",
        rules=[
            rule("think hard", thought("hm"), text("so"), call("Bash", "th1", command="echo 1")),
            rule("toolu_th1", thought("only this"), text("done")),
        ],
    )
    fork = stage.same(session, "think harder")

    assert fork["left_out"]["thinking"] >= 3
    assert "hm" not in Path(fork["path"]).read_text().split('"')


def test_five_kinds_of_tool_calls(stage: Stage) -> None:
    note = str(stage.a.repo / "note.txt")
    session = stage.work(
        "use all tools",
        rules=[
            rule(
                "use all",
                call("Bash", "w0", command="echo a b c"),
                call("Bash", "w1", command="ls"),
            ),
            rule("toolu_w1", call("Write", "w2", file_path=note, content="one\ntwo\n")),
            rule("toolu_w2", call("Read", "w3", file_path=note)),
            rule("toolu_w3", call("Edit", "w4", file_path=note, old_string="two", new_string="2")),
            rule("toolu_w4", call("Bash", "w5", command="exit 3")),
            rule("toolu_w5", call("NoSuchTool", "w6", x=1)),
            rule("toolu_w6", text("all used")),
        ],
    )

    fork = stage.same(session, "all used")
    names = {c["name"] for _, parts in stage.resumed(fork).posted for c in parts if "name" in c}
    assert {"Bash", "Write", "Read", "Edit", "NoSuchTool"} <= names


def test_long_outputs_lie_beside_the_fork(stage: Stage) -> None:
    rules = [rule("much", call("Bash", "m1", command=MANY)), rule("toolu_m1", text("that is much"))]
    session = stage.work("say much", rules=rules)

    fork = stage.same(session, "that is much")
    posted = json.dumps(stage.resumed(fork).posted)
    [named] = set(re.findall(r'saved to: ([^\s"\\]+)', posted))
    assert Path(named).read_text().startswith("1\n2\n3\n")
    assert Path(named).is_relative_to(Path(fork["path"]).with_suffix(""))


def test_a_subagent(stage: Stage) -> None:
    task = {"description": "look", "prompt": "please inspect", "subagent_type": "general-purpose"}
    session = stage.work(
        "delegate it",
        rules=[
            rule("delegate", call("Agent", "a1", **task)),
            rule("please inspect", call("Bash", "s1", command="echo inside")),
            rule("toolu_s1", text("inspected")),
            rule("toolu_a1", text("the subagent is done")),
        ],
    )

    fork = stage.same(session, "delegate it")
    own = Path(fork["path"]).with_suffix("")
    [subagent] = own.glob("subagents/agent-*.jsonl")
    assert {each["sessionId"] for each in records(subagent)} == {fork["session"]}


def test_tasks(stage: Stage) -> None:
    task = {"subject": "mend it", "description": "all of it", "activeForm": "mending"}
    session = stage.work(
        "plan the work",
        rules=[
            rule("plan the", call("TaskCreate", "t1", **task)),
            rule("toolu_t1", call("TaskUpdate", "t2", taskId="1", status="completed")),
            rule("toolu_t2", text("planned")),
        ],
    )

    fork = stage.same(session, "planned")
    assert list((stage.b.claude / "tasks" / fork["session"]).glob("*.json"))


def test_todos(stage: Stage) -> None:
    todos = [{"content": "mend it", "status": "pending", "activeForm": "mending"}]
    stage.as_agent.rules[:] = [
        rule("list todos", call("TodoWrite", "d1", todos=todos)),
        rule("toolu_d1", text("listed")),
    ]
    session = str(uuid.uuid4())
    ran = stage.as_agent.run(
        *(stage.a.repo, "--session-id", session, "--allowedTools", "TodoWrite"),
        *("--output-format", "json", "-p", "list todos"),
        CLAUDE_CODE_ENABLE_TASKS="0",
    )

    assert ran.code == 0
    stage.same(session, "listed")


def test_a_compacted_session(stage: Stage) -> None:
    session = stage.work(
        "before the compaction",
        "/compact",
        "after the compaction",
        rules=[
            rule("before the", thought("hm"), text("yes"), call("Bash", "c1", command="echo 1")),
            rule("toolu_c1", thought("only"), text("one")),
            rule("after the", text("still here")),
        ],
    )

    fork = stage.same(session, "still here")
    found = records(Path(fork["path"]))
    assert [r for r in found if r.get("subtype") == "compact_boundary"]


def test_a_redacted_session(stage: Stage) -> None:
    rules = [rule("the token", text(f"I use {TOKEN}"))]
    session = stage.work(f"the token is {TOKEN}", "and then?", rules=rules)
    stage.arrived(session, "and then?")
    fork = stage.fork(session)

    posted = json.dumps(plain(stage.resumed(fork).posted))
    [marker] = set(re.findall(r"\[REDACTED:[^\]]+\]", posted))
    assert posted == json.dumps(plain(stage.author(session))).replace(TOKEN, marker)


def png() -> bytes:
    """A picture of one point."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    points = chunk(b"IDAT", zlib.compress(b"\0abc"))
    return b"\x89PNG\r\n\x1a\n" + head + points + chunk(b"IEND", b"")


def test_an_image(stage: Stage) -> None:
    picture = stage.a.repo / "point.png"
    picture.write_bytes(png())
    session = stage.work(
        "look at the picture",
        rules=[
            rule("look at", call("Read", "i1", file_path=str(picture))),
            rule("toolu_i1", text("I see a point")),
        ],
    )

    fork = stage.same(session, "I see a point")
    assert '"type": "image"' in json.dumps(stage.resumed(fork).posted)


def test_a_session_in_a_work_tree(stage: Stage) -> None:
    tree = stage.a.repo / ".claude" / "worktrees" / "wt"
    stage.a.git(stage.a.repo, "worktree", "add", "--quiet", str(tree))
    rules = [rule("in the tree", call("Bash", "wt1", command="pwd")), rule("toolu_wt1", text("ok"))]
    session = stage.work("in the tree", "still in the tree", rules=rules, cwd=tree)

    fork = stage.same(session, "still in the tree", cwd=tree)
    found = records(Path(fork["path"]))
    assert {r["cwd"] for r in found if "cwd" in r} == {str(stage.b.repo)}


@pytest.mark.parametrize("name", ["x" * 110 + "/" + "y" * 110, "my répo 😀 with blanks"])
def test_a_clone_with_an_odd_path(stage: Stage, name: str) -> None:
    session = stage.work("first question", f"second in {len(name)}")
    clone = stage.b.clone(REMOTE, name)
    stage.arrived(session, f"second in {len(name)}")
    fork = stage.fork(session, "--into", str(clone))

    assert plain(stage.resumed(fork).posted) == plain(stage.author(session))


def test_a_rewound_session(stage: Stage) -> None:
    done = stage.work("the way begins", "the wrong way", rules=[rule("begins", text("here"))])
    found = records(stage.path(done))
    said = [r for r in found if r["type"] in ("user", "assistant")]
    prompts = [r for r in said if r["type"] == "user"]
    answers = [r for r in said if r["type"] == "assistant"]
    again = prompts[1] | {
        "uuid": str(uuid.uuid4()),
        "parentUuid": answers[0]["uuid"],
        "message": {"role": "user", "content": "the other way"},
    }
    answer = answers[1] | {"uuid": str(uuid.uuid4()), "parentUuid": again["uuid"]}
    answer["message"] = answer["message"] | {"id": "msg_other", "content": [text("better")]}
    leaf = {"type": "last-prompt", "lastPrompt": "the other way", "leafUuid": answer["uuid"]}
    kept = [r for r in found if r["type"] != "last-prompt"]
    session = stage.place([*kept, again, answer, leaf | {"sessionId": done}])

    fork = stage.same(session, "better")
    posted = json.dumps(stage.resumed(fork).posted)
    assert "the other way" in posted
    assert "the wrong way" not in posted


def test_an_interrupted_tool_call(stage: Stage) -> None:
    rules = [
        rule("first thing", text("done")),
        rule("second thing", text("I run it"), call("Bash", "o1", command="echo 1")),
    ]
    done = stage.work("first thing", "second thing", rules=rules)
    found = records(stage.path(done))
    last = max(n for n, r in enumerate(found) if "toolu_o1" in json.dumps(r.get("message", "")))
    calls = [n for n, r in enumerate(found) if '"tool_use"' in json.dumps(r.get("message", ""))]
    assert calls[-1] < last
    session = stage.place(found[: calls[-1] + 1])
    stage.arrived(session, "second thing")
    fork = stage.fork(session)

    assert fork["left_out"]["call without a result"] == 1
    assert stage.resumed(fork).posted == [
        ("user", [text("first thing")]),
        ("assistant", [text("done")]),
        ("user", [text("second thing")]),
        ("assistant", [text("I run it")]),
        ("user", [text(GO_ON)]),
    ]


def versions(corpus: Path, most: int = 8) -> list[tuple[str, Path]]:
    """Published transcripts of different versions of the agent, the smaller ones first."""
    found: dict[str, Path] = {}
    for path in sorted((corpus / "claude").rglob("*.jsonl"), key=lambda p: p.stat().st_size):
        if not 3_000 < path.stat().st_size < 400_000:
            continue
        version = re.search(rb'"version":\s*"(\d+\.\d+)\.', path.read_bytes())
        kinds = path.read_bytes().count(b'"type":"assistant"')
        if version and kinds > 2 and b'"isSidechain":true' not in path.read_bytes():
            exact = re.search(rb'"version":\s*"([^"]+)"', path.read_bytes())
            found.setdefault(exact[1].decode() if exact else "", path)
    names = sorted(found)
    return [(name, found[name]) for name in names[:: max(1, len(names) // most)]]


def test_sessions_of_older_versions(stage: Stage, corpus: Path) -> None:
    tried = []
    for version, path in versions(corpus):
        known = []
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            known.append(record | ({"cwd": str(stage.a.repo)} if "cwd" in record else {}))
        session = stage.place(known)
        stage.arrived(session)
        if stage.b.json("session", "show", session)["session"]["redactions"]:
            continue
        fork = stage.fork(session)
        assert plain(stage.resumed(fork).posted) == plain(stage.author(session)), (version, path)
        tried.append(version)
    assert len(tried) >= 4, tried


def test_a_fork_of_a_fork(stage: Stage) -> None:
    session = stage.work("first by alice", rules=[rule("first by", text("yes"))])
    first = stage.same(session, "first by alice")
    stage.b.run("session", "share", first["session"], "--yes")
    until(lambda: GO_ON.encode() in (stage.a.peek(first["session"]) or b""), "the fork at A")
    second = stage.a.json("session", "fork", first["session"])
    stage.as_agent.rules[:] = []
    went_on = stage.as_agent.say(stage.a.repo, "and further", "--resume", second["session"]).posted

    assert [part["text"] for role, parts in went_on for part in parts if role == "user"] == [
        *("first by alice", GO_ON, "and further"),
    ]
    assert second["title"].endswith("(from alice) (from bob)")


def test_a_fork_that_the_agent_makes_stays_here(stage: Stage) -> None:
    session = stage.work("to be forked twice", rules=[rule("twice", text("yes"))])
    fork = stage.same(session, "to be forked twice")
    new = str(uuid.uuid4())
    how = ("--resume", fork["session"], "--fork-session", "--session-id", new)
    stage.bs_agent.say(stage.b.repo, GO_ON, *how)

    def held() -> list[str]:
        rows = stage.b.json("session", "list")["held"]
        return [row["why"] for row in rows if row["session"] == new]

    assert until(held, "the second fork among those that stay") == [
        "it is a fork of a session by alice.box"
    ]
    assert not stage.a.peek(new)


def test_the_agent_takes_the_file_too(stage: Stage) -> None:
    session = stage.work("by its file", "by its file again")
    stage.arrived(session, "by its file again")
    fork = stage.fork(session)
    before = Path(fork["path"]).read_bytes()
    how = ("--resume", fork["path"], "--fork-session", "--name", fork["title"])
    ran = stage.bs_agent.say(stage.b.repo, GO_ON, *how)

    assert plain(ran.posted) == plain(stage.author(session))
    assert Path(fork["path"]).read_bytes() == before


def test_the_picker_lists_a_fork(stage: Stage) -> None:
    session = stage.work("shown in the picker")
    stage.arrived(session, "shown in the picker")
    fork = stage.fork(session)
    stage.bs_agent.know(stage.b.repo)
    title = "shown in the picker (from alice)"
    ran = stage.bs_agent.run(stage.b.repo, "--resume", until=(title, "(from"))

    assert fork["title"] == title
    assert "(from" in ran.out, ran.out[-3000:]


def test_a_session_arrives_while_it_is_written_and_whole(stage: Stage) -> None:
    session = str(uuid.uuid4())
    stage.as_agent.rules[:] = [
        rule("take your time", text("I begin"), call("Bash", "l1", command="sleep 8; echo over")),
        rule("toolu_l1", text("I am done")),
    ]
    worker = threading.Thread(
        target=stage.as_agent.say, args=(stage.a.repo, "take your time", "--session-id", session)
    )
    worker.start()
    try:
        stage.arrived(session, "I begin")
        halfway = stage.b.peek(session) or b""
    finally:
        worker.join()
    stage.arrived(session, "I am done")
    whole = (stage.b.peek(session) or b"").splitlines()
    wrote = stage.path(session).read_bytes().splitlines()

    assert b"I am done" not in halfway
    said = [line for line in wrote if json.loads(line)["type"] in ("user", "assistant")]
    assert [line for line in whole if json.loads(line)["type"] in ("user", "assistant")] == said
