"""Sessions on this machine: which files make up a session, and what is new in growing files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.agents import growing_file
from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.gathering import feed
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.domain import limits
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.source_files import ReadFile, SourceSession
from tests.support.builders import examples, record, said, scratch


class Tree:
    """An agent's directory; files get times in the order in which they were written."""

    def __init__(self, root: Path) -> None:
        self.projects = root / "projects"
        self.source = ClaudeSource([root])
        self._now = 1_700_000_000 * 10**9

    def write(self, name: str, content: bytes = b"{}\n") -> Path:
        path = self.projects / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._now += 10**9
        os.utime(path, ns=(self._now, self._now))
        return path

    def sessions(self) -> dict[str, list[str]]:
        """The names of each session's files, the most recently written session first."""
        return {s.session_id: [f.name for f in s.files] for s in self.source.sessions()}

    def at(self, name: str) -> SourceSession | None:
        return self.source.session_at(self.projects / name)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "claude")


def legacy(parent: str) -> bytes:
    """A subagent in the old layout; its records name the parent."""
    return record(sessionId=parent, isSidechain=True)


def test_without_the_agents_directory_there_are_no_sessions(tree: Tree) -> None:
    assert tree.sessions() == {}
    assert tree.at("-src/s1.jsonl") is None


def test_a_session_is_its_transcript_and_the_files_beside_it(tree: Tree) -> None:
    for name in (
        "-src/s1.jsonl",
        "-src/s1/subagents/agent-a.jsonl",
        "-src/s1/subagents/agent-a.meta.json",
        "-src/s1/subagents/workflows/wf_1/journal.jsonl",
        "-src/s1/tool-results/toolu_1.txt",
        "-src/s1/tool-results/p1/page-1.jpg",
        "-src/s1/memory/notes.md",
        "-src/s1/other.txt",
        "-src/readme.md",
    ):
        tree.write(name)

    assert tree.sessions() == {
        "s1": [
            "transcript.jsonl",
            "subagents/agent-a.jsonl",
            "subagents/agent-a.meta.json",
            "subagents/workflows/wf_1/journal.jsonl",
            "tool-results/p1/page-1.jpg",
            "tool-results/toolu_1.txt",
        ]
    }


def test_a_subagent_in_the_old_layout_goes_with_the_parent_it_names(tree: Tree) -> None:
    for name, parent in (("agent-a", "s1"), ("agent-b", "s2"), ("agent-lost", "gone")):
        tree.write(f"-src/{name}.jsonl", legacy(parent))
    tree.write("-src/s1.jsonl")
    tree.write("-src/s2.jsonl")
    tree.write("-other/s1x.jsonl")

    assert tree.sessions() == {
        "s1x": ["transcript.jsonl"],
        "s2": ["transcript.jsonl", "subagents/agent-b.jsonl"],
        "s1": ["transcript.jsonl", "subagents/agent-a.jsonl"],
    }


@pytest.mark.parametrize("first", [b"", b"{", b"\xff\n", b"[]\n", b'{"sessionId": 7}\n'])
def test_a_subagent_that_does_not_name_its_parent_yet_is_found_when_it_does(
    tree: Tree, first: bytes
) -> None:
    tree.write("-src/s1.jsonl")
    tree.write("-src/agent-a.jsonl", first)
    assert tree.sessions() == {"s1": ["transcript.jsonl"]}

    tree.write("-src/agent-a.jsonl", legacy("s1"))

    assert tree.sessions() == {"s1": ["transcript.jsonl", "subagents/agent-a.jsonl"]}


@pytest.mark.parametrize(
    "first",
    [
        record(type="summary", summary="x", leafUuid="y"),
        b"\0" * 300 + b"\n",
        b"// exported by hand\n",
        b"[" * 200_000 + b"\n",
        b'{"type": "user", "message": "' + b"x" * 2_000_000,  # torn: another record is spliced on
    ],
)
def test_the_first_line_of_an_old_subagent_may_name_no_session(tree: Tree, first: bytes) -> None:
    tree.write("-src/s1.jsonl")
    tree.write("-src/agent-a.jsonl", first + legacy("s1") + legacy("s1"))

    assert tree.sessions() == {"s1": ["transcript.jsonl", "subagents/agent-a.jsonl"]}


def test_the_first_line_of_a_subagent_may_be_long(tree: Tree) -> None:
    tree.write("-src/s1.jsonl")
    tree.write("-src/agent-a.jsonl", record(message={"content": "x" * 6_000_000}, sessionId="s1"))

    assert tree.sessions() == {"s1": ["transcript.jsonl", "subagents/agent-a.jsonl"]}


def test_the_session_written_last_comes_first_whichever_of_its_files_it_was(tree: Tree) -> None:
    tree.write("-src/s1.jsonl")
    tree.write("-other/s2.jsonl")
    tree.write("-src/s3.jsonl")
    tree.write("-src/s1/subagents/agent-a.jsonl")

    assert list(tree.sessions()) == ["s1", "s3", "s2"]


@pytest.mark.parametrize(
    ("changed", "session"),
    [
        ("-src/s1.jsonl", "s1"),
        ("-src/s1/subagents/agent-a.jsonl", "s1"),
        ("-src/s1/tool-results/p1/page-1.jpg", "s1"),
        ("-src/agent-b.jsonl", "s2"),
        ("-src/agent-c.jsonl", None),
        ("-src/s9.jsonl", None),
        ("-src", None),
        ("-src/.jsonl", None),
        ("-src/s1.jsonl.tmp", None),
        ("../todos/s1.json", None),
    ],
)
def test_a_changed_path_below_projects_leads_to_its_session(
    tree: Tree, changed: str, session: str | None
) -> None:
    for name in ("s1.jsonl", "s2.jsonl", "s1/subagents/agent-a.jsonl"):
        tree.write(f"-src/{name}")
    tree.write("-src/agent-b.jsonl", legacy("s2"))

    found = tree.at(changed)
    assert (found.session_id if found else None) == session
    if found:
        assert found in tree.source.sessions()
    assert (
        tree.source.session_at(tree.source.representative(tree.source.roots[0] / changed)) == found
    )


def test_all_files_in_a_sessions_own_directory_are_one_change(tree: Tree) -> None:
    tree.write("-src/s1.jsonl")
    own = tree.source.roots[0] / "-src" / "s1"
    changed = [own, *(own / "tool-results" / f"toolu_{number}.txt" for number in range(1000))]

    assert {tree.source.representative(path) for path in changed} == {own}


@pytest.mark.parametrize("name", [".hidden.jsonl", "a b.jsonl", "é.jsonl", "x" * 129 + ".jsonl"])
def test_a_transcript_whose_name_is_not_a_session_id_is_ignored(tree: Tree, name: str) -> None:
    tree.write(f"-src/{name}")

    assert tree.sessions() == {}
    assert tree.at(f"-src/{name}") is None


def test_no_link_among_the_files_of_a_session_is_followed(tree: Tree, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "deep").mkdir(parents=True)
    for name in ("id.jsonl", "id.txt", "deep/id.txt"):
        (secret / name).write_bytes(legacy("s1"))
    results = tree.write("-src/s1/tool-results/plain.txt").parent
    tree.write("-src/s1.jsonl")
    tree.write("-src/s2.jsonl")
    (tree.projects / "-src" / "s3.jsonl").symlink_to(secret)
    (tree.projects / "-src" / "s4.jsonl").symlink_to(secret / "gone.jsonl")
    (tree.projects / "-src" / "s5.jsonl").symlink_to(tree.projects / "-src" / "s5.jsonl")
    (tree.projects / "-src" / "agent-a.jsonl").symlink_to(secret / "id.jsonl")
    (tree.projects / "-src" / "s1" / "subagents").symlink_to(secret)
    (results / "link.txt").symlink_to(secret / "id.txt")
    (results / "linked").symlink_to(secret / "deep")
    os.mkfifo(results / "pipe.txt")

    assert tree.sessions() == {
        "s1": ["transcript.jsonl", "tool-results/plain.txt"],
        "s2": ["transcript.jsonl"],
    }


def test_a_linked_transcript_and_its_linked_folder_are_a_session(
    tree: Tree, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    (kept / "s1" / "tool-results").mkdir(parents=True)
    (kept / "s1" / "tool-results" / "t.txt").write_text("done")
    (kept / "s1.jsonl").write_bytes(said("hello"))
    tree.write("-src/s2.jsonl")
    for name in ("s1", "s1.jsonl"):
        (tree.projects / "-src" / name).symlink_to(kept / name)

    found = tree.at("-src/s1.jsonl")

    assert found and found.place == tree.projects / "-src" / "s1.jsonl"
    assert [f.name for f in found.files] == ["transcript.jsonl", "tool-results/t.txt"]
    assert Memory().catalogue().facts(found).title == "hello"
    assert found in tree.source.sessions()


@pytest.mark.parametrize("first", ["-a", "-z"])
def test_a_project_directory_with_two_names_is_one(tree: Tree, first: str) -> None:
    tree.write("-src/s1.jsonl")
    (tree.projects / first).symlink_to(tree.projects / "-src")

    assert tree.source.directories() == [tree.projects / "-src"]
    assert [s.directory for s in tree.source.sessions()] == [tree.projects / "-src"]
    assert tree.at(f"{first}/s1.jsonl") == tree.at("-src/s1.jsonl")


def test_the_title_beside_a_transcript_leaves_and_names_a_session_without_another(
    tree: Tree,
) -> None:
    tree.write("-src/s1.jsonl", said("hello"))
    tree.write("-src/s1/custom-title.json", b'{"customTitle": "by hand", "sessionId": "s1"}')
    [found] = tree.source.sessions()

    assert [f.name for f in found.files] == ["transcript.jsonl", "custom-title.json"]
    assert Memory().catalogue().facts(found).title == "by hand"

    tree.write("-src/s1.jsonl", said("hello") + record(type="custom-title", customTitle="new"))
    assert Memory().catalogue().facts(tree.source.sessions()[0]).title == "new"


def answered(number: int) -> bytes:
    return record(type="assistant", uuid=f"a{number}", message={"content": f"answer {number}"})


TALK = [*(said(f"prompt {n}", uuid=f"p{n}") + answered(n) for n in range(6))]
STUB = record(type="custom-title", customTitle="named later", sessionId="s1") + b"".join(
    record(type=kind, sessionId="s1") for kind in ("mode", "agent-name", "last-prompt")
)


def joined(tree: Tree) -> tuple[SourceSession, Facts]:
    """The one session, which every way to it finds in the same way."""
    [found] = tree.source.sessions()
    for copy in tree.projects.glob("*/s1.jsonl"):
        assert tree.source.sessions_at(copy) == [found]
        assert ClaudeSource([tree.projects.parent]).sessions_at(copy) == [found]
    assert tree.source.of_ids({"s1"}) == [found]
    return found, Memory().catalogue().facts(found)


@pytest.mark.parametrize("newer", ["stub", "transcript"])
def test_a_stub_never_stands_for_the_conversation(tree: Tree, newer: str) -> None:
    for name in ("stub", "transcript") if newer == "transcript" else ("transcript", "stub"):
        content, place = (STUB, "-src") if name == "stub" else (b"".join(TALK), "-moved")
        tree.write(f"{place}/s1.jsonl", content)
    tree.write("-src/s1/tool-results/before.txt")
    tree.write("-moved/s1/tool-results/after.txt")

    found, facts = joined(tree)

    assert found.directory.name == "-moved"
    assert [f.name for f in found.files] == [
        "transcript.jsonl",
        "tool-results/after.txt",
        "tool-results/before.txt",
    ]
    assert (facts.prompts, facts.cwds, facts.title) == (6, ["/src/repo"], "named later")


def test_a_stub_that_is_written_again_does_not_hide_what_is_new(tree: Tree) -> None:
    tree.write("-moved/s1.jsonl", b"".join(TALK[:2]))
    tree.write("-src/s1.jsonl", STUB)
    assert joined(tree)[1].prompts == 2

    tree.write("-moved/s1.jsonl", b"".join(TALK[:3]))
    tree.write("-src/s1.jsonl", STUB + STUB)

    assert joined(tree)[1].prompts == 3


def test_an_older_copy_of_the_beginning_adds_nothing(tree: Tree) -> None:
    tree.write("-src/s1.jsonl", b"".join(TALK))
    tree.write("-backup/s1.jsonl", b"".join(TALK[:4]))

    found, facts = joined(tree)

    assert [f.name for f in found.files] == ["transcript.jsonl"]
    assert (found.directory.name, facts.prompts) == ("-src", 6)


def test_what_only_another_copy_says_is_carried_too(tree: Tree) -> None:
    tree.write("-src/s1.jsonl", b"".join(TALK))
    other = tree.write("-wt/s1.jsonl", b"".join(TALK[:2]) + said("elsewhere", "/wt", uuid="x"))

    found, facts = joined(tree)

    assert [(f.name, f.path) for f in found.files[1:]] == [("copies/1.jsonl", other)]
    assert (facts.prompts, facts.cwds) == (6, ["/src/repo", "/wt"])


def test_copies_that_went_on_apart_are_told_apart_also_after_they_agreed(tree: Tree) -> None:
    tree.write("-src/s1.jsonl", b"".join(TALK[:3]))
    tree.write("-wt/s1.jsonl", b"".join(TALK[:2]))
    assert len(joined(tree)[0].files) == 1

    for place, more in (("-src", TALK[4:]), ("-wt", TALK[3:4])):
        with (tree.projects / place / "s1.jsonl").open("ab") as out:
            out.write(b"".join(more))

    assert [f.name for f in joined(tree)[0].files] == ["transcript.jsonl", "copies/1.jsonl"]


def test_sessions_of_several_homes_are_found_with_their_files_from_each(tmp_path: Path) -> None:
    one, two = Tree(tmp_path / "one"), Tree(tmp_path / "two")
    one.write("-src/s1.jsonl", said("hello"))
    two.write("-src/s2.jsonl", said("hello"))
    two.write("-src/s1.jsonl", STUB)
    two.write("../todos/s1-agent-s1.json", b"[1]")
    both = ClaudeSource([tmp_path / "one", tmp_path / "two"])

    found = {s.session_id: [f.name for f in s.files] for s in both.sessions()}

    assert found == {
        "s1": ["transcript.jsonl", "todos/s1-agent-s1.json"],
        "s2": ["transcript.jsonl"],
    }
    for path in (two.projects / "-src/s1.jsonl", two.projects.parent / "todos/s1-agent-s1.json"):
        assert [s.session_id for s in both.sessions_at(path)] == ["s1"]
    assert both.is_complete
    assert not ClaudeSource([tmp_path / "one", tmp_path / "gone"]).is_complete


def test_a_copy_that_cannot_be_read_is_not_passed_over(tree: Tree) -> None:
    tree.write("-src/s1.jsonl", b"".join(TALK))
    tree.write("-wt/s1.jsonl", b"x" * (limits.LINE_BYTES + 1))

    [found] = tree.source.sessions()

    with pytest.raises(OSError, match="a line is longer"):
        Memory().catalogue().facts(found)


LINES = [said(f"prompt {n} " + "x" * 300) for n in range(40)]


class Memory(dict[str, ReadFile]):
    """The values that a catalogue keeps across restarts."""

    def save(self, file: ReadFile) -> None:
        self[file.path] = ReadFile.from_json(file.to_json())

    def catalogue(self) -> Catalogue:
        return Catalogue(lambda: list(self.values()), self.save)


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Change bytes in the middle of a file without changing its size and time."""
    before = path.stat()
    with path.open("r+b") as out:
        out.seek(at)
        out.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_only_what_is_new_is_read_even_after_a_restart(tree: Tree) -> None:
    memory = Memory()
    path = tree.write("-src/s1.jsonl", b"".join(LINES))
    catalogue = memory.catalogue()
    [session] = tree.source.sessions()
    assert catalogue.facts(session).prompts == 40

    # whoever read this part again would find nothing in it
    overwrite(path, 2000, b"\n" * 3000)
    assert catalogue.facts(session).prompts == 40
    assert memory.catalogue().facts(session).prompts == 40
    with path.open("ab") as out:
        out.write(said("one more", cwd="/src/other"))
    [grown] = tree.source.sessions()
    for each in (catalogue, memory.catalogue()):
        assert each.facts(grown).prompts == 41
        assert each.facts(grown).cwds == ["/src/repo", "/src/other"]


def test_interrupted_reading_goes_on_where_it_stopped(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STEP_BYTES", 9000)
    monkeypatch.setattr(growing_file, "BLOCK_BYTES", 1000)
    memory = Memory()
    path = tree.write("-src/s1.jsonl", b"".join(LINES))
    [session] = tree.source.sessions()

    def save_and_die(file: ReadFile) -> None:
        memory.save(file)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Catalogue(list, save_and_die).facts(session)
    assert 0 < memory[str(path)].facts.prompts < 40

    overwrite(path, 2000, b"\n" * 2000)  # whoever read this part again would find nothing in it
    assert memory.catalogue().facts(session).prompts == 40
    assert memory[str(path)].position.is_current(session.transcript.stat)


def test_a_rewritten_transcript_is_read_from_the_beginning(tree: Tree) -> None:
    catalogue = Memory().catalogue()
    tree.write("-src/s1.jsonl", b"".join(LINES))
    assert catalogue.facts(tree.source.sessions()[0]).prompts == 40

    tree.write("-src/s1.jsonl", LINES[3])

    facts = catalogue.facts(tree.source.sessions()[0])
    assert (facts.prompts, facts.first_prompt[:8]) == (1, "prompt 3")


def test_directories_of_subagents_count_but_their_texts_do_not(tree: Tree) -> None:
    tree.write("-src/s1.jsonl", said("mine"))
    tree.write("-src/s1/subagents/agent-a.jsonl", said("theirs", cwd="/src/other"))
    tree.write("-src/s1/tool-results/t.txt", b'{"cwd": "/not/a/record"}\n')

    facts = Memory().catalogue().facts(tree.source.sessions()[0])
    assert facts.cwds == ["/src/repo", "/src/other"]
    assert (facts.prompts, facts.title) == (1, "mine")


def test_an_incomplete_last_line_counts_and_may_still_change(tree: Tree) -> None:
    catalogue = Memory().catalogue()
    tree.write("-src/s1.jsonl", said("one") + said("two", cwd="/torn")[:-1])
    first = catalogue.facts(tree.source.sessions()[0])
    assert (first.prompts, first.cwds) == (2, ["/src/repo", "/torn"])

    tree.write("-src/s1.jsonl", said("one") + said("two", cwd="/torn")[:-1] + b"spliced\n")

    second = catalogue.facts(tree.source.sessions()[0])
    assert (second.prompts, second.records) == (1, 2)


@examples(40)
@given(st.lists(st.sampled_from([*LINES[:4], b"no json\n", b"\n"]), max_size=12), st.data())
def test_a_growing_transcript_gives_the_same_facts_as_a_complete_one(
    lines: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    memory = Memory()
    catalogue = memory.catalogue()
    with scratch() as root:
        tree = Tree(root)
        for cut in [*cuts, len(content)]:
            tree.write("-src/s1.jsonl", content[:cut])
            if data.draw(st.booleans()):
                catalogue = memory.catalogue()  # begun again
            grown = catalogue.facts(tree.source.sessions()[0])
        afresh = Memory().catalogue().facts(tree.source.sessions()[0])

    at_once = Facts()
    feed(at_once, content)
    assert grown == afresh == at_once
