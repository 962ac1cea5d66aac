"""A member who wishes ill: its Syncthing does what the test says, its daemon is off."""

import json
from pathlib import Path

from karma_sync.app import App
from karma_sync.daemon.wiring import syncthing_process
from karma_sync.domain.session.manifest import Manifest, join_item, split_item
from karma_sync.signing import PayloadType, SigningKey, open_envelope
from karma_sync.syncthing.configuration import Configuration
from karma_sync.syncthing.port import SyncthingPort
from tests.support.harness import Member
from tests.support.memory_town import MemoryMember

_READY_S = 60.0
_STOP_S = 20.0


class Evil:
    """Runs a member's Syncthing in place of its daemon and writes what it likes into folders."""

    def __init__(self, member: Member) -> None:
        member.down()
        self.member = member
        self.key = SigningKey.load(member.paths.key)
        self._client: SyncthingPort
        if isinstance(member, MemoryMember):
            self._client, self.stop = member.syncthing, member.syncthing.shutdown
            member.syncthing.start()
            return
        process, client = syncthing_process(App(member.paths, member.environ))
        self._client, self.stop = client, lambda: process.stop(_STOP_S)
        process.start()
        process.wait_ready(client, _READY_S)

    def take_over(self, folder: str) -> None:
        """Make a folder that it may only read one that it writes, whatever the names."""
        root = self.member.paths.folders
        tree = json.loads(self._client.configuration(root).write())
        (entry,) = (each for each in tree["folders"] if each["id"] == folder)
        entry["type"] = "sendreceive"
        own = self._client.system().my_id
        changed = Configuration.read(json.dumps(tree).encode(), own, root)
        self._client.put_configuration(changed)
        (self.member.paths.folder(folder) / ".stignore").unlink()

    def offer(self, folder: str, to: str) -> None:
        """Make a folder of any id, as if it were one of documents, and share it with a device."""
        root = self.member.paths.folders
        tree = json.loads(self._client.configuration(root).write())
        (like, *_) = (each for each in tree["folders"] if each["id"].startswith("ks-m-"))
        own = self._client.system().my_id
        devices = [{"deviceID": each, "encryptionPassword": ""} for each in (own, to)]
        place = self.member.paths.folder(folder)
        (place / ".stfolder").mkdir(parents=True)
        entry = like | {"id": folder, "label": folder, "path": str(place), "devices": devices}
        tree["folders"].append(entry)
        self._client.put_configuration(Configuration.read(json.dumps(tree).encode(), own, root))

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Put a file into a folder."""
        path = self.member.paths.folder(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def link(self, folder: str, name: str, target: Path) -> None:
        """Put a symbolic link into a folder."""
        (self.member.paths.folder(folder) / name).symlink_to(target)

    def remove(self, folder: str, name: str) -> None:
        """Delete a file from a folder, at everybody who follows."""
        (self.member.paths.folder(folder) / name).unlink()

    def announce(self, folder: str) -> None:
        """Have the others told of everything that is new in a folder."""
        self._client.scan(folder)


def manifest_of(raw: bytes, key: str) -> Manifest:
    """The manifest of a genuine item file, signed by `key`."""
    payload = open_envelope(split_item(raw)[0], key, PayloadType.MANIFEST)
    return Manifest.model_validate_json(payload)


def forged(raw: bytes, owner: str, signer: SigningKey, **changes: object) -> bytes:
    """A genuine item file of `owner` with a changed manifest, signed by somebody else."""
    manifest = manifest_of(raw, owner).model_copy(update=changes)
    envelope = signer.sign(PayloadType.MANIFEST, manifest.model_dump_json().encode())
    return join_item(envelope, split_item(raw)[1])


def item_file(folder: Path, session_id: str, key: str) -> Path:
    """The file of a session in a channel of `key`."""
    (found,) = (
        path
        for path in (folder / "items").iterdir()
        if manifest_of(path.read_bytes(), key).session.session_id == session_id
    )
    return found


def flipped(raw: bytes) -> bytes:
    """An item file whose signature differs in one letter."""
    at = raw.index(b'"sig":"') + len(b'"sig":"')
    return raw[:at] + (b"B" if raw[at : at + 1] == b"A" else b"A") + raw[at + 1 :]
