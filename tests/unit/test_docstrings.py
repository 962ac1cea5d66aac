"""Docstrings name the thing that they describe: no reader has to guess what "What leaves" is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("karma_sync", "tests", "benchmarks", "scripts")

# A clause that begins so has no noun for the thing: "What leaves of a record.", "Those that stay."
RIDDLE = re.compile(r"\s*(What|Who|Whose|Why|Such|Those)\b")


def riddles(text: str) -> Iterator[int]:
    """The lines of a module whose docstring begins with a word that names nothing.

    Any string that is a statement counts: one below a constant documents it.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if isinstance(value, str) and RIDDLE.match(value):
                yield node.lineno


def test_no_docstring_leaves_its_reader_to_guess_the_thing() -> None:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in paths
        for line in riddles(path.read_text(encoding="utf-8"))
    ]

    assert found == []
    assert len(paths) > 500


@pytest.mark.parametrize(
    "text",
    [
        '"""What a module is for."""\n',
        'class Chosen:\n    """What leaves of a record."""\n',
        'def f():\n    r"""\n    Those that stay.\n    """\n',
        'PLACE = 1\n"""Who stands there."""\n',
    ],
)
def test_a_docstring_that_names_nothing_is_found(text: str) -> None:
    assert list(riddles(text)) != []


def test_a_docstring_with_a_noun_or_a_verb_is_none() -> None:
    text = '"""Whatever happens, say what it is."""\nnamed = "What leaves"\n'
    assert list(riddles(text)) == []
