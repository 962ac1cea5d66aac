"""Calls Syncthing's REST API, one method per call; the only module that uses `requests`."""

import json
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from karma_sync.errors import SyncthingError, SyncthingRefused, SyncthingUnreachable
from karma_sync.syncthing import wire
from karma_sync.syncthing.configuration import Configuration, ConfigurationReader

T = TypeVar("T")

MAX_REPLY_BYTES = 64_000_000  # 300 folders' configuration is 0.5 MB
CONNECT_S = 5.0
READ_S = 30.0
PUT_S = 120.0  # 300 folders took 0.7 s at most; the rest is for a busy machine
SCAN_S = 3600.0  # Syncthing answers after it has hashed all files
NAMED_SCAN_S = 60.0  # for a few files that were just written: longer means that Syncthing hangs
# The names are part of the URL. Go's HTTP server refuses headers above 1 MB: 11,000 chunk names.
NAMES_PER_SCAN = 1000
EVENTS_SLACK_S = 15.0  # added to the time for which Syncthing holds the request open
CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class _Request:
    """One request; `repeatable` if sending it twice has the same effect as once."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout_s: float = READ_S
    repeatable: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class SyncthingClient:
    """Calls one Syncthing; several threads may use it at once.

    Every method raises SyncthingUnreachable if no Syncthing answers at the address, and
    SyncthingRefused, with the HTTP status, if Syncthing answers with an error.
    """

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._local = threading.local()
        self._my_id = ""
        self._configurations = ConfigurationReader()

    def ping(self) -> None:
        """Return if Syncthing answers and accepts our API key."""
        self._get(wire.read_pong, "/rest/system/ping")

    def version(self) -> str:
        """Syncthing's version, such as "v1.29.5" or, from Debian, "v1.19.2-ds1"."""
        return self._get(wire.read_version, "/rest/system/version")

    def system(self) -> wire.System:
        """Syncthing's own device ID, and when it started."""
        return self._get(wire.read_system, "/rest/system/status")

    def configuration(self, root: Path) -> Configuration:
        """The whole configuration; folders below the directory `root` are ours."""
        my_id = self._own_id()
        return self._get(lambda body: self._configurations.read(body, my_id, root), "/rest/config")

    def put_configuration(self, configuration: Configuration) -> None:
        """Replace the whole configuration; changes that others made since it was read are lost.

        Returns when Syncthing has applied and saved it. Read the configuration back afterwards:
        Syncthing silently corrects values that it does not accept (docs/syncthing.md,
        "Configuration").
        """
        body = configuration.write()
        self._call(_Request("PUT", "/rest/config", body=body, timeout_s=PUT_S))

    def connections(self) -> dict[str, wire.Connection]:
        """Connections by device ID, without our own device."""
        found = self._get(wire.read_connections, "/rest/system/connections")
        my_id = self._own_id()
        return {device: each for device, each in found.items() if device != my_id}

    def pending_devices(self) -> list[wire.PendingDevice]:
        """Devices that dialled us and are not in the configuration, sorted by ID."""
        return self._get(wire.read_pending_devices, "/rest/cluster/pending/devices")

    def pending_folders(self) -> list[wire.PendingFolder]:
        """Folders that known devices offer and that we do not have, sorted by folder and device."""
        return self._get(wire.read_pending_folders, "/rest/cluster/pending/folders")

    def dismiss_device(self, device: str) -> None:
        """Take a device out of the pending ones, until it dials again."""
        path, params = "/rest/cluster/pending/devices", (("device", device),)
        self._call(_Request("DELETE", path, params, repeatable=True))

    def scan(self, folder: str, subs: Sequence[str] = (), next_s: int | None = None) -> None:
        """Scan a folder, or only the paths `subs` in it; returns after the scan.

        `next_s` puts the next regular scan off by this number of seconds. If the call fails, some
        of the paths may have been scanned.
        """
        later = [("next", str(next_s))] if next_s is not None else []
        for start in range(0, max(len(subs), 1), NAMES_PER_SCAN):
            some = [("sub", sub) for sub in subs[start : start + NAMES_PER_SCAN]]
            params = [("folder", folder), *some, *later]
            within = NAMED_SCAN_S if subs else SCAN_S
            self._post("/rest/db/scan", *params, timeout_s=within, repeatable=True)

    def override(self, folder: str) -> None:
        """Make our state of a send-only folder the newest at all devices.

        Returns at once; Syncthing does the work afterwards.
        """
        self._post("/rest/db/override", ("folder", folder))

    def revert(self, folder: str) -> None:
        """Undo local changes in a receive-only folder, and pull what is missing.

        Returns at once; Syncthing does the work afterwards.
        """
        self._post("/rest/db/revert", ("folder", folder))

    def restart(self, folder: str) -> None:
        """Restart a folder that is not paused: it scans, and pulls what it needs."""
        for paused in (True, False):
            body = json.dumps({"paused": paused}).encode()
            self._call(_Request("PATCH", f"/rest/config/folders/{folder}", body=body))

    def folder_status(self, folder: str) -> wire.FolderStatus:
        """The status of a folder; refused with status 404 if no folder has this ID."""
        return self._get(wire.read_folder_status, "/rest/db/status", ("folder", folder))

    def folder_errors(self, folder: str) -> list[wire.FolderError]:
        """The failed items of a folder; refused with status 404 if no folder has this ID."""
        return self._get(wire.read_folder_errors, "/rest/folder/errors", ("folder", folder))

    def needed(self, folder: str, most: int = 1000) -> list[wire.Needed]:
        """Files of which other devices claim to have a newer version, at most `most`."""
        params = (("folder", folder), ("page", "1"), ("perpage", str(most)))
        return self._get(wire.read_needed, "/rest/db/need", *params)

    def holders(self, folder: str, name: str) -> frozenset[str]:
        """IDs of the devices that claim to have the newest version of a file; empty if unknown."""
        try:
            return self._get(wire.read_holders, "/rest/db/file", ("folder", folder), ("file", name))
        except SyncthingRefused as error:
            if error.is_not_found:
                return frozenset()
            raise

    def completion(self, folder: str, device: str) -> wire.Completion:
        """Syncthing's belief about how much of a folder a device has; it proves nothing."""
        params = (("folder", folder), ("device", device))
        return self._get(wire.read_completion, "/rest/db/completion", *params)

    def events(
        self, since: int, timeout_s: int, types: Collection[str]
    ) -> list[wire.SyncthingEvent]:
        """Events of these types with an ID above `since`, oldest first; waits for the first one.

        Empty if no event came within `timeout_s` seconds. Syncthing collects the events of a set of
        types, and counts IDs for it, from the first request on: so make one request before you
        change anything. After a restart of Syncthing the IDs begin at 1 again.
        """
        request = _Request(
            "GET",
            "/rest/events",
            params=(
                ("since", str(since)),
                ("timeout", str(timeout_s)),
                ("events", ",".join(sorted(types))),
            ),
            timeout_s=timeout_s + EVENTS_SLACK_S,
            repeatable=True,
        )
        return self._parsed(wire.read_events, request)

    def shutdown(self) -> None:
        """Ask Syncthing to end; it answers first."""
        self._post("/rest/system/shutdown")

    def _own_id(self) -> str:
        self._my_id = self._my_id or self.system().my_id
        return self._my_id

    def _get(self, parse: Callable[[bytes], T], path: str, *params: tuple[str, str]) -> T:
        return self._parsed(parse, _Request("GET", path, params, repeatable=True))

    def _post(
        self,
        path: str,
        *params: tuple[str, str],
        timeout_s: float = READ_S,
        repeatable: bool = False,
    ) -> None:
        self._call(_Request("POST", path, params, timeout_s=timeout_s, repeatable=repeatable))

    def _parsed(self, parse: Callable[[bytes], T], request: _Request) -> T:
        body = self._call(request)
        try:
            return parse(body)
        except ValueError as error:
            raise SyncthingUnreachable(
                f"{self._url} answered {request}, but not as Syncthing does",
                hint="see whether Syncthing is still starting or another program has its port",
            ) from error

    def _call(self, request: _Request) -> bytes:
        """Send a request and return the body of the answer; errors of `requests` become ours.

        A connection that was kept from an earlier call is dead if Syncthing was restarted since. So
        a repeatable request is sent once more, on a new connection.
        """
        kept = hasattr(self._local, "session")
        try:
            return self._exchange(request)
        except requests.RequestException as error:
            self._forget_session()
            if kept and request.repeatable and _is_connection_lost(error):
                return self._call(request)
            raise SyncthingUnreachable(
                f"Syncthing does not answer at {self._url}: {request}: {_essence(error)}",
                hint="karma-sync status",
            ) from error

    def _exchange(self, request: _Request) -> bytes:
        with self._session().request(
            request.method,
            self._url + request.path,
            params=request.params,
            data=request.body,
            timeout=(CONNECT_S, request.timeout_s),
            stream=True,
            allow_redirects=False,  # the API key must not be sent to another address
        ) as response:
            body = _read_bounded(response, request)
        if not 200 <= response.status_code < 300:
            why = body[:200].decode(errors="replace").strip() or response.reason
            raise SyncthingRefused(
                f"Syncthing refused {request}: {why} ({response.status_code})",
                status=response.status_code,
                hint="see whether the API key is right"
                if response.status_code in {401, 403}
                else "",
            )
        return body

    def _session(self) -> requests.Session:
        """This thread's session: threads must not share a Session of `requests`."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.trust_env = False  # a proxy must not see the API key
            session.headers["X-API-Key"] = self._api_key
            session.headers["Accept-Encoding"] = "identity"
            self._local.session = session
        kept: requests.Session = self._local.session
        return kept

    def _forget_session(self) -> None:
        self._local.session.close()
        del self._local.session


def _read_bounded(response: requests.Response, request: _Request) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise SyncthingError(f"the answer to {request} is larger than {MAX_REPLY_BYTES} bytes")
    return bytes(body)


def _is_connection_lost(error: requests.RequestException) -> bool:
    lost = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, lost) and not isinstance(error, requests.ConnectTimeout)


def _essence(error: requests.RequestException) -> str:
    """The message of the innermost error: `requests` and urllib3 wrap it several times."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return str(inner) or type(inner).__name__
