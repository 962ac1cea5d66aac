"""What people and agents use calls use cases and the read side, never what lies below them."""

import ast

from tests.unit.test_layers import Import, Module, imports, is_within, modules, offences

FACES = ("karma_sync.cli", "karma_sync.mcp", "karma_sync.web")
BELOW = ("karma_sync.store", "karma_sync.syncthing", "karma_sync.channel")
TRANSACTIONS = ("reading", "transaction")


def too_deep(module: Module) -> list[Import]:
    """Imports of a store, of Syncthing or of a channel by a face."""
    if not any(is_within(module.name, face) for face in FACES):
        return []
    return [e for e in imports(module) if any(is_within(e.target, below) for below in BELOW)]


def transactions(module: Module) -> list[str]:
    """Where a face opens a transaction itself."""
    if not any(is_within(module.name, face) for face in FACES):
        return []
    calls = (node for node in ast.walk(ast.parse(module.text)) if isinstance(node, ast.Call))
    return [
        f"{module.name}:{call.lineno}"
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in TRANSACTIONS
    ]


def test_no_face_imports_a_store_or_syncthing_or_a_channel() -> None:
    assert offences([too_deep(module) for module in modules()]) == ""


def test_no_face_opens_a_transaction() -> None:
    assert [each for module in modules() for each in transactions(module)] == []


def test_a_face_that_reaches_too_deep_is_seen() -> None:
    text = "def f(app):\n    from karma_sync.store import state\n    with app.state.reading(): pass"

    assert too_deep(Module("karma_sync.cli.team.team", text))
    assert transactions(Module("karma_sync.web.pages", text))
    assert not too_deep(Module("karma_sync.service.teams", text))
    assert not transactions(Module("karma_sync.service.teams", text))
