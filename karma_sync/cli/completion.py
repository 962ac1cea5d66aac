"""Values that a shell completes: teams, projects, sessions, members, invitations.

A completion that finds nothing, or cannot read a database, offers nothing: the person is typing.
"""

import os
from collections.abc import Callable, Iterable

from karma_sync.errors import KarmaError
from karma_sync.paths import Paths

_MOST = 100
_ZSH_REGISTERS = "compdef _karma_sync_completion karma-sync"


def in_zsh_at_first_tab(script: str) -> str:
    """The completion script that typer makes for zsh, changed so that the first Tab completes too.

    At each Tab, zsh runs the installed file as a function. In typer's file that only registers
    another function, so the first Tab in each shell completes nothing. Where the script is sourced,
    it still registers that function.
    """
    return script.replace(
        _ZSH_REGISTERS,
        "if [[ ${funcstack[1]} = _karma-sync ]]; then\n"
        '  _karma_sync_completion "$@"\n'
        "else\n"
        f"  {_ZSH_REGISTERS}\n"
        "fi",
    )


def teams(incomplete: str) -> list[str]:
    """Names of teams."""
    from karma_sync.service.completion import team_names

    return _beginning(incomplete, _read(team_names))


def projects(incomplete: str) -> list[str]:
    """Shared projects: whole names, and endings once something is typed."""
    from karma_sync.service.completion import project_names

    return _by_ending(incomplete, _read(project_names))


def readable_projects(incomplete: str) -> list[str]:
    """Projects that the library holds."""
    from karma_sync.service import completion

    return _by_ending(incomplete, _read(completion.readable_projects))


def members(incomplete: str) -> list[str]:
    """Tags of other members."""
    from karma_sync.service.completion import member_tags

    return _beginning(incomplete, _read(member_tags))


def everybody(incomplete: str) -> list[str]:
    """Tags of other members and of guests."""
    from karma_sync.service.completion import everybodys_tags

    return _beginning(incomplete, _read(everybodys_tags))


def removed_members(incomplete: str) -> list[str]:
    """Tags of members that were removed."""
    from karma_sync.service.completion import removed_tags

    return _beginning(incomplete, _read(removed_tags))


def invitations(incomplete: str) -> list[str]:
    """Ids of contacts and invitations."""
    from karma_sync.service.completion import invitation_ids

    return _beginning(incomplete, _read(invitation_ids))


def sessions(incomplete: str) -> list[str]:
    """Ids of readable sessions."""
    from karma_sync.service.completion import session_ids

    return _beginning(incomplete, _read(lambda paths: session_ids(paths, incomplete)))


def sent_sessions(incomplete: str) -> list[str]:
    """Ids of sessions that left this machine."""
    from karma_sync.service.completion import sent_ids

    return _beginning(incomplete, _read(sent_ids))


def own_sessions(incomplete: str) -> list[str]:
    """Ids of sessions on this machine."""
    from karma_sync.service.completion import own_ids

    return _beginning(incomplete, _read(own_ids))


def archived_sessions(incomplete: str) -> list[str]:
    """Ids of archived sessions."""
    from karma_sync.service.completion import archived_ids

    return _beginning(incomplete, _read(lambda paths: archived_ids(paths, incomplete)))


def _read(names: Callable[[Paths], list[str]]) -> list[str]:
    try:
        return names(Paths.from_environment(os.environ))
    except (KarmaError, OSError, ValueError):
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and name.isprintable()][:_MOST]


def _by_ending(incomplete: str, names: list[str]) -> list[str]:
    """Whole names that begin so, else the endings that do and that fit one project only."""
    whole = _beginning(incomplete, names)
    if whole or not incomplete:
        return whole
    endings = [ending for name in names for ending in _endings(name)]
    return _beginning(incomplete, [e for e in endings if endings.count(e) == 1])


def _endings(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]
