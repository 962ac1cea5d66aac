"""What Syncthing should look like, as values; `desired` and `diff` decide, nothing here acts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class FolderType(StrEnum):
    """Syncthing's folder types that we use; a misspelt one would silently become sendreceive
    (SYNCTHING.md section 0, fact 3), so no other text is ever sent.
    """

    SEND_ONLY = "sendonly"
    RECEIVE_ONLY = "receiveonly"
    SEND_RECEIVE = "sendreceive"


@dataclass(frozen=True, order=True)
class Device:
    """A machine Syncthing may talk to: its device ID, the name shown, the addresses to dial."""

    id: str
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Folder:
    """One Syncthing folder of ours; `devices` are the others it is shared with.

    `sound` tells whether every fixed setting reads back as we send it; what we want always is.
    """

    id: str
    type: FolderType
    devices: frozenset[str]
    paused: bool = False
    sound: bool = True
