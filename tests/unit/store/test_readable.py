"""Readers get from the library exactly the rows that the one rule allows, in every query."""

import ast
import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.access import AccessScope, admin_of, project_id, reading, writing
from karma_sync.domain.session.manifest import FORMAT, Manifest, SessionFacts
from karma_sync.domain.session.profile import ItemKind
from karma_sync.store import library, readable, retractions, search
from karma_sync.store.database import Database, Transaction
from tests.support.builders import examples

TEAMS, PROJECTS = ("acme", "globex"), ("example.org/x/y", "example.org/x/z")
USERS, AGENTS = ("alice.mbp", "bob.tower"), ("claude-code", "claude-code/reviewer")
ROWS = list(product(TEAMS, PROJECTS, USERS, AGENTS))
STORE = Path(library.__file__).parent

# Queries of the importer about its own items: names, revisions and hashes, never a text.
THE_IMPORTERS = "kept_body"  # it takes text out of the index that the library still has
COUNTING = {"_parents", "of_others"}  # of store/record_ids.py: they return ids that were asked for
BOOKKEEPING = {
    "is_kept",
    "origin",
    "unindexed",
    "content_size",
    "put_item",
    "drop_all_but",
    "drop_folder",
    "drop_item",
    "drop_received",
    "taken_back",
    "chunks_of",
    "verified_chunks",
    "unused_chunks",
    "revision",
    "redactor_of",
    "revisions",
    "all_revisions",
    "all_chunks",
    "arrivals",
    "lingering",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A library with one session for each team, project, user and agent."""
    found = library.open_library(tmp_path_factory.mktemp("library") / "library.db")
    with found.transaction() as tx:
        for number, row in enumerate(ROWS):
            _put(tx, number, row)
    yield found
    found.close()


def _put(tx: Transaction, number: int, row: tuple[str, str, str, str]) -> None:
    team, project, member, agent = row
    program, _, name = agent.partition("/")
    facts = SessionFacts(agent=program, agent_name=name, session_id=f"s{number}")
    manifest = Manifest(
        format=FORMAT,
        team=team,
        project=project,
        member=member,
        item=f"{number:032x}",
        kind=ItemKind.SESSION,
        revision=1,
        session=facts,
        files=(),
        redactions={},
        redactor="r",
    )
    tx.execute(
        "INSERT INTO item (folder, item, revision, team, project, member, agent, session,"
        " active, arrived, kind, body) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, 'session', ?)",
        [
            *(f"ks-c-{team}", manifest.item, team, project, member, facts.wrote, facts.session_id),
            *("2026-05-31", "2026-05-31T12:00:00+00:00", manifest.model_dump_json()),
        ],
    )


teams, projects = st.sampled_from(TEAMS), st.sampled_from(PROJECTS)
ids = st.builds(project_id, teams, projects)
scopes = st.builds(
    AccessScope,
    user=st.sampled_from((*USERS, "carol.air")),
    teams=st.frozensets(teams),
    projects=st.frozensets(ids, max_size=1),
    agents=st.none() | st.frozensets(st.sampled_from(AGENTS)),
    roles=st.frozensets(st.builds(admin_of, teams), max_size=1),
    scopes=st.frozensets(st.builds(reading, ids) | st.builds(writing, ids), max_size=2),
    only=st.none() | st.frozensets(projects),
)


@examples(300)
@given(scopes)
def test_every_query_returns_what_the_rule_allows(store: Database, scope: AccessScope) -> None:
    allowed = {number for number, row in enumerate(ROWS) if scope.can_read(*row)}
    with store.reading() as tx:
        found = {int(r.manifest.item, 16) for r in readable.sessions(tx, scope)}
        single = {
            number
            for number, row in enumerate(ROWS)
            if readable.item(tx, scope, f"ks-c-{row[0]}", f"{number:032x}")
        }
        projects_seen = readable.projects(tx, scope)
        counted = readable.counts(tx, scope)
        unindexed = readable.unindexed(tx, scope)

    assert found == allowed
    assert single == allowed
    assert projects_seen == {ROWS[number][1] for number in allowed}
    assert sum(counted.values()) == unindexed == len(allowed)
    assert counted.keys() == {ROWS[number][:3] for number in allowed}


def test_without_rights_nothing_is_read(store: Database) -> None:
    with store.reading() as tx:
        assert readable.sessions(tx, AccessScope("carol.air", frozenset(TEAMS))) == []
        assert readable.projects(tx, AccessScope("carol.air", frozenset(TEAMS))) == set()


def test_no_query_of_the_library_is_written_without_a_scope() -> None:
    """Each function of the store that reads `item` takes a scope and asks `visible` for its SQL."""
    unscoped = {
        function.name
        for path in STORE.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef) and _reads_items(function)
        if not _is_scoped(function)
    }

    assert unscoped <= BOOKKEEPING | COUNTING | {THE_IMPORTERS}


def test_only_the_importer_reads_a_manifest_without_a_scope() -> None:
    callers = {
        path.parent.name
        for path in STORE.parent.rglob("*.py")
        if THE_IMPORTERS in path.read_text() and path.parent != STORE
    }

    assert callers == {"receiving"}


def test_no_function_that_searches_is_without_a_scope() -> None:
    """Each function of `search.py` and `readable.py` that gets a transaction restricts itself."""
    found = {
        function.name: _is_scoped(function)
        for name in ("search.py", "readable.py")
        for function in ast.walk(ast.parse((STORE / name).read_text()))
        if isinstance(function, ast.FunctionDef)
        if any(arg.arg == "tx" for arg in function.args.args)
        if not _only_delegates(function)
    }

    assert len(found) > 6
    assert {name for name, is_scoped in found.items() if not is_scoped} == set()
    sources = {name: inspect.getsource(getattr(search, name)) for name in _ASK_VISIBLE}
    assert "visible(scope)" in sources["_condition"]
    assert "_condition(scope" in sources["_items"]
    assert "visible(scope, " in sources["_of_observations"]


def _only_delegates(function: ast.FunctionDef) -> bool:
    calls = {ast.unparse(n.func) for n in ast.walk(function) if isinstance(n, ast.Call)}
    return "tx.execute" not in calls


def test_what_keeps_the_books_returns_no_text() -> None:
    for name in BOOKKEEPING:
        source = inspect.getsource(getattr(library, name, None) or getattr(retractions, name))
        for table in _WITHOUT_TEXT:
            source = source.replace(f"* FROM {table}", "")
        assert "* FROM" not in source
        assert "SELECT body" not in source


def _reads_items(function: ast.FunctionDef) -> bool:
    texts = [n.value for n in ast.walk(function) if isinstance(n, ast.Constant)]
    joined = " ".join(text for text in texts if isinstance(text, str))
    words = joined.replace(",", " ").split()
    tables = {after for word, after in zip(words, words[1:], strict=False) if word in _BEFORE}
    return "SELECT" in joined and bool(tables & _TABLES)


_BEFORE = {"FROM", "JOIN"}
_WITHOUT_TEXT = ("arrival", "lingering")
_TABLES = {"item", "chunk_of", "arrival"}
_ASK_VISIBLE = ("_condition", "_items", "_of_observations")  # of store/search.py


def _is_scoped(function: ast.FunctionDef) -> bool:
    takes = any(
        arg.arg == "scope" and ast.unparse(arg.annotation or arg) for arg in function.args.args
    )
    calls = {ast.unparse(n.func) for n in ast.walk(function) if isinstance(n, ast.Call)}
    return takes and bool(calls & {"visible", *_ASK_VISIBLE})


@pytest.mark.parametrize(
    "text",
    [
        "def f(tx):\n    return tx.execute('SELECT body FROM item')",
        "def f(tx, scope):\n    return tx.execute('SELECT body FROM item')",
        "def f(tx):\n    return tx.execute('SELECT x FROM a JOIN item ON y')",
    ],
)
def test_a_query_without_a_scope_is_seen(text: str) -> None:
    [function] = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]

    assert _reads_items(function)
    assert not _is_scoped(function)
