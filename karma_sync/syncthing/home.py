"""Makes and configures our own Syncthing home: key, device ID, config.xml.

See docs/syncthing.md, "Home".
"""

import secrets
import shutil
import ssl
import string
import subprocess
import xml.etree.ElementTree as ET  # noqa: S405 - reads only the config.xml of our own Syncthing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from karma_sync.errors import SyncthingError
from karma_sync.files import PRIVATE_FILE, private_dir, write_private
from karma_sync.syncthing.certificate import device_id, unusable
from karma_sync.syncthing.folder_defaults import FIXED, is_our_folder
from karma_sync.syncthing.program import environment

GENERATE_S = 60.0
GUI_USER = "karma-sync"
STUN_DEFAULT_S = 180

_BCRYPT = "./" + string.ascii_letters + string.digits


@dataclass(frozen=True)
class ListenSettings:
    """The addresses on which Syncthing listens, and the public services that it may use.

    `gui_port` is the port of the REST API on 127.0.0.1. `listen` are the listen addresses, such as
    "tcp://0.0.0.0:22000". `discovery` means global and local discovery. With `nat`, Syncthing asks
    routers for a port.
    """

    gui_port: int
    listen: tuple[str, ...]
    discovery: bool
    relays: bool
    nat: bool


def create_home(program: Path, home: Path) -> str:
    """Make key, certificate and config.xml unless they exist; returns our device ID.

    Raises:
        SyncthingError: Syncthing could not make them, or the existing key is damaged. A damaged key
            is never replaced: all peers know this machine by it.
    """
    private_dir(home)
    cert, key = home / "cert.pem", home / "key.pem"
    if cert.exists() or key.exists():
        require_key(home)
    if not (cert.exists() and _config(home).exists()):
        _generate(program, home)
    for path in (cert, key, _config(home)):
        path.chmod(PRIVATE_FILE)
    return device_id(home)


def create_key(home: Path) -> None:
    """Make key and certificate as Syncthing itself does, where no Syncthing is installed.

    It takes a key that it finds (docs/syncthing.md, "Home"). Existing ones are left alone.

    Raises:
        SyncthingError: the existing key is damaged.
    """
    private_dir(home)
    cert, key = home / "cert.pem", home / "key.pem"
    if cert.exists() or key.exists():
        require_key(home)
        return
    from karma_sync.syncthing.new_certificate import new_certificate

    pem, certificate = new_certificate()
    write_private(key, pem)
    write_private(cert, certificate)


def require_home(program: Path, home: Path) -> None:
    """Return if Syncthing can start with its old key; config.xml is made again if it is gone.

    Raises:
        SyncthingError: the key is gone or damaged, or Syncthing could not make config.xml.
    """
    require_key(home)
    if not _config(home).exists():
        _generate(program, home)


def require_key(home: Path) -> None:
    """Return if Syncthing can load its key; otherwise it would silently make a new identity.

    Raises:
        SyncthingError: the key or the certificate cannot be loaded.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(home / "cert.pem", home / "key.pem")
    except OSError as error:  # ssl.SSLError is one
        raise unusable(home, error) from error


def gui_port(home: Path) -> int | None:
    """The port of the REST API that we chose earlier; None if we did not configure this home yet.

    Before that, config.xml has Syncthing's default 8384, which belongs to the person's Syncthing.
    """
    try:
        root = ET.parse(_config(home))  # noqa: S314 our own file
        address = root.findtext("gui[user]/address") or ""
    except (OSError, ET.ParseError):
        return None
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


def folders(home: Path) -> frozenset[str]:
    """IDs of the folders in config.xml: Syncthing's index may have their files."""
    try:
        root = ET.parse(_config(home)).getroot()  # noqa: S314 our own Syncthing wrote it
    except (FileNotFoundError, ET.ParseError):
        return frozenset()
    return frozenset(folder.get("id", "") for folder in root.findall("folder"))


def restrict(home: Path, root: Path, running: Mapping[str, Collection[str]]) -> None:
    """Pause our folders that may not run, and share the others with no more devices than these.

    Our folders are those below `root`; `running` has the devices by folder id. Nothing is widened.
    Syncthing must not be running: it would exchange files by what config.xml says before anybody
    can tell it what was decided while it was off.
    """
    path = _config(home)
    try:
        tree = ET.parse(path).getroot()  # noqa: S314 our own file
        own = device_id(home)
    except (OSError, ET.ParseError):
        return  # `configure` reports that the file cannot be used
    before = ET.tostring(tree)
    for folder in tree.findall("folder"):
        name = folder.get("id", "")
        if not is_our_folder(name, folder.get("path", ""), root):
            continue
        if name not in running:
            _set(folder, "paused", _text(True))
        for device in folder.findall("device"):
            if name in running and device.get("id", "") not in {own, *running[name]}:
                folder.remove(device)
    if ET.tostring(tree) != before:
        write_private(path, ET.tostring(tree, short_empty_elements=False) + b"\n")


def forget_index(home: Path) -> None:
    """Delete Syncthing's index: after its next start it scans and exchanges everything again.

    Syncthing must not be running. Both kinds of its database are in `index-…`.
    """
    for index in home.glob("index-*"):
        shutil.rmtree(index)


def configure(home: Path, network: ListenSettings, name: str) -> str:
    """Write our settings into config.xml and keep all others; returns the API key.

    Syncthing must not be running on this home: it would overwrite the file. Nothing is written if
    the file has our settings already.

    Raises:
        SyncthingError: config.xml cannot be read.
    """
    path = _config(home)
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - our own file, mode 0600
    except (OSError, ET.ParseError) as error:
        raise SyncthingError(
            f"{path} cannot be read: {error}",
            hint=f"move {path} away: the next start makes it again and keeps the key",
        ) from error
    before = ET.tostring(root)
    key = _set_gui(_child(root, "gui"), network.gui_port)
    _set_options(_child(root, "options"), network)
    _set_folder_defaults(_child(_child(root, "defaults"), "folder"))
    own_id = device_id(home)
    for device in root.iterfind("device"):
        if device.get("id") == own_id:
            device.set("name", name)
    if ET.tostring(root) != before:
        write_private(path, ET.tostring(root, short_empty_elements=False) + b"\n")
    path.chmod(PRIVATE_FILE)
    return key


def _config(home: Path) -> Path:
    return home / "config.xml"


def _generate(program: Path, home: Path) -> None:
    """Run `syncthing generate`, which keeps an existing key; all versions know these flags."""
    try:
        ran = subprocess.run(  # noqa: S603 - the program find_program chose, no shell
            [program, "generate", f"--home={home}"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=GENERATE_S,
            umask=0o077,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SyncthingError(f"{program} could not make {home}: {error}") from error
    if ran.returncode or not _config(home).exists():
        output = ran.stdout.decode(errors="replace").strip()[-300:]
        raise SyncthingError(f"{program} could not make {home}: {output}")


def _set_gui(gui: ET.Element, port: int) -> str:
    """Restrict the REST API to loopback and to our key; returns the key.

    Without a user and a password, any local process gets a session (docs/syncthing.md, "Access").
    So we set a password hash for which nobody knows a password. A password that the person set is
    kept.
    """
    gui.set("enabled", "true")
    gui.set("tls", "false")
    _set(gui, "address", f"127.0.0.1:{port}")
    user, password, key = (_child(gui, tag) for tag in ("user", "password", "apikey"))
    user.text = user.text or GUI_USER
    password.text = password.text or "$2a$10$" + "".join(secrets.choice(_BCRYPT) for _ in range(53))
    key.text = key.text or secrets.token_urlsafe(24)
    return key.text


def _set_options(options: ET.Element, network: ListenSettings) -> None:
    for old in options.findall("listenAddress"):
        options.remove(old)
    for position, address in enumerate(network.listen):
        element = ET.Element("listenAddress")
        element.text, element.tail = address, "\n        "
        options.insert(position, element)
    wanted: Mapping[str, bool | int] = {
        "globalAnnounceEnabled": network.discovery,
        "localAnnounceEnabled": network.discovery,
        "announceLANAddresses": network.discovery,
        "stunKeepaliveStartS": STUN_DEFAULT_S if network.discovery else 0,
        "relaysEnabled": network.relays,
        "natEnabled": network.nat,
        "startBrowser": False,
        "crashReportingEnabled": False,
        "urAccepted": -1,
        "autoUpgradeIntervalH": 0,
        "reconnectionIntervalS": 5,
    }
    for tag, value in wanted.items():
        _set(options, tag, _text(value))


def _set_folder_defaults(folder: ET.Element) -> None:
    """Set the defaults for folders that are added without our settings; 1.x ignores new ones."""
    for name, value in FIXED.items():
        if name in folder.attrib:
            folder.set(name, _text(value))
        else:
            _set(folder, name, _text(value))


def _text(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set(parent: ET.Element, tag: str, text: str) -> None:
    _child(parent, tag).text = text


def _child(parent: ET.Element, tag: str) -> ET.Element:
    """The child element `tag`; it is made if it is missing."""
    found = parent.find(tag)
    return ET.SubElement(parent, tag) if found is None else found
