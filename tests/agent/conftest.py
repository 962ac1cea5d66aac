"""The program that the tests of this folder run, or the reason why they are skipped."""

from pathlib import Path

import pytest

from tests.agent.rig import has_namespaces

PLACE = Path(__file__).resolve().parents[2] / "build" / "agent"


@pytest.fixture(scope="session")
def program() -> Path:
    """The agent, as `make test-agent` got it: build/agent/VERSION/claude."""
    found = sorted(PLACE.glob("*/claude"))
    if not found:
        pytest.skip(f"no agent in {PLACE}: type make test-agent")
    if not has_namespaces():
        pytest.skip("no network namespaces here: a foreign program could reach the network")
    return found[-1]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say with which version of the agent the tests ran."""
    found = sorted(PLACE.glob("*/claude"))
    if found and has_namespaces():
        name = found[-1].parent.name
        terminalreporter.write_line(f"agent: Claude Code {name}, with loopback alone")
