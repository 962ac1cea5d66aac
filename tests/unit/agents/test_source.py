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
        self.source = ClaudeSource(root)
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
    assert tree.source.session_at(tree.source.representative(tree.source.root / changed)) == found


def test_all_files_in_a_sessions_own_directory_are_one_change(tree: Tree) -> None:
    tree.write("-src/s1.jsonl")
    own = tree.source.root / "-src" / "s1"
    changed = [own, *(own / "tool-results" / f"toolu_{number}.txt" for number in range(1000))]

    assert {tree.source.representative(path) for path in changed} == {own}


@pytest.mark.parametrize("name", [".hidden.jsonl", "a b.jsonl", "é.jsonl", "x" * 129 + ".jsonl"])
def test_a_transcript_whose_name_is_not_a_session_id_is_ignored(tree: Tree, name: str) -> None:
    tree.write(f"-src/{name}")

    assert tree.sessions() == {}
    assert tree.at(f"-src/{name}") is None


def test_no_link_is_followed_out_of_the_agents_directory(tree: Tree, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (secret / "deep").mkdir(parents=True)
    for name in ("id.jsonl", "id.txt", "deep/id.txt"):
        (secret / name).write_bytes(legacy("s1"))
    results = tree.write("-src/s1/tool-results/plain.txt").parent
    tree.write("-src/s1.jsonl")
    tree.write("-src/s2.jsonl")
    (tree.projects / "-src" / "s3.jsonl").symlink_to(secret / "id.jsonl")
    (tree.projects / "-src" / "agent-a.jsonl").symlink_to(secret / "id.jsonl")
    (tree.projects / "-src" / "s1" / "subagents").symlink_to(secret)
    (results / "link.txt").symlink_to(secret / "id.txt")
    (results / "linked").symlink_to(secret / "deep")
    os.mkfifo(results / "pipe.txt")

    assert tree.sessions() == {
        "s1": ["transcript.jsonl", "tool-results/plain.txt"],
        "s2": ["transcript.jsonl"],
    }


def test_a_link_in_the_place_of_a_sessions_own_folder_is_not_followed(
    tree: Tree, tmp_path: Path
) -> None:
    (tmp_path / "secret" / "tool-results").mkdir(parents=True)
    (tmp_path / "secret" / "tool-results" / "id.txt").write_text("private")
    tree.write("-src/s1.jsonl")
    (tree.projects / "-src" / "s1").symlink_to(tmp_path / "secret")

    assert tree.sessions() == {"s1": ["transcript.jsonl"]}


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
