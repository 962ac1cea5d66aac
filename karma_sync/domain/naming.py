"""What a folder is to a person: its id tells nothing, on purpose."""

from karma_sync.domain.plan import World, channels
from karma_sync.paths import metadata_folder


def folder_title(world: World, folder: str) -> str:
    """Such as "host/owner/repo by alice.mbp in backend"; the id itself for one we do not know."""
    for team in world.teams:
        if metadata_folder(team.id) == folder:
            return f"documents of team {team.name}"
    for channel in channels(world):
        if channel.id == folder:
            return f"{channel.project} by {channel.owner.tag} in {channel.team.name}"
    return folder
