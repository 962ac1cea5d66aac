"""Lists names for shell completion; opens the databases read-only, and makes none."""

from collections.abc import Iterable

from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.archive import store as archive
from karma_sync.domain.access import AccessScope
from karma_sync.paths import Paths
from karma_sync.settings import load
from karma_sync.store import ledger, readable, state
from karma_sync.store.read_only import reading_only

_MOST = 200  # sessions: more would not help a person to choose


def team_names(paths: Paths) -> list[str]:
    """The names of my teams, sorted."""
    with reading_only(paths.state_db) as tx:
        return sorted({team.name for team in state.teams.all(tx)})


def project_names(paths: Paths) -> list[str]:
    """The full names of all projects that my teams share, sorted."""
    with reading_only(paths.state_db) as tx:
        return sorted({p.identity for team in state.teams.all(tx) for p in team.projects})


def readable_projects(paths: Paths) -> list[str]:
    """All projects of which I may read a session, sorted."""
    scope = _scope(paths)
    with reading_only(paths.library_db) as tx:
        return sorted(readable.projects(tx, scope))


def member_tags(paths: Paths) -> list[str]:
    """The tags of the other members of my teams, sorted."""
    me = load(paths).tag
    with reading_only(paths.state_db) as tx:
        return sorted({m.tag for team in state.teams.all(tx) for m in team.members} - {me})


def everybodys_tags(paths: Paths) -> list[str]:
    """The tags of the other members and the guests of my teams, sorted."""
    me = load(paths).tag
    with reading_only(paths.state_db) as tx:
        return sorted({m.tag for team in state.teams.all(tx) for m in team.everybody} - {me})


def removed_tags(paths: Paths) -> list[str]:
    """The tags of the members that were removed from my teams, sorted."""
    with reading_only(paths.state_db) as tx:
        return sorted({m.tag for team in state.teams.all(tx) for m in team.removed})


def invitation_ids(paths: Paths) -> list[str]:
    """The IDs of contacts, and of invitations that can be answered, sorted."""
    with reading_only(paths.state_db) as tx:
        ids = {contact.id for contact in state.contacts.all(tx)}
        ids |= {each.id for each in state.invitations.all(tx) if each.ready}
    return sorted(ids)


def session_ids(paths: Paths, begin: str) -> list[str]:
    """The IDs of readable sessions that begin with `begin`, the latest active first."""
    scope = _scope(paths)
    with reading_only(paths.library_db) as tx:
        found = readable.sessions(tx, scope, begin, most=_MOST)
    return _once(r.manifest.session.session_id for r in found)


def sent_ids(paths: Paths) -> list[str]:
    """The IDs of sessions that left this machine."""
    with reading_only(paths.work_db) as tx:
        return _once(row.session for row in ledger.departed.all(tx) if row.session)


def own_ids(paths: Paths) -> list[str]:
    """The IDs of the sessions that the agent has on this machine, sorted."""
    return sorted(ClaudeSource(load(paths).claude_dirs).ids())


def _scope(paths: Paths) -> AccessScope:
    with reading_only(paths.state_db) as tx:
        return readable.stored_scope(tx, load(paths).tag)


def archived_ids(paths: Paths, begin: str) -> list[str]:
    """The IDs of archived sessions that begin with `begin`, the latest active first."""
    with reading_only(paths.archive_db) as tx:
        found = archive.readable(tx, AccessScope(load(paths).tag), begin)
    return [row.session for row in found][:_MOST]


def _once(ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(ids))
