"""What folders and documents are to a person: their names tell nothing, on purpose."""

from karma_sync.domain.plan import World, channels
from karma_sync.domain.team.team import Team
from karma_sync.paths import metadata_folder

_KEY_CHARS = 8


def folder_title(world: World, folder: str) -> str:
    """Such as "host/owner/repo by alice.mbp in backend"; the id itself for one we do not know."""
    for team in world.teams:
        if metadata_folder(team.id) == folder:
            return f"documents of team {team.name}"
    for channel in channels(world):
        if channel.id == folder:
            return f"{channel.project} by {channel.owner.tag} in {channel.team.name}"
    return folder


def document_title(team: Team, kind: str, writer: str) -> str:
    """Such as "roster by alice.mbp in backend"; `writer` is the key that its name claims."""
    member = team.member(writer)
    what = "member document" if kind == "member" else kind
    return f"{what} by {member.tag if member else f'key {writer[:_KEY_CHARS]}'} in {team.name}"
