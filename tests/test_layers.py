"""The layout holds: who may import whom, which package lives where, how long a file may be."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Lowest first. An import goes to a lower rank only: not up, and not between two of one line.
RANKS = (
    {"errors"},
    {"paths"},
    {"domain"},
    {"settings", "store", "syncthing", "metadata", "sources", "redact"},
    {"flow"},
    {"service"},
    {"app"},
    {"daemon"},
    {"cli", "mcp", "web"},
    {"__main__"},
)
RANK = {part: number for number, parts in enumerate(RANKS) for part in parts}

# Each of these packages has one place that knows it.
HOMES = {
    "requests": "karma_sync.syncthing.client",
    "sqlite3": "karma_sync.store",
    "watchdog": "karma_sync.flow",
    "apscheduler": "karma_sync.daemon",
    "typer": "karma_sync.cli",
}

STEPS = {"watch", "package", "outbox", "inbox", "verify", "importer"}

# Only here may an import wait until it is needed: start-up time asks for it.
LATE_IMPORTS = ("karma_sync.cli", "karma_sync.app", "karma_sync.__main__")

MOST_LINES = 300


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name and its text."""

    name: str
    text: str

    @property
    def part(self) -> str:
        """What of the layout it belongs to: `flow` for karma_sync.flow.watch."""
        return self.name.split(".")[1] if "." in self.name else ""


@dataclass(frozen=True)
class Import:
    """One imported name, in full; of `from a import b` both a and a.b, as b may be a module."""

    module: Module
    line: int
    target: str
    relative: bool
    late: bool

    def __str__(self) -> str:
        return f"{self.module.name}:{self.line} imports {self.target}"


def modules() -> list[Module]:
    """Every module of karma_sync, by name."""
    found = []
    for path in sorted((ROOT / "karma_sync").rglob("*.py")):
        words = list(path.relative_to(ROOT).with_suffix("").parts)
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        found.append(Module(name, path.read_text(encoding="utf-8")))
    return found


def imports(module: Module) -> list[Import]:
    """Every import in the module, wherever it stands, by line."""
    tree = ast.parse(module.text)
    on_top = set(statements_on_top(tree))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            targets = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        else:
            continue
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        late = node not in on_top
        found += [Import(module, node.lineno, target, relative, late) for target in targets]
    return sorted(found, key=lambda each: each.line)


def statements_on_top(tree: ast.Module) -> Iterator[ast.stmt]:
    """The docstring and the imports that a file begins with, those for types only included."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.body
        elif isinstance(node, ast.Import | ast.ImportFrom) or is_docstring(node):
            yield node
        else:
            return


def is_docstring(node: ast.stmt) -> bool:
    """Whether the statement is nothing but a text."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_within(name: str, package: str) -> bool:
    """Whether the dotted name is the package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def out_of_rank(module: Module) -> list[Import]:
    """Imports of the project's own parts that do not go to a lower rank."""
    own = RANK.get(module.part, -1)  # karma_sync itself is below them all
    targets = [(each, each.target.split(".")) for each in imports(module)]
    return [
        each
        for each, words in targets
        if words[0] == "karma_sync" and len(words) > 1 and words[1] in RANK
        if words[1] != module.part and RANK[words[1]] >= own
    ]


def away_from_home(module: Module) -> list[Import]:
    """Imports of a package outside the one place that may know it."""
    return [
        each
        for each in imports(module)
        for package, home in HOMES.items()
        if is_within(each.target, package) and not is_within(module.name, home)
    ]


def late_imports(module: Module) -> list[Import]:
    """Imports below the top of the file."""
    if any(is_within(module.name, package) for package in LATE_IMPORTS):
        return []
    return [each for each in imports(module) if each.late]


def step_to_step(module: Module) -> list[Import]:
    """Imports from one step of the flow in another."""
    steps = {f"karma_sync.flow.{step}" for step in STEPS}
    own = {step for step in steps if is_within(module.name, step)}
    return [
        each
        for each in imports(module)
        if own and any(is_within(each.target, step) for step in steps - own)
    ]


def relative_imports(module: Module) -> list[Import]:
    """Imports that name their target by dots."""
    return [each for each in imports(module) if each.relative]


def offences(found: list[list[Import]]) -> str:
    """All of them as text, one a line; empty if there are none."""
    return "\n".join(sorted({str(each) for some in found for each in some}))


def test_every_part_of_the_program_has_a_rank() -> None:
    assert {module.part for module in modules()} - {""} <= set(RANK)


def test_imports_go_to_a_lower_rank_only() -> None:
    assert offences([out_of_rank(module) for module in modules()]) == ""


def test_each_outside_package_is_known_in_one_place_only() -> None:
    assert offences([away_from_home(module) for module in modules()]) == ""


def test_imports_stand_at_the_top_of_a_file() -> None:
    assert offences([late_imports(module) for module in modules()]) == ""


def test_no_step_of_the_flow_imports_another() -> None:
    assert offences([step_to_step(module) for module in modules()]) == ""


def test_no_import_is_relative() -> None:
    assert offences([relative_imports(module) for module in modules()]) == ""


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {module.name: len(module.text.splitlines()) for module in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.domain.team", "from karma_sync.store import teams"),
        ("karma_sync.domain.team", "from karma_sync import settings"),
        ("karma_sync.store.teams", "import karma_sync.syncthing.client"),
        ("karma_sync.errors", "from karma_sync.paths import home"),
        ("karma_sync.mcp.server", "from karma_sync.cli import main"),
        ("karma_sync.service.read", "def f():\n    from karma_sync.app import App"),
        ("karma_sync", "from karma_sync import errors"),
    ],
)
def test_an_import_up_or_sideways_is_seen(name: str, text: str) -> None:
    assert out_of_rank(Module(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.store.teams", "from karma_sync.domain.team import Team"),
        ("karma_sync.store.teams", "from karma_sync.store import schema"),
        ("karma_sync.paths", "from karma_sync.errors import BadInput"),
        ("karma_sync.cli.main", "from karma_sync import __version__"),
        ("karma_sync.__main__", "from karma_sync.cli.main import run"),
    ],
)
def test_an_import_down_or_inside_one_part_is_fine(name: str, text: str) -> None:
    assert not out_of_rank(Module(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.syncthing.wire", "import requests"),
        ("karma_sync.service.teams", "from sqlite3 import Connection"),
        ("karma_sync.app", "from watchdog.observers import Observer"),
        ("karma_sync.flow.watch", "import apscheduler.schedulers.background as background"),
        ("karma_sync.daemon", "import typer"),
    ],
)
def test_a_package_away_from_its_home_is_seen(name: str, text: str) -> None:
    assert away_from_home(Module(name, text))


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    import json",
        "X = 1\nimport json",
        "try:\n    import json\nexcept ImportError:\n    pass",
    ],
)
def test_a_late_import_is_seen_but_for_commands_and_wiring(text: str) -> None:
    assert late_imports(Module("karma_sync.flow.watch", text))
    assert not late_imports(Module("karma_sync.cli.team", text))
    assert not late_imports(Module("karma_sync.app", text))


def test_an_import_for_types_only_is_still_an_import_at_the_top() -> None:
    text = '"""Text."""\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json'
    assert not late_imports(Module("karma_sync.flow.watch", text))


@pytest.mark.parametrize(
    "text",
    ["from karma_sync.flow import outbox", "from karma_sync.flow.outbox import Outbox"],
)
def test_a_step_that_imports_a_step_is_seen(text: str) -> None:
    assert step_to_step(Module("karma_sync.flow.watch", text))
    assert not step_to_step(Module("karma_sync.flow.outbox", text))
    assert not step_to_step(Module("karma_sync.flow.chunks", text))


def test_a_relative_import_is_seen() -> None:
    assert relative_imports(Module("karma_sync.flow.watch", "from . import outbox"))
