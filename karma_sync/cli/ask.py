"""Questions to the person at the terminal."""

import os
import sys

import typer

from karma_sync.errors import NeedsConsent

# Agents set one of these for the commands that they run.
AGENTS = (
    "CLAUDECODE",
    "CODEX_SANDBOX",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "OPENCODE",
    "AI_AGENT",
)


def is_under_agent() -> bool:
    """Whether an agent runs this command."""
    return any(os.environ.get(name) for name in AGENTS)


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, default: str) -> str:
    """Ask for a text; an empty answer means the default."""
    try:
        return str(typer.prompt(question, default=default))
    except typer.Abort as abort:
        _raise_interrupt(abort)
        return default


def ask_secret(question: str) -> str:
    """Ask for a text that the terminal does not show.

    Raises:
        NeedsConsent: the person ended the input.
    """
    try:
        return str(typer.prompt(question, hide_input=True))
    except typer.Abort as abort:
        _raise_interrupt(abort)
        raise NeedsConsent("no text was typed; nothing was changed") from None


def answer_of(question: str) -> str:
    """Ask for a short answer, in small letters; "" for an empty one and at the end of input."""
    try:
        typed = typer.prompt(question, default="", show_default=False)
    except typer.Abort as abort:
        _raise_interrupt(abort)
        return ""
    return str(typed).strip().lower()


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask for a yes or a no; an empty answer means the default, the end of input means no."""
    try:
        return typer.confirm(question, default=default)
    except typer.Abort as abort:
        _raise_interrupt(abort)
        return False


def ask_unless(agreed: bool, hint: str) -> None:
    """Raises NeedsConsent if the person answers no, or no terminal is there to ask at."""
    if agreed:
        return
    if not is_terminal():
        raise NeedsConsent("there is no terminal to ask at; nothing was changed", hint=hint)
    if not confirm("Go ahead?"):
        raise NeedsConsent("nothing was changed")


def ask_for_name(name: str, typed: str | None, question: str, option: str) -> None:
    """Have the person type a name, at the terminal if no option gave it.

    Raises:
        NeedsConsent: another name was typed, or no terminal is there to ask at.
    """
    if typed is None and is_terminal():
        typed = ask(question, default="")
    if typed is None:
        raise NeedsConsent(f"{question} nothing was changed", hint=f"{option} {name}")
    if typed.strip() != name:
        raise NeedsConsent(f"{typed!r} is not {name}; nothing was changed", hint=f"{option} {name}")


def _raise_interrupt(abort: typer.Abort) -> None:
    """Let Ctrl-C end the command as it does elsewhere: typer makes the same error of both."""
    if isinstance(abort.__context__, KeyboardInterrupt):
        raise KeyboardInterrupt from None
