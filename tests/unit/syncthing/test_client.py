"""The REST client: one contract, held by recorded answers and by each real Syncthing found."""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import responses

from karma_sync.channel.layout import chunk_name
from karma_sync.domain.mesh.channels import Device
from karma_sync.domain.mesh.plan import Folder, FolderType
from karma_sync.errors import SyncthingError, SyncthingRefused, SyncthingUnreachable
from karma_sync.syncthing.client import MAX_REPLY_BYTES, SyncthingClient
from karma_sync.syncthing.configuration import with_changes
from karma_sync.syncthing.home import ListenSettings, configure, create_home
from karma_sync.syncthing.process import SyncthingProcess, free_port
from karma_sync.syncthing.wire import FolderError, FolderStatus, PendingFolder

OUTBOX = "ks-c-outbox"
INBOX = "ks-c-inbox"
READY_S = 60.0
SOON_S = 30.0


@dataclass(frozen=True)
class Rig:
    """A Syncthing under test, `me`.

    It has OUTBOX with one good file and one that cannot be synced, shared with `peer`, which is
    connected and offers INBOX; `stranger` has dialled it. `touch` changes a file in OUTBOX, and has
    it scanned behind other names.
    """

    client: SyncthingClient
    with_key: Callable[[str], SyncthingClient]
    root: Path
    me: str
    peer: str
    stranger: str
    touch: Callable[..., None]


def real_programs() -> list[Path | None]:
    """KARMA_SYNC_SYNCTHING or the one on PATH, and KARMA_SYNC_SYNCTHING_2; [None] if none."""
    first = os.environ.get("KARMA_SYNC_SYNCTHING") or shutil.which("syncthing")
    found = [first, os.environ.get("KARMA_SYNC_SYNCTHING_2")]
    return [Path(program) for program in found if program] or [None]


@pytest.fixture(
    scope="module",
    params=[
        "canned",
        *(pytest.param(p, marks=pytest.mark.daemon, id=str(p)) for p in real_programs()),
    ],
)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The same situation, canned and real."""
    where = tmp_path_factory.mktemp("rig")
    if request.param == "canned":
        with responses.RequestsMock(
            assert_all_requests_are_fired=False,
            passthru_prefixes=("http://127.0.0.1",),  # other tests run meanwhile
        ) as canned:
            yield canned_rig(canned, where)
    elif request.param is None:
        pytest.fail("no Syncthing found: install one, or name it in KARMA_SYNC_SYNCTHING")
    else:
        with real_rig(request.param, where) as real:
            yield real


# The recorded one: answers of 1.29.5, shortened.

URL = "http://syncthing.test"
ME, PEER, STRANGER = "ALICE-1", "BOB-1", "CAROL-1"
NOW = "2026-08-01T14:00:00.123456789+02:00"
OFFER = {"offeredBy": {PEER: {"time": NOW, "label": INBOX, "receiveEncrypted": False}}}


def canned_rig(canned: responses.RequestsMock, root: Path) -> Rig:
    answers: dict[str, Any] = {
        "system/ping": {"ping": "pong"},
        "system/version": {"version": "v1.29.5", "os": "linux"},
        "system/status": {"myID": ME, "startTime": NOW, "uptime": 5},
        "system/connections": {
            "connections": {
                ME: {"connected": False, "address": ""},
                PEER: {"connected": True, "address": "127.0.0.1:9", "clientVersion": "v1.29.5"},
            }
        },
        "cluster/pending/devices": {
            STRANGER: {"time": NOW, "name": "carol", "address": "127.0.0.1:9"}
        },
        "cluster/pending/folders": {INBOX: OFFER},
        "db/completion": {
            "completion": 0,
            "needItems": 1,
            "needBytes": 4,
            "remoteState": "unknown",
        },
    }
    of_folder: dict[str, Any] = {
        "db/status": {
            "state": "idle",
            "error": "",
            "globalFiles": 1,
            "sequence": 1,
            "pullErrors": 1,
        },
        "folder/errors": {"errors": [{"path": "bad\ufffd", "error": "not in UTF8 encoding"}]},
    }
    config = {"devices": [{"deviceID": ME}, {"deviceID": PEER, "name": "peer"}], "folders": []}
    kept = {"config": json.dumps(config)}

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        path = request.path_url.partition("?")[0].removeprefix("/rest/")
        if request.headers["X-API-Key"] != "key":
            return 403, {}, "Forbidden"
        if path == "config":
            kept["config"] = request.body if request.method == "PUT" else kept["config"]
            return 200, {}, kept["config"]
        if path == "events":
            quiet = "FolderPaused" in request.params["events"]
            event = {"id": 2, "type": "LocalIndexUpdated", "data": {"folder": OUTBOX}}
            return 200, {}, json.dumps([] if quiet else [event])
        if path == "db/scan" or path in of_folder:
            if request.params["folder"] != OUTBOX:
                return 500 if path == "db/scan" else 404, {}, "no such folder"
            return 200, {}, json.dumps(of_folder.get(path))
        return 200, {}, json.dumps(answers.get(path))

    for method in ("GET", "POST", "PUT"):
        canned.add_callback(method, re.compile(URL), callback=answer)
    return Rig(
        client=SyncthingClient(URL, "key"),
        with_key=lambda key: SyncthingClient(URL, key),
        root=root,
        me=ME,
        peer=PEER,
        stranger=STRANGER,
        touch=lambda *_: None,
    )


# The real one: three Syncthings on loopback.


@dataclass(frozen=True)
class Node:
    process: SyncthingProcess
    client: SyncthingClient
    url: str
    device: Device
    root: Path


def start_node(program: Path, where: Path) -> Node:
    home, port, gui = where / "home", free_port(), free_port()
    where.mkdir()
    device = create_home(program, home)
    address = f"tcp://127.0.0.1:{port}"
    key = configure(home, ListenSettings(gui, (address,), False, False, False), where.name)
    process = SyncthingProcess(program, home, gui, where / "log")
    process.start()
    url = f"http://127.0.0.1:{gui}"
    (where / "root").mkdir()
    return Node(
        process,
        SyncthingClient(url, key),
        url,
        Device(device, where.name, (address,)),
        where / "root",
    )


@contextmanager
def real_rig(program: Path, where: Path) -> Iterator[Rig]:
    with ExitStack() as cleanup:
        nodes = []
        for name in ("me", "peer", "stranger"):
            nodes.append(start_node(program, where / name))
            cleanup.callback(nodes[-1].process.stop, 1.5)  # else 10 s for the one that is rejected
        for node in nodes:
            node.process.wait_ready(node.client, READY_S)
        me, peer, stranger = nodes
        outbox = me.root / OUTBOX
        outbox.mkdir()
        (outbox / "good").write_text("good")
        Path(os.fsdecode(bytes(outbox / "bad") + b"\xff")).write_text("bad")
        # Only `me` dials, and only when `peer` knows it: two that dial each other at once both use
        # their listen port as source, meet in one TCP connection and may need half a minute.
        waiting = replace(me.device, addresses=("dynamic",))
        put(peer, waiting, Folder(INBOX, FolderType.SEND_ONLY, frozenset({me.device.id})))
        put(me, peer.device, Folder(OUTBOX, FolderType.SEND_ONLY, frozenset({peer.device.id})))
        put(stranger, me.device, None)
        eventually(lambda: me.client.connections()[peer.device.id].connected)
        yield Rig(
            client=me.client,
            with_key=lambda key: SyncthingClient(me.url, key),
            root=me.root,
            me=me.device.id,
            peer=peer.device.id,
            stranger=stranger.device.id,
            touch=lambda *before: touch(me.client, outbox / "good", before),
        )


def put(node: Node, device: Device, folder: Folder | None) -> None:
    configuration = with_changes(
        node.client.configuration(node.root),
        put_devices=[device],
        put_folders={folder: node.root / folder.id} if folder else {},
    )
    node.client.put_configuration(configuration)


def touch(client: SyncthingClient, path: Path, before: Sequence[str] = ()) -> None:
    path.write_text(f"changed {time.monotonic_ns()}")
    client.scan(OUTBOX, subs=[*before, path.name])


def eventually(condition: Callable[[], object]) -> None:
    """Wait until this is so; fail if it does not become so."""
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


# The contract.


def test_tells_its_version(rig: Rig) -> None:
    """Syncthing answers a ping and says which version it is."""
    rig.client.ping()

    assert rig.client.version().startswith("v")


def test_tells_who_it_is_and_since_when(rig: Rig) -> None:
    """The own device ID, and a start time in UTC."""
    system = rig.client.system()

    assert system.my_id == rig.me
    assert system.start_time.utcoffset() == timedelta(0)


def test_refuses_a_wrong_key(rig: Rig) -> None:
    """Without the right API key there is an error that says so."""
    with pytest.raises(SyncthingRefused, match="refused") as refused:
        rig.with_key("wrong").system()

    assert refused.value.status in {401, 403}
    assert "API key" in refused.value.hint


def test_lists_the_peer_and_not_itself(rig: Rig) -> None:
    """Connections are those of the others; an address is there once connected."""
    eventually(lambda: rig.client.connections()[rig.peer].connected)
    connections = rig.client.connections()

    assert set(connections) == {rig.peer}
    assert connections[rig.peer].connected
    assert connections[rig.peer].address
    assert connections[rig.peer].client_version.startswith("v")


def test_lists_a_stranger_who_dialled(rig: Rig) -> None:
    """An unknown device is pending, with the name it gives itself."""
    eventually(rig.client.pending_devices)

    [pending] = rig.client.pending_devices()
    assert pending.id == rig.stranger
    assert pending.name in {"stranger", "carol"}


def test_lists_a_folder_that_the_peer_offers(rig: Rig) -> None:
    """An unknown folder is pending, with the device that offers it."""
    eventually(rig.client.pending_folders)

    [pending] = rig.client.pending_folders()
    assert pending == PendingFolder(id=INBOX, label=INBOX, offered_by=rig.peer, time=pending.time)


def test_what_was_put_reads_back_equal(rig: Rig) -> None:
    """Devices and folders that were put are what the next reading shows, each folder sound."""
    before = rig.client.configuration(rig.root)
    device = Device(rig.peer, "new name", ("tcp://127.0.0.1:9", "dynamic", "tcp://127.0.0.1:8"))
    folders = {
        Folder("ks-c-1", FolderType.RECEIVE_ONLY, frozenset({rig.peer})),
        Folder("ks-c-2", FolderType.SEND_RECEIVE, frozenset(), paused=True),
    }
    rig.client.put_configuration(
        with_changes(
            before, put_devices=[device], put_folders={f: rig.root / f.id for f in folders}
        )
    )
    after = rig.client.configuration(rig.root)
    rig.client.put_configuration(before)

    assert after.devices == {device}
    assert after.folders == before.folders | folders
    assert rig.client.configuration(rig.root).folders == before.folders


def test_a_scanned_folder_is_idle(rig: Rig) -> None:
    """After a scan the folder has its good file, needs nothing, and counts the bad one."""
    rig.client.scan(OUTBOX, next_s=3600)
    eventually(lambda: rig.client.folder_status(OUTBOX).state == "idle")

    status = rig.client.folder_status(OUTBOX)
    assert status.sequence >= 1
    assert status == FolderStatus(
        state="idle",
        global_files=1,
        global_bytes=status.global_bytes,
        local_bytes=status.global_bytes,
        sequence=status.sequence,
        pull_errors=1,
    )


def test_scans_more_names_than_one_request_can_hold(rig: Rig) -> None:
    """A session of 5 GB has 19,000 chunks; their names are more than Syncthing reads at once."""
    before = rig.client.folder_status(OUTBOX).sequence
    rig.touch(*(chunk_name(f"{number:064x}") for number in range(19_000)))

    is_real = (rig.root / OUTBOX).exists()
    assert (rig.client.folder_status(OUTBOX).sequence > before) is is_real


def test_names_the_item_that_cannot_be_synced(rig: Rig) -> None:
    """A name that is not UTF-8 is reported with the reason."""
    rig.client.scan(OUTBOX)

    [error] = rig.client.folder_errors(OUTBOX)
    assert error == FolderError(path=error.path, error=error.error)
    assert error.path.startswith("bad")
    assert "UTF8" in error.error


def test_says_what_a_device_is_believed_to_have(rig: Rig) -> None:
    """Percent, bytes and items fit each other; how the device stands is said since 1.20."""
    completion = rig.client.completion(OUTBOX, rig.peer)

    assert 0 <= completion.completion <= 100
    assert (completion.completion == 100) == (completion.need_items == 0)
    assert (completion.need_bytes > 0) == (completion.need_items > 0)
    assert completion.remote_state in {None, "unknown", "notSharing", "valid"}


def test_an_unknown_folder_is_refused_with_its_status(rig: Rig) -> None:
    """Asked for a folder that is not there, Syncthing's own status and words arrive."""
    with pytest.raises(SyncthingRefused, match="no such folder") as status:
        rig.client.folder_status("ks-none/../&x")
    with pytest.raises(SyncthingRefused) as errors:
        rig.client.folder_errors("ks-none")
    with pytest.raises(SyncthingRefused) as scan:
        rig.client.scan("ks-none")

    assert [e.value.status for e in (status, errors, scan)] == [404, 404, 500]


def test_override_and_revert_return_at_once(rig: Rig) -> None:
    """Both are orders that Syncthing carries out later."""
    rig.client.override(OUTBOX)
    rig.client.revert(OUTBOX)


def test_an_event_tells_its_folder(rig: Rig) -> None:
    """Asked first and then changed, a folder's change arrives as an event with its id."""
    types = {"LocalIndexUpdated"}
    last = max((event.id for event in rig.client.events(0, 1, types)), default=0)
    rig.touch()
    events = rig.client.events(last, 10, types)

    assert events[-1].type == "LocalIndexUpdated"
    assert events[-1].folder == OUTBOX
    assert events[-1].id > last or rig.me == ME


def test_no_event_is_an_empty_answer(rig: Rig) -> None:
    """If nothing happens, an empty list is returned when the time is over."""
    assert rig.client.events(0, 1, {"FolderPaused"}) == []


# What only the client decides, against a server that misbehaves.


class Server(ThreadingHTTPServer):
    """Answers every request with `reply`; drops the connection at its second if `drops`.

    It answers only while `answers` is set.
    """

    daemon_threads = True
    reply: tuple[int, bytes] = (200, b'{"ping": "pong"}')
    drops = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.connections = 0
        self.answers = threading.Event()
        self.answers.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.first = True

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(f"{self.command} {self.path}")
        if self.server.drops and not self.first:
            self.close_connection = True
            return
        self.first = False
        self.server.answers.wait()
        status, body = self.server.reply
        self.send_response(status)
        self.send_header("Location", "/rest/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_what_is_harmless_is_repeated_once_on_a_dead_connection(server: Server) -> None:
    """After a restart of Syncthing the kept connection is dead: reading and scanning still work."""
    client = SyncthingClient(server.url, "key")
    server.drops = True
    client.ping()
    client.ping()
    client.scan("f", subs=["a b", "c"], next_s=5)

    scan = "POST /rest/db/scan?folder=f&sub=a+b&sub=c&next=5"
    assert server.requests == ["GET /rest/system/ping"] * 3 + [scan] * 2


def test_a_scan_of_named_files_is_not_waited_for_without_end(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Syncthing that hangs must not hold up who could go on without it."""
    monkeypatch.setattr("karma_sync.syncthing.client.NAMED_SCAN_S", 0.1)
    server.answers.clear()
    try:
        with pytest.raises(SyncthingUnreachable, match="timed out"):
            SyncthingClient(server.url, "key").scan("f", subs=["a"])
    finally:
        server.answers.set()
    assert server.requests == ["POST /rest/db/scan?folder=f&sub=a"]


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.override("f"),
        lambda client: client.revert("f"),
        lambda client: client.shutdown(),
    ],
    ids=["override", "revert", "shutdown"],
)
def test_what_could_do_harm_is_never_repeated(
    server: Server, act: Callable[[SyncthingClient], None]
) -> None:
    """An order that may have been carried out is not given again: the caller hears of it."""
    client = SyncthingClient(server.url, "key")
    server.drops = True
    client.ping()

    with pytest.raises(SyncthingUnreachable):
        act(client)
    assert len(server.requests) == 2


def test_each_thread_has_a_connection_of_its_own_and_keeps_it(server: Server) -> None:
    """Two threads use two connections; many calls of one thread use one."""
    client = SyncthingClient(server.url, "key")
    together = threading.Barrier(2)

    def call() -> None:
        together.wait()
        for _ in range(5):
            client.ping()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(call), pool.submit(call)]:
            done.result()

    assert len(server.requests) == 10
    assert server.connections == 2


def test_a_redirect_is_not_followed(server: Server) -> None:
    """The API key goes nowhere but to the address it belongs to."""
    server.reply = (302, b"")

    with pytest.raises(SyncthingRefused) as refused:
        SyncthingClient(server.url, "key").ping()
    assert refused.value.status == 302
    assert len(server.requests) == 1


def test_a_proxy_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment does not get to see what is said on loopback."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    SyncthingClient(server.url, "key").ping()

    assert server.requests == ["GET /rest/system/ping"]


def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    """An answer above the limit is an error, whatever size it announced."""
    server.reply = (200, b" " * (MAX_REPLY_BYTES + 1))

    with pytest.raises(SyncthingError, match="larger"):
        SyncthingClient(server.url, "key").ping()


def test_an_answer_of_another_program_is_no_syncthing(server: Server) -> None:
    """A program that took the port, or v2 while it migrates, counts as not reachable."""
    server.reply = (200, b"*** Database migration in progress ***")

    with pytest.raises(SyncthingUnreachable, match="not as Syncthing does"):
        SyncthingClient(server.url, "key").ping()


def test_nobody_there_is_one_plain_error() -> None:
    """If nothing listens, the message names the request, the address and the reason."""
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(SyncthingUnreachable, match="Connection refused") as unreachable:
        SyncthingClient(url, "key").ping()
    assert url in str(unreachable.value)
    assert "GET /rest/system/ping" in str(unreachable.value)
