"""Folders of channels that are closed and still lie here, with what was withdrawn or left."""

from karma_sync.domain.mesh.channels import World, inboxes, outboxes
from karma_sync.paths import FOLDER_ID, Paths, is_metadata_folder


def leftovers(paths: Paths, world: World) -> list[str]:
    """The ids of channels' folders on disk that I neither send nor receive.

    None while there is no team: then it is more likely that the database was lost.
    """
    if not world.teams or not paths.folders.is_dir():
        return []
    is_open = {channel.id for channel in (*outboxes(world), *inboxes(world))}
    found = (path.name for path in paths.folders.iterdir() if FOLDER_ID.fullmatch(path.name))
    return sorted(n for n in found if n not in is_open and not is_metadata_folder(n))
