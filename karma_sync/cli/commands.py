"""What can be typed, by the panel of `--help` it stands in; a command is loaded once it is typed.

The first sentence of every command's own text stands here again, so that a list of commands needs
none of them: a test compares the two.
"""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

# By panel and name: the module below this room that has it, and what it does.
PANELS: dict[str, dict[str, tuple[str, str]]] = {
    "Start": {
        "init": ("team.setup", "Make this machine's identity."),
        "up": ("daemon.run", "Run the daemon, with its own Syncthing, in the foreground."),
        "down": ("daemon.run", "Stop the daemon, and its Syncthing with it."),
        "status": ("daemon.status", "Show how things stand."),
        "events": ("daemon.control", "Show every change, refusal and fault, once."),
        "demo": ("daemon.demo", "Play the story with two members on this machine."),
    },
    "Teams": {
        "code": ("team.setup", "Print this machine's pairing code; it is not a secret."),
        "pair": ("team.setup", "Accept the other's first invitation within 24 hours."),
        "inbox": ("team.inbox", "Show who wants to connect, and which teams invite you."),
        "invitation": ("team.inbox", "Answer who wants to connect, or invites you."),
        "team": ("team.team", "Teams: create one, add members."),
        "rename": ("daemon.control", "Change your name, while you are in no team."),
    },
    "Projects": {
        "project": ("project.project", "Projects: share one, say what belongs to it."),
        "subscription": ("project.subscription", "Answer the projects that teams share."),
        "accept": ("project.subscription", "Take part in a shared project."),
        "decline": ("project.subscription", "Take no part in a shared project, or no longer."),
        "pause": ("daemon.control", "Let nothing leave and nothing arrive, in any project."),
        "resume": ("daemon.control", "Go on after `pause`."),
    },
    "Sessions": {
        "session": ("session.read", "Read sessions, yours and your teammates'; take yours back."),
        "sent": ("session.sent", "Show what left this machine."),
    },
    "Privacy": {
        "exclude": ("session.read", "Let no session leave that worked in these directories."),
        "redact": ("session.redact", "Call back a secret that got out."),
    },
    "Service": {
        "service": ("daemon.autostart", "The daemon as a service of your system."),
    },
}
# Other names of these, which no list has.
ALIASES = {"sub": "subscription"}
_MODULES = {name: where for panel in PANELS.values() for name, (where, _) in panel.items()}


# What typer makes of `--help` where nobody typed it: its None is for pydantic to look at, and that
# takes longer to load than most commands take; a truth value is taken as it is.
NO_HELP = {"default_map": {"help": False}}


def spare(command: Any) -> None:
    """Have a command, and all below it, load pydantic for its options only if it has to."""
    command.context_settings |= NO_HELP
    for below in getattr(command, "commands", {}).values():
        spare(below)


class _Loading(MutableMapping[str, Any]):
    """The commands by name, each loaded when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module = import_module(f"karma_sync.cli.{_MODULES[ALIASES.get(name, name)]}")
            part = typer.Typer(rich_markup_mode=None, add_completion=False)
            module.add_to(part)
            loaded = get_group(part).commands
            for command in loaded.values():
                spare(command)
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
    """The program, whose commands are loaded when they are typed."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = _Loading()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The panels, one below the other; all of one width."""
        width = max(map(len, _MODULES))
        for panel, commands in PANELS.items():
            with formatter.section(panel):
                formatter.write_dl([(n.ljust(width), text) for n, (_, text) in commands.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Names of commands, with what they do; options, once a dash is typed."""
        from typer.core import CompletionItem  # type: ignore[attr-defined] # click's

        if incomplete.startswith("-"):
            return super(TyperGroup, self).shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=text)
            for panel in PANELS.values()
            for name, (_, text) in panel.items()
            if name.startswith(incomplete)
        ]
