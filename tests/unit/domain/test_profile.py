"""Profiles decide which files of a session leave, by the kind that follows from a file's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.manifest import FILE_NAME
from karma_sync.domain.session.profile import FileKind, Profile, kind_of, takes
from tests.support.builders import examples

KINDS = {
    "transcript.jsonl": FileKind.TRANSCRIPT,
    "subagents/agent-a1.jsonl": FileKind.SUBAGENT,
    "subagents/agent-a1.meta.json": FileKind.SUBAGENT_NOTE,
    "subagents/workflows/wf_1/agent-a2.jsonl": FileKind.SUBAGENT,
    "subagents/workflows/wf_1/journal.jsonl": FileKind.SUBAGENT_NOTE,
    "copies/1.jsonl": FileKind.COPY,
    "custom-title.json": FileKind.TITLE,
    "tool-results/toolu_1.txt": FileKind.TOOL_RESULT,
    "tool-results/rows.jsonl": FileKind.TOOL_RESULT,
    "workflows/wf_1.json": FileKind.WORKFLOW,
    "todos/s1-agent-s1.json": FileKind.TODO,
    "tasks/1.json": FileKind.TASK,
    "plans/shiny-puzzle.md": FileKind.PLAN,
    "file-history/0123456789abcdef@v2": FileKind.FILE_HISTORY,
    "debug/s1.txt": FileKind.DEBUG,
    "observations.jsonl": FileKind.OBSERVATIONS,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_files_kind_follows_from_its_name(name: str, kind: FileKind) -> None:
    assert FILE_NAME.fullmatch(name)
    assert kind_of(name) is kind


def test_the_names_above_cover_every_kind() -> None:
    assert set(KINDS.values()) == set(FileKind)


@examples()
@given(st.from_regex(FILE_NAME, fullmatch=True))
def test_every_file_name_that_a_receiver_accepts_has_a_kind(name: str) -> None:
    assert kind_of(name) in FileKind


TAKEN = {
    Profile.CONVERSATION: {
        FileKind.TRANSCRIPT,
        FileKind.COPY,
        FileKind.SUBAGENT,
        FileKind.OBSERVATIONS,
    },
    Profile.STANDARD: set(FileKind) - {FileKind.FILE_HISTORY, FileKind.DEBUG},
    Profile.FULL: set(FileKind),
}


@pytest.mark.parametrize("profile", Profile)
def test_a_profile_takes_its_kinds_and_no_others(profile: Profile) -> None:
    assert {kind for kind in FileKind if takes(profile, kind)} == TAKEN[profile]
