"""Parses Syncthing's JSON answers into frozen models (docs/syncthing.md, "REST answers").

The versions of Syncthing send different fields. Fields that we do not use are ignored, and fields
that only some versions send have a default. An answer of another shape raises ValueError, which
`client.py` turns into an error of ours.
"""

from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)
from pydantic.alias_generators import to_camel

# Syncthing writes local time with an offset; we keep all times in UTC.
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


class Reply(BaseModel):
    """Base class of all models of Syncthing's answers."""

    model_config = ConfigDict(
        defer_build=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
    )


class System(Reply):
    """The device ID of this Syncthing, and when it started; event IDs begin again at each start."""

    my_id: str = Field(alias="myID")
    start_time: UtcTime


class Connection(Reply):
    """One device's connection; `address` is host:port, "" while it is not connected.

    `type` ends in `-client` if we dialled, in `-server` if the other device did.
    """

    connected: bool = False
    paused: bool = False
    address: str = ""
    type: str = ""
    client_version: str = ""


class PendingDevice(Reply):
    """A device that dialled us and is not in our configuration; the device chose the name."""

    id: str
    name: str
    address: str
    time: UtcTime


class PendingFolder(Reply):
    """A folder that a known device offers and that we do not have; that device chose the label."""

    id: str
    label: str
    offered_by: str
    time: UtcTime


class FolderStatus(Reply):
    """The status of a folder; counts are in items (files, directories, deletions), sizes in bytes.

    `pull_errors` counts the items of `folder/errors`, also those that could not be scanned. A
    paused folder has state "" and only zeros. 1.19 leaves out `error` and the receive-only counts.
    """

    state: str = ""
    error: str = ""
    sequence: int = 0
    global_files: int = 0
    global_bytes: int = 0
    local_bytes: int = 0
    need_items: int = Field(0, alias="needTotalItems")
    need_bytes: int = 0
    pull_errors: int = 0
    receive_only_changed: int = Field(0, alias="receiveOnlyTotalItems")


class FolderError(Reply):
    """One item that could not be scanned or pulled, and why."""

    path: str
    error: str


class Needed(Reply):
    """A file of which a device claims to have a newer version, or a deletion.

    `modified_by` is the short device ID of the device that is said to have made that version. Any
    device can falsify it.
    """

    name: str
    deleted: bool = False
    modified_by: str = ""

    def is_by(self, device: str) -> bool:
        """Whether this device is said to have made the version."""
        return bool(self.modified_by) and device.startswith(self.modified_by)


class Completion(Reply):
    """Syncthing's belief about how much of a folder a device has: percent, bytes and items.

    Any member can falsify these figures (docs/syncthing.md, "Completion"), and 1.19 may report
    100 % for a device that never accepted the folder. `remote_state` is valid, paused, notSharing
    or unknown; None before Syncthing 1.20.
    """

    completion: float
    global_bytes: int = 0
    need_bytes: int = 0
    need_items: int = 0
    remote_state: str | None = None


class SyncthingEvent(Reply):
    """One event; each field is None, or empty, if this type of event does not have it."""

    id: int
    type: str
    folder: str | None = None
    item: str | None = None
    device: str | None = None
    error: str | None = None
    connection: str | None = None
    state: str | None = None
    names: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, event: Any) -> Any:
        """Take our fields out of `data`, in which each type of event has names of its own."""
        data = event.get("data") if isinstance(event, dict) else None
        if not isinstance(data, dict):
            return event
        id_field = ("id",) if str(event.get("type")).startswith("Device") else ()
        return event | {
            "folder": _text(data, "folder", "folderID"),
            "item": _text(data, "item", "path"),
            "device": _text(data, "device", "deviceID", *id_field),
            "error": _text(data, "error"),
            "state": _text(data, "to"),
            "names": [n for n in data.get("filenames") or () if isinstance(n, str)],
            "connection": _text(data, "type") if id_field else None,
        }


def _text(data: dict[str, Any], *names: str) -> str | None:
    """The first of these entries that is a text and not empty."""
    return next((v for n in names if isinstance(v := data.get(n), str) and v), None)


class _Pong(Reply):
    ping: Literal["pong"]


class _Version(Reply):
    version: str


class _Connections(Reply):
    connections: dict[str, Connection]


class _DeviceOffer(Reply):
    name: str = ""
    address: str = ""
    time: UtcTime


class _FolderOffer(Reply):
    label: str = ""
    time: UtcTime


class _FolderOffers(Reply):
    offered_by: dict[str, _FolderOffer]


class _FolderErrors(Reply):
    errors: list[FolderError] | None = None


class _Need(Reply):
    progress: list[Needed] | None = None
    queued: list[Needed] | None = None
    rest: list[Needed] | None = None


class _Holder(Reply):
    id: str


class _Holders(Reply):
    availability: list[_Holder] | None = None


_DEVICE_OFFERS = TypeAdapter(dict[str, _DeviceOffer])
_FOLDER_OFFERS = TypeAdapter(dict[str, _FolderOffers])
_EVENTS = TypeAdapter(list[SyncthingEvent])


def read_pong(body: bytes) -> None:
    """Return if this is Syncthing's answer to a ping; v2 answers differently while it migrates."""
    _Pong.model_validate_json(body)


def read_version(body: bytes) -> str:
    """Syncthing's version, such as "v1.29.5" or, from Debian, "v1.19.2-ds1"."""
    return _Version.model_validate_json(body).version


def read_system(body: bytes) -> System:
    return System.model_validate_json(body)


def read_connections(body: bytes) -> dict[str, Connection]:
    """Connections by device ID; 1.19 lists our own device too."""
    return _Connections.model_validate_json(body).connections


def read_pending_devices(body: bytes) -> list[PendingDevice]:
    """The pending devices, sorted by device ID."""
    offers = sorted(_DEVICE_OFFERS.validate_json(body).items())
    return [PendingDevice(id=d, name=o.name, address=o.address, time=o.time) for d, o in offers]


def read_pending_folders(body: bytes) -> list[PendingFolder]:
    """One entry per folder and device that offers it, sorted by these two."""
    folders = sorted(_FOLDER_OFFERS.validate_json(body).items())
    return [
        PendingFolder(id=folder, label=offer.label, offered_by=device, time=offer.time)
        for folder, offers in folders
        for device, offer in sorted(offers.offered_by.items())
    ]


def read_folder_status(body: bytes) -> FolderStatus:
    return FolderStatus.model_validate_json(body)


def read_folder_errors(body: bytes) -> list[FolderError]:
    return _FolderErrors.model_validate_json(body).errors or []


def read_needed(body: bytes) -> list[Needed]:
    found = _Need.model_validate_json(body)
    return [*(found.progress or ()), *(found.queued or ()), *(found.rest or ())]


def read_holders(body: bytes) -> frozenset[str]:
    """The IDs of the devices that claim to have the file."""
    return frozenset(each.id for each in _Holders.model_validate_json(body).availability or ())


def read_completion(body: bytes) -> Completion:
    return Completion.model_validate_json(body)


def read_events(body: bytes) -> list[SyncthingEvent]:
    """The events, oldest first."""
    return _EVENTS.validate_json(body)
