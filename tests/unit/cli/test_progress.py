"""Progress and questions: shown on a terminal, absent in a pipe."""

import io

import pytest
import typer

from karma_sync.cli import ask
from karma_sync.cli.progress import ProgressBar, waiting
from karma_sync.errors import NeedsConsent


class Terminal(io.StringIO):
    """A terminal that keeps what it shows."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, took_s: float = 0.2) -> str:
    """The progress shown for two sessions, the first of which took so long, and then for a wait."""
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    clock = iter([1000.0, 1000.0 + took_s])
    with ProgressBar("reading [red]sessions[/red]", lambda: next(clock)) as progress:
        progress(1, 2)
    with waiting("starting"):
        pass
    return stream.getvalue()


def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = shown(monkeypatch, Terminal())

    assert "reading [red]sessions[/red]" in seen
    assert "1/2" in seen
    assert "starting" in seen


def test_what_is_done_at_once_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "reading" not in shown(monkeypatch, Terminal(), took_s=0.05)


def test_a_pipe_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, io.StringIO()) == ""


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_only_a_yes_is_a_yes(monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    assert ask.confirm("Go ahead?") is agreed


def test_an_empty_answer_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))

    assert ask.ask("Your name", "alice") == "alice"


def test_ctrl_c_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        abort = typer.Abort()  # as typer makes it, of Ctrl-C and of the end of input
        abort.__context__ = KeyboardInterrupt()
        raise abort

    monkeypatch.setattr("typer.confirm", interrupted)

    with pytest.raises(KeyboardInterrupt):
        ask.confirm("Go ahead?")


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    with pytest.raises(NeedsConsent) as refused:
        ask.ask_unless(False, "--yes")
    assert refused.value.hint == "--yes"
    ask.ask_unless(True, "--yes")
