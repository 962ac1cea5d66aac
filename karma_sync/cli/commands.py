"""The commands by the panel of `--help` that lists them; a command is loaded when it is typed.

The table repeats the first sentence of the help of each command, so that `--help` loads none of
them. A test compares the two.
"""

from collections.abc import Callable, Iterator, MutableMapping
from enum import Enum
from functools import partial, wraps
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from karma_sync.cli.ask import is_under_agent

# By panel and name: the module below this room that has the command, and the sentence.
PANELS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "init": ("team.setup", "Create an identity."),
        "up": ("daemon.run", "Start the daemon."),
        "down": ("daemon.run", "Stop the daemon."),
        "status": ("daemon.status", "Show the status."),
        "demo": ("daemon.demo", "Play the demo."),
    },
    "Teams": {
        "invite": ("team.invite", "Invite somebody."),
        "join": ("team.join", "Join a team."),
        "code": ("team.setup", "Print the pairing code."),
        "pair": ("team.setup", "Pair with a member."),
        "inbox": ("team.inbox", "Show invitations."),
        "invitation": ("team.inbox", "Answer invitations."),
        "team": ("team.team", "Manage teams."),
        "machine": ("team.machine", "Manage your other machines."),
        "mute": ("team.mute", "Mute a member."),
        "unmute": ("team.mute", "Unmute a member."),
        "rename": ("daemon.control", "Rename this machine."),
    },
    "Projects": {
        "project": ("project.project", "Manage projects."),
        "subscription": ("project.subscription", "Manage subscriptions."),
        "accept": ("project.subscription", "Accept a project."),
        "decline": ("project.subscription", "Decline a project."),
        "pause": ("daemon.control", "Pause all projects."),
        "resume": ("daemon.control", "Resume all projects."),
    },
    "Sessions": {
        "search": ("library.search", "Search sessions."),
        "browse": ("session.browse", "Browse sessions."),
        "who": ("library.who", "Show who worked on a file."),
        "session": ("session.show", "Manage sessions."),
        "sent": ("session.sent", "List sent sessions."),
        "observation": ("observation.sharing", "Manage observations."),
    },
    "Agents": {
        "mcp": ("agent.mcp", "Serve sessions to an agent."),
        "context": ("agent.mcp", "Tell an agent of recent work."),
    },
    "Privacy": {
        "exclude": ("session.show", "Exclude a directory."),
        "redact": ("session.redact", "Redact a secret."),
    },
    "Service": {
        "service": ("daemon.autostart", "Manage the service."),
        "events": ("daemon.control", "Show the events."),
    },
}
# Other names of commands; --help does not list them.
ALIASES = {"sub": "subscription"}
_MODULES = {name: where for panel in PANELS.values() for name, (where, _) in panel.items()}


# typer has pydantic check each value, also an absent one and that of `--help`, and pydantic takes
# longer to load than most commands run. A truth value is not checked.
NO_HELP = {"default_map": {"help": False}}


def spare(command: Any) -> None:
    """Keep a command, and those below it, from loading pydantic for what needs no conversion."""
    command.context_settings |= NO_HELP
    for param in command.params:
        param.process_value = partial(_processed, param, param.process_value)
    for below in getattr(command, "commands", {}).values():
        spare(below)


def _processed(param: Any, by_typer: Callable[..., Any], ctx: Any, value: Any) -> Any:
    """Return the value of an argument or option: text, defaults and absent values as they are."""
    described = param.type_descriptor
    has_own = param.callback is not None or described.parameter_info.parser is not None
    if has_own or (param.required and param.value_is_missing(value)):
        return by_typer(ctx, value)
    if value is None:
        return () if param.multiple or param.nargs == -1 else None
    if isinstance(value, str | int | Enum) and type(value) is described.annotation:
        return value
    if described.annotation == list[str] and isinstance(value, list | tuple):
        return list(value)
    return by_typer(ctx, value)


def name_values(command: Any) -> None:
    """Have the help of a command, and of those below it, call values TEXT, N or PATH, not <str>."""
    for param in command.params:
        described = param.type_descriptor
        if described.is_choice:
            continue  # its type lists what may be typed
        if param.param_type_name == "argument":
            param.display_type_rich = _nothing  # its name is enough
        elif param.metavar is None and not param.is_flag:
            is_number = described.annotation is int
            param.metavar = "PATH" if described.is_path else "N" if is_number else "TEXT"
    for below in getattr(command, "commands", {}).values():
        name_values(below)


def _nothing(ctx: Any) -> str:  # noqa: ARG001 typer gives it
    return ""


def watch_for_agents(command: Any, name: str) -> None:
    """Have a command, and those below it, print what they read in a frame if an agent runs them."""
    if command.callback and not hasattr(command, "commands"):
        command.callback = _watched(command.callback, name)
    for below in getattr(command, "commands", {}).values():
        watch_for_agents(below, f"{name} {below.name}")


def _watched(callback: Callable[..., object], name: str) -> Callable[..., object]:
    @wraps(callback)
    def run(**options: Any) -> object:
        if not is_under_agent():
            return callback(**options)
        from karma_sync.cli.frame import run_for_agent

        return run_for_agent(name, callback, options)

    return run


class _Loading(MutableMapping[str, Any]):
    """The commands by name; each is loaded on first access."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module = import_module(f"karma_sync.cli.{_MODULES[ALIASES.get(name, name)]}")
            part = typer.Typer(rich_markup_mode=None, add_completion=False)
            module.add_to(part)
            loaded = get_group(part).commands
            for own_name, command in loaded.items():
                spare(command)
                name_values(command)
                watch_for_agents(command, own_name)
            self._loaded |= loaded
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        yield from (*_MODULES, *ALIASES)

    def __len__(self) -> int:
        return len(_MODULES) + len(ALIASES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES or name in ALIASES


class Commands(TyperGroup):
    """The group of all commands; each is loaded when it is typed."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = _Loading()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the panels one below the other, in columns of one width."""
        width = max(map(len, _MODULES))
        for panel, commands in PANELS.items():
            with formatter.section(panel):
                formatter.write_dl([(n.ljust(width), text) for n, (_, text) in commands.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands that begin so, with their help; the options after a dash."""
        from typer.core import CompletionItem  # type: ignore[attr-defined] # click's

        if incomplete.startswith("-"):
            return super(TyperGroup, self).shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for panel in PANELS.values()
            for name, (_, text) in panel.items()
            if name.startswith(incomplete)
        ]
