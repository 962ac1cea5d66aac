"""The paths at which the agent looks for a session's files: names as it makes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents.claude.layout import directory_name, place_of


@pytest.mark.parametrize(
    ("cwd", "name"),
    [
        ("/home/a/work/web.app", "-home-a-work-web-app"),
        ("/home/a/My Project_2", "-home-a-My-Project-2"),
        ("C:\\src\\web", "C--src-web"),
        ("/home/ä/日", "-home----"),
        ("/home/🚀", "-home---"),
    ],
)
def test_a_project_directory_is_named_after_the_working_directory(cwd: str, name: str) -> None:
    assert directory_name(cwd) == name


def test_a_long_name_is_cut_and_a_hash_follows() -> None:
    long = "/" + "a" * 250
    name = directory_name(long)

    assert name[:200] == "-" + "a" * 199
    assert name[200] == "-"
    assert 0 < len(name[201:]) <= 7
    assert name[201:].isalnum()
    assert directory_name(long + "b") != name
    assert "-" not in directory_name("/" + "b" * 250)[201:]


@given(st.text())
def test_a_name_leads_nowhere_else(cwd: str) -> None:
    assert set(directory_name(cwd)) <= set(
        "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("transcript.jsonl", "projects/-src-web/s1.jsonl"),
        ("custom-title.json", "projects/-src-web/s1/custom-title.json"),
        ("subagents/agent-1.jsonl", "projects/-src-web/s1/subagents/agent-1.jsonl"),
        ("tool-results/x.txt", "projects/-src-web/s1/tool-results/x.txt"),
        ("todos/s1-agent-s1.json", "todos/s1-agent-s1.json"),
        ("tasks/1.json", "tasks/s1/1.json"),
        ("plans/slug.md", "plans/slug.md"),
        ("file-history/a@v1", "file-history/s1/a@v1"),
        ("debug/s1.txt", "debug/s1.txt"),
    ],
)
def test_files_lie_where_the_agent_has_them(name: str, place: str) -> None:
    assert str(place_of(name, "s1", "/src/web")) == place
