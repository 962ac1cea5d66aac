"""The layout holds: who may import whom, which package lives where, how long a file may be."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Lowest first. An import goes to a lower rank only: not up, and not between two of one line.
RANKS = (
    ("errors", "runtime.timing", "runtime.second_process"),
    ("files",),
    ("paths",),
    (
        "domain.ids",
        "domain.limits",
        "domain.text",
        "domain.timespan",
        "domain.access",
        "domain.document",
        "domain.events",
        "domain.value",
    ),
    ("domain.session",),
    ("domain.team",),
    ("domain.mesh",),
    ("settings_errors", "signing"),
    ("settings",),
    ("store", "syncthing", "git", "agents", "redact.matching"),
    ("redact.finders",),
    ("redact.rules",),
    ("redact",),
    ("redact.custom",),
    ("runtime", "channel"),
    ("team.documents",),
    ("team",),
    ("receiving", "library", "sending.packaging", "sending.ledger"),
    ("sending", "archive"),
    ("mesh",),
    ("mesh.health",),
    ("service",),
    ("service.sessions",),
    ("app",),
    ("mcp",),
    ("daemon",),
    ("demo",),
    ("cli.ask", "cli.completion", "cli.hidden_code", "cli.markdown"),
    ("cli.screen", "cli.options"),
    ("cli.output", "cli.progress", "cli.pager"),
    ("cli.notices", "cli.frame", "cli.beginning", "cli.project_argument"),
    ("cli.consent", "cli.observed"),
    ("cli.widening", "cli.consent_all"),
    (
        "cli.team",
        "cli.project",
        "cli.session",
        "cli.daemon",
        "cli.library",
        "cli.observation",
        "cli.agent",
        "web",
    ),
    ("cli.commands",),  # loads the commands by name
    ("cli.main",),
    ("__main__",),
)
RANK = {room: number for number, rooms in enumerate(RANKS) for room in rooms}

# Each of these packages has the places that know it.
HOMES = {
    "requests": ("karma_sync.syncthing.client",),
    "sqlite3": ("karma_sync.store",),
    "watchdog": (
        "karma_sync.sending.directory_watcher",
        "karma_sync.sending.watcher",
        "karma_sync.sending.watching",
    ),
    "apscheduler": ("karma_sync.daemon.main",),
    "typer": ("karma_sync.cli", "karma_sync.demo"),
    "mcp": ("karma_sync.mcp.server",),
    "mcp_types": ("karma_sync.mcp.server",),
}

# The steps of the data's path: one place ties them, none imports another.
STEPS = {
    "sending.watcher",
    "sending.packaging.packager",
    "channel.outbox",
    "channel.inbox",
    "channel.verify",
    "receiving.importer",
}

# What people and agents see calls use cases and the reader: it never touches these rooms.
FACES = ("cli", "mcp", "web")
BEHIND = ("store", "syncthing", "channel")

# The archive holds every own session with nothing cut. Only these know it; the rooms that make,
# send and mend outboxes do not, and it knows none of them.
ARCHIVE = "karma_sync.archive"
ARCHIVE_KNOWN_BY = ("archive", "service", "daemon", "demo")
ARCHIVE_KNOWN_IN = ("karma_sync.app",)
ARCHIVE_KNOWS = (
    *("errors", "files", "settings", "domain", "agents", "runtime.timing", "runtime.worker"),
    *(
        "store.database",
        "store.read_only",
        "store.search_index",
        "store.activity",
        "store.record_ids",
    ),
)

# Only here may an import wait until it is needed: start-up time asks for it.
LATE_IMPORTS = (
    *("karma_sync.cli", "karma_sync.demo", "karma_sync.app", "karma_sync.__main__"),
    # what every command needs, and what `status` reads only where there is some of it
    *("karma_sync.files", "karma_sync.paths", "karma_sync.settings", "karma_sync.daemon.lock"),
    # only `init` makes certificates, and the daemon should not need memory for that
    "karma_sync.syncthing.home",
    "karma_sync.team.documents.stored",
    *("karma_sync.sending.ledger.closed_channels", "karma_sync.store.readable"),
)

MOST_LINES = 400

# Records that a module fills or changes field by field: plain data, no collaborator of anybody's.
RECORDS = {
    "karma_sync.cli.markdown": {"token"},  # of the parser
    "karma_sync.library.documents.page": {"token"},  # of the parser
    "karma_sync.cli.commands": {"command", "param"},  # click's
    "karma_sync.cli.output": {"sys"},  # a stream that the caller closed
    "karma_sync.cli.session.browser": {"field", "picker"},  # textual's widgets
    "karma_sync.agents.claude.conversation": {"answer", "prompt"},  # a message being read
    "karma_sync.agents.claude.fork_plan": {"node", "read"},  # of the transcript that is decided
    "karma_sync.agents.claude.gathering": {"facts"},
    "karma_sync.agents.claude.records": {"record", "message", "part"},  # raw fields, put in shape
    "karma_sync.channel.own_items": {"facts"},
    "karma_sync.daemon.log_setup": {"record", "sys", "threading"},  # logging's, Python's own hooks
    "karma_sync.library.regex_search": {"options", "scan"},  # RE2's; one search while it goes on
    "karma_sync.mesh.health.recovery": {"watch"},
    "karma_sync.receiving.receiver": {"watched", "self._channels"},
    "karma_sync.redact.matching.judged_value": {"made"},  # by __new__, as bytes need it
    "karma_sync.redact.matching.patterns": {"options"},  # RE2's
    "karma_sync.syncthing.greeting": {"context"},  # of ssl, which has no other way
    "karma_sync.sending.packaging.packager": {"files"},
    "karma_sync.sending.scheduler": {"due", "self._due"},
    "karma_sync.store.usage": {"cursor"},  # SQLite's
    "karma_sync.store.database": {"connection", "self._local"},  # SQLite's; one a thread
    "karma_sync.syncthing.client": {"session", "self._local"},  # requests'; one a thread
    "karma_sync.syncthing.home": {
        "user",
        "password",
        "key",
        "_child",
        "element",
    },  # elements of config.xml
}


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name and its text."""

    name: str
    text: str

    @property
    def room(self) -> str:
        """The room it stands in: `mesh.health` for karma_sync.mesh.health.checker."""
        return room_of(self.name)


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


@cache
def modules() -> list[Module]:
    """Every module of karma_sync, by name."""
    found = []
    for path in sorted((ROOT / "karma_sync").rglob("*.py")):
        words = list(path.relative_to(ROOT).with_suffix("").parts)
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        found.append(Module(name, path.read_text(encoding="utf-8")))
    return found


@cache
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


def room_of(name: str) -> str:
    """The narrowest room of a dotted name: `mesh` for karma_sync.mesh.quotas; "" for none."""
    words = name.split(".")[1:]
    rooms = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((room for room in rooms if room in RANK), "")


def out_of_rank(module: Module) -> list[Import]:
    """Imports of the project's own rooms that do not go to a lower rank."""
    own = RANK.get(module.room, -1)  # karma_sync itself is below them all
    targets = [(each, room_of(each.target)) for each in imports(module)]
    return [
        each
        for each, room in targets
        if is_within(each.target, "karma_sync") and room
        if room != module.room and RANK[room] >= own
    ]


def away_from_home(module: Module) -> list[Import]:
    """Imports of a package outside the places that may know it."""
    return [
        each
        for each in imports(module)
        for package, homes in HOMES.items()
        if is_within(each.target, package)
        if not any(is_within(module.name, home) for home in homes)
    ]


def late_imports(module: Module) -> list[Import]:
    """Imports below the top of the file."""
    if any(is_within(module.name, package) for package in LATE_IMPORTS):
        return []
    return [each for each in imports(module) if each.late]


def step_to_step(module: Module) -> list[Import]:
    """Imports from one step of the flow in another."""
    steps = {f"karma_sync.{step}" for step in STEPS}
    own = {step for step in steps if is_within(module.name, step)}
    return [
        each
        for each in imports(module)
        if own and any(is_within(each.target, step) for step in steps - own)
    ]


def past_the_use_cases(module: Module) -> list[Import]:
    """Imports of a room below the use cases by a face of the program."""
    if not any(is_within(module.name, f"karma_sync.{face}") for face in FACES):
        return []
    return [
        each
        for each in imports(module)
        if any(is_within(each.target, f"karma_sync.{room}") for room in BEHIND)
    ]


def own_transactions(module: Module) -> list[str]:
    """The places where a face of the program opens a transaction itself."""
    if not any(is_within(module.name, f"karma_sync.{face}") for face in FACES):
        return []
    calls = (node for node in ast.walk(ast.parse(module.text)) if isinstance(node, ast.Call))
    return [
        f"{module.name}:{call.lineno}"
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"reading", "transaction"}
    ]


def knows_the_archive(module: Module) -> list[Import]:
    """Imports of the archive by a module that must not know it; those for types count too."""
    is_allowed = module.name in ARCHIVE_KNOWN_IN or any(
        is_within(module.name, f"karma_sync.{room}") for room in ARCHIVE_KNOWN_BY
    )
    if is_allowed:
        return []
    return [each for each in imports(module) if is_within(each.target, ARCHIVE)]


def known_to_the_archive(module: Module) -> list[Import]:
    """Imports by the archive of what it must not know."""
    if not is_within(module.name, ARCHIVE):
        return []
    allowed = (ARCHIVE, *(f"karma_sync.{room}" for room in ARCHIVE_KNOWS))
    parents = {parent for name in allowed for parent in parents_of(name)}
    return [
        each
        for each in imports(module)
        if is_within(each.target, "karma_sync") and each.target not in parents
        if not any(is_within(each.target, name) for name in allowed)
    ]


def parents_of(name: str) -> list[str]:
    """The packages in which a module lies."""
    words = name.split(".")
    return [".".join(words[:count]) for count in range(1, len(words))]


def relative_imports(module: Module) -> list[Import]:
    """Imports that name their target by dots."""
    return [each for each in imports(module) if each.relative]


def assigned_from_outside(module: Module) -> list[str]:
    """Statements that set an attribute of an object other than `self` or an error on its way up."""
    found = []
    known = {"self", "error", *RECORDS.get(module.name, ())}
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            owner = node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
            owner = node.args[0]
        else:
            continue
        if owner_of(owner) not in known:
            found.append(f"{module.name}:{node.lineno} sets {ast.unparse(node)}")
    return found


def owner_of(node: ast.expr) -> str:
    """The name of the object whose attribute is set, without indices and calls."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return ast.unparse(node)


def twice_named(found: list[Module]) -> dict[str, list[str]]:
    """Public classes that several modules define, each with these modules."""
    homes: dict[str, list[str]] = {}
    for module in found:
        for node in ast.parse(module.text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module.name)
    return {name: where for name, where in homes.items() if len(where) > 1}


def passed_on(found: list[Module]) -> list[str]:
    """Imports of a name from a module that only imports it, not from where it is defined."""
    foreign = {
        (module.name, name): origin
        for module in found
        for origin, name, known_as in taken_names(statements_on_top(ast.parse(module.text)))
        if name == known_as
    }
    return [
        f"{module.name} takes {name} from {origin}, which has it from {foreign[origin, name]}"
        for module in found
        for origin, name, _ in taken_names(ast.walk(ast.parse(module.text)))
        if (origin, name) in foreign
    ]


def taken_names(nodes: Iterable[ast.AST]) -> list[tuple[str, str, str]]:
    """The project's own module, the name in it, and the name here, of each `from … import …`."""
    return [
        (node.module, alias.name, alias.asname or alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        if node.module and is_within(node.module, "karma_sync")
        for alias in node.names
    ]


def offences(found: list[list[Import]]) -> str:
    """All of them as text, one a line; empty if there are none."""
    return "\n".join(sorted({str(each) for some in found for each in some}))


def test_every_module_stands_in_a_room_that_has_a_rank() -> None:
    without = {m.name for m in modules() if m.text and not m.room and m.name != "karma_sync"}

    assert without == set()


def test_imports_go_to_a_lower_rank_only() -> None:
    assert offences([out_of_rank(module) for module in modules()]) == ""


def test_each_outside_package_is_known_in_one_place_only() -> None:
    assert offences([away_from_home(module) for module in modules()]) == ""


def test_imports_stand_at_the_top_of_a_file() -> None:
    assert offences([late_imports(module) for module in modules()]) == ""


def test_no_step_of_the_flow_imports_another() -> None:
    assert offences([step_to_step(module) for module in modules()]) == ""


def test_commands_touch_no_store_no_syncthing_and_no_channel() -> None:
    assert offences([past_the_use_cases(module) for module in modules()]) == ""


def test_commands_open_no_transaction() -> None:
    assert [each for module in modules() for each in own_transactions(module)] == []


def test_only_daemon_service_app_and_demo_know_the_archive() -> None:
    assert offences([knows_the_archive(module) for module in modules()]) == ""


def test_the_archive_knows_no_room_that_makes_sends_or_reads_channels() -> None:
    assert offences([known_to_the_archive(module) for module in modules()]) == ""


def test_no_import_is_relative() -> None:
    assert offences([relative_imports(module) for module in modules()]) == ""


def test_nothing_is_hung_onto_an_object_that_is_made() -> None:
    assert [each for module in modules() for each in assigned_from_outside(module)] == []


def test_no_public_class_name_is_defined_twice() -> None:
    assert twice_named(modules()) == {}


def test_a_name_is_imported_from_where_it_is_defined() -> None:
    assert passed_on(modules()) == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {module.name: len(module.text.splitlines()) for module in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.domain.team.team", "from karma_sync.store import state"),
        ("karma_sync.domain.team.team", "from karma_sync import settings"),
        ("karma_sync.store.state", "import karma_sync.syncthing.client"),
        ("karma_sync.files", "from karma_sync.paths import Paths"),
        ("karma_sync.mesh.reconciler", "from karma_sync.mesh.health import checker"),
        ("karma_sync.mcp.server", "from karma_sync.cli.team import setup"),
        ("karma_sync.library.reader", "def f():\n    from karma_sync.app import App"),
        ("karma_sync", "from karma_sync import errors"),
    ],
)
def test_an_import_up_or_sideways_is_seen(name: str, text: str) -> None:
    assert out_of_rank(Module(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.store.state", "from karma_sync.domain.team.team import Team"),
        ("karma_sync.store.state", "from karma_sync.store import table"),
        ("karma_sync.files", "from karma_sync.errors import BadInput"),
        ("karma_sync.mesh.health.checker", "from karma_sync.mesh import transfers"),
        ("karma_sync.cli.main", "from karma_sync import __version__"),
        ("karma_sync.__main__", "from karma_sync.cli.main import run"),
    ],
)
def test_an_import_down_or_inside_one_room_is_fine(name: str, text: str) -> None:
    assert not out_of_rank(Module(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("karma_sync.syncthing.wire", "import requests"),
        ("karma_sync.service.teams", "from sqlite3 import Connection"),
        ("karma_sync.app", "from watchdog.observers import Observer"),
        ("karma_sync.sending.sender", "import apscheduler.schedulers.background as background"),
        ("karma_sync.daemon.main", "import typer"),
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
    assert late_imports(Module("karma_sync.sending.watcher", text))
    assert not late_imports(Module("karma_sync.cli.team.team", text))
    assert not late_imports(Module("karma_sync.app", text))


def test_an_import_for_types_only_is_still_an_import_at_the_top() -> None:
    text = '"""Text."""\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json'
    assert not late_imports(Module("karma_sync.sending.watcher", text))


@pytest.mark.parametrize(
    "text",
    ["from karma_sync.channel import outbox", "from karma_sync.channel.outbox import Outbox"],
)
def test_a_step_that_imports_a_step_is_seen(text: str) -> None:
    assert step_to_step(Module("karma_sync.sending.watcher", text))
    assert not step_to_step(Module("karma_sync.channel.outbox", text))
    assert not step_to_step(Module("karma_sync.channel.staging", text))


@pytest.mark.parametrize(
    "text",
    [
        "from karma_sync.store import state",
        "def f():\n    from karma_sync.channel.inbox import Inbox",
    ],
)
def test_a_command_that_goes_past_the_use_cases_is_seen(text: str) -> None:
    assert past_the_use_cases(Module("karma_sync.cli.team.inbox", text))
    assert not past_the_use_cases(Module("karma_sync.service.teams", text))


def test_a_command_that_opens_a_transaction_is_seen() -> None:
    text = "def f(app):\n    with app.state.reading() as tx: pass"
    assert own_transactions(Module("karma_sync.cli.team.inbox", text))
    assert not own_transactions(Module("karma_sync.service.teams", text))


@pytest.mark.parametrize(
    "name",
    [
        "karma_sync.sending.packaging.packager",
        "karma_sync.mesh.health.integrity",
        "karma_sync.channel.outbox",
        "karma_sync.library.reader",
        "karma_sync.cli.session.show",
        "karma_sync.paths",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "from karma_sync.archive.reader import ArchiveReader",
        "from karma_sync import archive",
        "if TYPE_CHECKING:\n    import karma_sync.archive.store",
    ],
)
def test_who_must_not_know_the_archive_is_seen(name: str, text: str) -> None:
    assert knows_the_archive(Module(name, text))
    assert not knows_the_archive(Module("karma_sync.service.sessions.archive", text))


@pytest.mark.parametrize("room", ["channel.outbox", "sending.packaging.packager", "store.library"])
def test_what_the_archive_must_not_know_is_seen(room: str) -> None:
    text = f"import karma_sync.{room}"
    assert known_to_the_archive(Module("karma_sync.archive.archiver", text))
    assert not known_to_the_archive(Module("karma_sync.service.status", text))


def test_a_relative_import_is_seen() -> None:
    assert relative_imports(Module("karma_sync.sending.watcher", "from . import outbox"))


@pytest.mark.parametrize(
    "statement",
    [
        "workers.sender.packaged = self._on_packaged",
        "self._engine.quotas.changed = self._cycle.wake",
        "parts[0].troubles = troubles",
        "health.judges += (judge,)",
        "workers.sender, workers.receiver = sender, receiver",
        "setattr(workers, 'sender', sender)",
    ],
)
def test_a_callback_that_is_hung_onto_an_object_is_seen(statement: str) -> None:
    text = f"class Workers:\n    def start(self):\n        {statement}"
    assert assigned_from_outside(Module("karma_sync.daemon.threads", text))


def test_a_class_sets_its_own_attributes() -> None:
    text = "class Workers:\n    def start(self):\n        self.world = None"
    assert not assigned_from_outside(Module("karma_sync.daemon.threads", text))


def test_a_public_class_name_in_two_modules_is_seen() -> None:
    text = "class Sender: ...\nclass _Own: ..."
    twice = [Module("karma_sync.a", text), Module("karma_sync.b", text)]
    assert twice_named(twice) == {"Sender": ["karma_sync.a", "karma_sync.b"]}


@pytest.mark.parametrize("alias", ["Direction", "Direction as Direction"])
def test_a_name_that_a_module_passes_on_is_seen(alias: str) -> None:
    between = Module("karma_sync.b", f"from karma_sync.a import {alias}")
    user = Module("karma_sync.c", "def f():\n    from karma_sync.b import Direction")
    at_home = Module("karma_sync.d", "from karma_sync.a import Direction")

    assert passed_on([between, user]) == [
        "karma_sync.c takes Direction from karma_sync.b, which has it from karma_sync.a"
    ]
    assert not passed_on([between, at_home])
