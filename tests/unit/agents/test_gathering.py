"""Facts from transcripts: the same whether lines are fed in pieces or all at once."""

import json
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.claude.records import (
    parse_lines,
    parse_one_by_one,
    parse_record,
    parse_slowly,
)
from karma_sync.domain.session.facts import Facts
from tests.support.builders import examples, record, said


def facts_of(*lines: bytes) -> Facts:
    facts = Facts()
    feed(facts, b"".join(lines))
    return facts


def spoke(**message: Any) -> bytes:
    """An assistant's record."""
    return record(type="assistant", message=message)


TITLES = [
    ("custom", record(type="custom-title", customTitle="custom")),
    ("ai", record(type="ai-title", aiTitle="ai")),
    ("summary", record(type="summary", summary="summary")),
    ("prompt", said("prompt")),
]


@pytest.mark.parametrize("some", [s for n in range(1, 5) for s in combinations(TITLES, n)])
def test_the_title_is_the_best_one_in_any_order_of_records(
    some: tuple[tuple[str, bytes], ...],
) -> None:
    best = some[0][0]

    assert facts_of(*(line for _, line in some)).title == best
    assert facts_of(*(line for _, line in reversed(some))).title == best


def test_a_newer_title_replaces_an_older_one_and_an_empty_one_does_not() -> None:
    first, second, none = (record(type="custom-title", customTitle=t) for t in ("a", "b", " "))

    assert facts_of(first, second, none).title == "b"


def test_the_first_prompt_stays_the_first() -> None:
    facts = facts_of(said("one"), said("two"))

    assert (facts.first_prompt, facts.prompts) == ("one", 2)


OPENED = "<ide_opened_file>The user opened the file /src/repo/a.py in the IDE.</ide_opened_file>"


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        ("  over\n two\tlines ", "over two lines"),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}], "a b"),
        ([{"type": "tool_result", "content": "output"}], ""),
        ("<command-name>/clear</command-name>", ""),
        ("<command-message>x</command-message>\n<command-name>/x</command-name>\n", ""),
        ("<bash-stdout>a</bash-stdout><bash-stderr>b\n</bash-stderr>", ""),
        ("<task-notification>\n<task-id>7</task-id>\n</task-notification>", ""),
        ("<ide_selection>lines\n3 to 4</ide_selection> what is this?", "what is this?"),
        ([{"type": "text", "text": OPENED}, {"type": "text", "text": "mend it"}], "mend it"),
        ([{"type": "text", "text": OPENED}], ""),
        ([{"type": "text", "text": "[Request interrupted by user for tool use]"}], ""),
        ("<ide_x><private></ide_x> a</private>", "<ide_x><private></ide_x> a</private>"),
        ("<div> is broken", "<div> is broken"),
        ("<my-button> is broken", "<my-button> is broken"),
        ("<private>secret</private> and not", "<private>secret</private> and not"),
        ("", ""),
        (None, ""),
        ([1, {"type": "text", "text": 2}], ""),
    ],
)
def test_a_prompt_is_what_a_person_typed(content: object, prompt: str) -> None:
    facts = facts_of(record(type="user", message={"content": content}))

    assert (facts.first_prompt, facts.prompts) == (prompt, 1 if prompt else 0)


def ran(name: str, arguments: str = "") -> bytes:
    """A record of a command of the program that the person runs."""
    content = f"<command-name>{name}</command-name>\n<command-args>{arguments}</command-args>"
    return record(type="user", message={"content": content})


def test_a_session_of_commands_alone_is_named_after_the_first() -> None:
    assert (
        facts_of(ran("/review", "pull\nrequest 7"), ran("/exit")).title == "/review pull request 7"
    )
    assert facts_of(ran("/clear"), said("mend it")).title == "mend it"
    assert facts_of(record(type="summary", summary="s"), ran("/init")).title == "s"
    assert facts_of(said("what does <command-name>/x</command-name> do?")).first_command == ""


@pytest.mark.parametrize("flag", ["isMeta", "isSidechain", "isCompactSummary"])
def test_messages_of_the_program_are_not_prompts(flag: str) -> None:
    line = record(type="user", message={"content": "typed by nobody"}, **{flag: True})

    assert facts_of(line).prompts == 0


def test_tokens_count_once_per_response_over_several_records() -> None:
    usage = {"input_tokens": 10, "output_tokens": 3, "cache_read_input_tokens": 5}
    lines = [
        spoke(id="msg_1", usage=usage),
        spoke(id="msg_1", usage=usage | {"output_tokens": 7}),
        said("between"),
        spoke(id="msg_1", usage=usage | {"output_tokens": 9}),
        spoke(id="msg_2", usage={"output_tokens": 1, "cache_creation_input_tokens": 4}),
    ]

    assert facts_of(*lines).tokens == {
        "input": 10,
        "output": 10,
        "cache_read": 5,
        "cache_creation": 4,
    }


def test_a_history_that_is_repeated_counts_once() -> None:
    history = [spoke(id=f"msg_{n:030}", usage={"output_tokens": n}) for n in range(1, 101)]

    assert facts_of(*history, *history, *history).tokens == {"output": 5050}


def test_the_memory_for_old_responses_is_bounded() -> None:
    facts = facts_of(*(spoke(id=f"msg_{n:030}", usage={"output_tokens": 1}) for n in range(5000)))

    assert facts.tokens == {"output": 5000}
    assert len(facts.model_dump_json()) < 100_000


def test_responses_without_an_id_count_each_for_itself() -> None:
    assert facts_of(*[spoke(usage={"output_tokens": 5})] * 2).tokens == {"output": 10}


def test_a_smaller_count_subtracts_nothing() -> None:
    lines = [spoke(id="msg_1", usage={"output_tokens": n}) for n in (7, 3)]

    assert facts_of(*lines).tokens == {"output": 7}


@pytest.mark.parametrize("count", [10**30, 2**53, True, "7", -1, 1.5, None])
def test_an_impossible_count_is_ignored(count: object) -> None:
    facts = facts_of(*[spoke(usage={"output_tokens": c}) for c in (count, 5)])

    assert facts.tokens == {"output": 5}


def test_two_responses_whose_records_are_interleaved_count_once_each() -> None:
    lines = [spoke(id=i, usage={"output_tokens": 10}) for i in ("msg_1", "msg_2", "msg_1")]

    assert facts_of(*lines).tokens == {"output": 20}


def test_every_branch_model_and_directory_is_kept_once_in_order() -> None:
    facts = facts_of(
        record(cwd="/a", gitBranch="main"),
        record(cwd="/b", gitBranch="feature"),
        record(cwd="/a", gitBranch="main"),
        record(cwd="", gitBranch=""),
        spoke(model="opus"),
        spoke(model="<synthetic>"),
        spoke(model="haiku"),
    )

    assert facts.branches == ["main", "feature"]
    assert facts.models == ["opus", "haiku"]
    assert facts.cwds == ["/a", "/b"]


# Records that name a directory other than in `cwd`.
NAMING: dict[str, dict[str, Any]] = {
    "a session that moved": {"type": "relocated", "relocatedCwd": "/there"},
    "a work tree that it entered": {
        "type": "worktree-state",
        "worktreeSession": {"originalCwd": "/there", "worktreePath": "/a/w", "worktreeName": "w"},
    },
    "a work tree that it works in": {
        "type": "worktree-state",
        "worktreeSession": {"originalCwd": "/a", "worktreePath": "/there"},
    },
    "its environment": {
        "type": "attachment",
        "attachment": {"type": "environment", "snapshot": {"workingDirectory": "/there"}},
    },
    "a directory that was added": {
        "type": "attachment",
        "attachment": {
            "type": "environment",
            "snapshot": {"additionalWorkingDirectories": ["/there", 5, None, "not a path"]},
        },
    },
    "one on Windows": {"type": "relocated", "relocatedCwd": r"C:\there"},
}


@pytest.mark.parametrize("name", NAMING)
def test_every_key_that_names_a_directory_counts(name: str) -> None:
    line = record(**NAMING[name])
    there = r"C:\there" if "Windows" in name else "/there"

    assert there in facts_of(said("x", cwd="/a"), line).cwds
    # half an emoji: the slower parser reads the line
    slow = line.replace(b'{"type"', b'{"x": "\\ud83d", "type"', 1)
    assert slow != line
    assert there in facts_of(slow).cwds


@pytest.mark.parametrize("odd", [None, 5, "", "  ", "left the work tree", [], {"worktreePath": 7}])
def test_what_names_no_directory_does_not_count(odd: object) -> None:
    lines = [
        record(type="relocated", relocatedCwd=odd),
        record(type="worktree-state", worktreeSession=odd),
        record(type="worktree-state", worktreeSession={"worktreePath": odd}),
        record(type="attachment", attachment={"snapshot": odd}),
    ]

    assert facts_of(said("x", cwd="/a"), *lines).cwds == ["/a"]


def test_no_directory_is_left_out_however_many_there_are() -> None:
    facts = facts_of(*(record(cwd=f"/src/{n}", gitBranch=f"b{n}") for n in range(500)))

    assert len(facts.cwds) == 500
    assert len(facts.branches) == 50


def test_first_and_last_are_the_earliest_and_the_latest_moment_in_utc() -> None:
    stamps = ["2026-05-02T10:00:00Z", "2026-05-01T23:30:00+05:00", "2026-05-03T01:00:00", "soon", 7]
    facts = facts_of(*(record(timestamp=stamp) for stamp in stamps))

    assert facts.first == datetime(2026, 5, 1, 18, 30, tzinfo=UTC)
    assert facts.last == datetime(2026, 5, 3, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_outside_the_calendar_is_ignored(stamp: str) -> None:
    assert facts_of(record(timestamp=stamp), said("after it")).prompts == 1


@pytest.mark.parametrize("field", ["summary", "cwd", "gitBranch"])
def test_facts_with_half_a_surrogate_pair_can_be_stored(field: str) -> None:
    facts = facts_of(b'{"type": "summary", "%s": "cut in half \\ud83d"}\n' % field.encode())

    assert Facts.model_validate_json(facts.model_dump_json()) == facts


ODD_LINES = [
    b"// a comment\n",
    b'{"type": "summary", "summary": "a"}{"type": "summary", "summary": "spliced"}\n',
    b'{"type": "user", "message": {"content": "torn\n',
    b"\x00" * 300 + b"\n",
    b"\xff\xfe\xfa\n",
    b"[]\n",
    b"null\n",
    b'"user"\n',
    b"[" * 100_000 + b"\n",
    b"1" * 5_000 + b"\n",
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_an_unreadable_line_only_counts_as_a_record(line: bytes) -> None:
    facts = facts_of(line, said("after it"))

    assert facts == facts_of(said("after it")).model_copy(update={"records": 2})


def test_blank_lines_do_not_count() -> None:
    assert facts_of(b"\n", b"   \n", b"\t\r\n") == Facts()


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
_KNOWN = st.sampled_from(
    [
        ["type", "message", "cwd", "gitBranch", "timestamp", "customTitle", "aiTitle", "summary"],
        ["id", "model", "usage", "content", "isMeta", "isSidechain", "slug"],
        ["agentSetting", "agentName", "attachment", "relocatedCwd", "worktreeSession"],
    ]
).flatmap(st.sampled_from)
_TYPES = st.sampled_from(
    ["user", "assistant", "custom-title", "ai-title", "summary", "attachment", "agent-name"]
)
# what a content has in it, and an attachment
_parts = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "plan_mode"]) | _ANY,
        "text": st.sampled_from(["<a-b></a-b>x", "<command-name>/x</command-name>"]) | _ANY,
        "name": st.sampled_from(["Write"]) | _ANY,
        "input": st.fixed_dictionaries({"file_path": _ANY}) | _ANY,
        "planFilePath": st.sampled_from(["/a/plans/b.md"]) | _ANY,
        "worktreePath": st.sampled_from(["/a/b", "relative"]) | _ANY,
        "snapshot": st.fixed_dictionaries({"workingDirectory": _ANY}) | _ANY,
    },
)
_messages = st.fixed_dictionaries(
    {},
    optional={
        "content": _ANY | st.text(max_size=5) | st.lists(_parts, max_size=3),
        "id": st.sampled_from(["m1", "m2"]) | _ANY,
        "model": _ANY,
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), _ANY) | _ANY,
    },
)
_records = st.builds(
    lambda odd, kind, message: record(**(odd | {"type": kind, "message": message})),
    st.dictionaries(_KNOWN, _ANY | _parts, max_size=4),
    _TYPES | _ANY,
    _messages | _ANY,
)
_lines = st.lists(_records | st.sampled_from(ODD_LINES[:-2]), max_size=20)


@examples(100)
@given(_lines, st.data())
def test_feeding_in_pieces_gives_the_same_facts_as_feeding_at_once(
    lines: list[bytes], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    in_pieces = Facts()
    for start, stop in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        feed(in_pieces, b"".join(lines[start:stop]))
        in_pieces = Facts.model_validate_json(in_pieces.model_dump_json())  # as after a restart

    assert in_pieces == facts_of(*lines)


_WILD = st.sampled_from(
    [b"\\ud83d", b'"a"', b"1e999", b"NaN", b"\x00", b"\xff", b"{", b"]", b"1" * 30]
)


@examples(300)
@given(_records, st.lists(st.tuples(st.integers(0, 300), _WILD), max_size=3))
def test_both_parsers_give_the_same_record(line: bytes, spliced: list[tuple[int, bytes]]) -> None:
    for at, wild in spliced:
        line = line[:at] + wild + line[at:]
    # compared as text: NaN is not itself
    assert repr(parse_record(line)) == repr(parse_slowly(line))


@examples(100)
@given(_lines, st.booleans())
def test_lines_parsed_together_give_the_same_records_as_one_by_one(
    lines: list[bytes], ended: bool
) -> None:
    block = b"".join([*lines, b"" if ended else b'{"cwd": "/last"}'])

    # compared as text: NaN is not itself
    assert repr(parse_lines(block)) == repr(parse_one_by_one(block.split(b"\n")))


SPLICED = (
    said("one", cwd="/src/one")[:-1] + b'{"type": "user", "cwd" : "/src/tw\\u00f6"}\n',
    b'{"type": "user", "message": {"cont' + record(cwd="/src/three"),
    b"\0" * 300 + record(cwd="/src/four"),
    b"// " + record(cwd="/src/five"),
    b"// " + record(type="relocated", relocatedCwd="/src/five"),
    b"// " + record(worktreeSession={"worktreePath": "/src/five", "originalCwd": "/src/four"}),
)


@pytest.mark.parametrize("line", SPLICED)
def test_a_directory_counts_even_if_the_line_does_not_parse(line: bytes) -> None:
    facts = facts_of(line)

    assert facts.cwds
    assert facts.records == 1
    assert all(
        cwd in {"/src/one", "/src/twö", "/src/three", "/src/four", "/src/five"}
        for cwd in facts.cwds
    )


def test_every_directory_of_spliced_records_counts() -> None:
    assert facts_of(SPLICED[0]).cwds == ["/src/one", "/src/twö"]


def test_a_directory_inside_of_a_string_does_not_count() -> None:
    quoted = json.dumps({"text": json.dumps({"cwd": "/not/here"})})

    assert facts_of(b"x" + quoted.encode() + b"\n").cwds == []


PLAN = "/home/alice/.claude/plans/shiny-puzzle.md"


def used(tool: object, path: object) -> bytes:
    """A record in which the agent uses a tool on a file."""
    part = {"type": "tool_use", "name": tool, "input": {"file_path": path}}
    return spoke(content=[{"type": "text", "text": "I do"}, part])


def test_plans_are_named_by_slugs_and_by_written_paths() -> None:
    facts = facts_of(
        record(type="progress", slug="shiny-puzzle"),
        record(type="user", slug="tidy-wind"),
        used("Write", PLAN),
        used("Edit", "C:\\Users\\a\\.claude\\plans\\other.md"),
    )

    assert facts.slugs == ["shiny-puzzle", "tidy-wind"]
    assert facts.plans == [PLAN, "C:\\Users\\a\\.claude\\plans\\other.md"]


def attached(kind: object, path: object) -> bytes:
    return record(type="attachment", attachment={"type": kind, "planFilePath": path})


@pytest.mark.parametrize(
    "kind", ["plan_mode", "plan_mode_reentry", "plan_mode_exit", "plan_file_reference"]
)
def test_a_plan_that_the_program_gave_the_session_is_its_own(kind: str) -> None:
    assert facts_of(attached(kind, PLAN)).plans == [PLAN]


@pytest.mark.parametrize(
    "line",
    [
        attached("file", PLAN),
        attached(["plan_mode"], PLAN),
        attached("plan_mode", 7),
        attached("plan_mode", "/src/repo/readme.md"),
        record(type="attachment", attachment=[PLAN]),
        used("Read", PLAN),  # what was read stands in the transcript, the plan may be another's
        used("Write", "/src/repo/plans/deep/x.md"),
        used("Write", "/src/repo/readme.md"),
        used(7, PLAN),
        used(["Write"], PLAN),
        used("Write", 7),
        spoke(content=[{"name": "Write", "input": None}, 7]),
        said(f"ls said {PLAN}"),
        record(type="user", message={"content": [{"name": "Write", "input": {"file_path": PLAN}}]}),
    ],
)
def test_a_plan_that_is_only_mentioned_does_not_belong_to_the_session(line: bytes) -> None:
    assert facts_of(line).plans == []


def named(name: str) -> bytes:
    return record(type="agent-name", agentName=name)


@pytest.mark.parametrize(
    ("lines", "agent"),
    [
        ([], ""),
        ([record(type="agent-setting", agentSetting="reviewer")], "reviewer"),
        ([named("scout")], "scout"),
        ([named("scout"), record(type="agent-setting", agentSetting="reviewer")], "reviewer"),
        # renaming a session writes its title as the agent's name too
        ([record(type="custom-title", customTitle="my work"), named("my work")], ""),
        ([named("scout"), named(" ")], "scout"),
    ],
)
def test_the_agents_name_is_the_one_that_was_chosen_for_it(lines: list[bytes], agent: str) -> None:
    assert facts_of(*lines).agent == agent


def test_a_message_of_a_teammates_agent_is_no_prompt() -> None:
    facts = Facts()
    told = '<teammate-message teammate_id="lead" color="blue">\nlook into it\n</teammate-message>'
    feed(facts, said(told) + said(f"{told}\nfix the login"))

    assert (facts.prompts, facts.title) == (1, "fix the login")


def test_a_fork_with_another_title_has_no_agent_of_the_old_one() -> None:
    """Renaming writes the title as the agent's name too, and a fork copies both."""
    facts = Facts()
    for title in ("old title", "new title"):
        feed(facts, record(type="custom-title", customTitle=title))
        if title == "old title":
            feed(facts, record(type="agent-name", agentName=title))

    assert (facts.title, facts.agent) == ("new title", "")
