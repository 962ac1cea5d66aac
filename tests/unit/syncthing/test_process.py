"""Our own Syncthing: found, made, locked, started, watched, ended. All with real ones."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import xml.etree.ElementTree as ET  # noqa: S405 - reads only what our own Syncthing wrote
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from karma_sync.errors import PortTaken, SyncthingError, SyncthingMissing, SyncthingUnreachable
from karma_sync.syncthing.certificate import device_id
from karma_sync.syncthing.client import SyncthingClient
from karma_sync.syncthing.home import (
    ListenSettings,
    configure,
    create_home,
    create_key,
    require_home,
)
from karma_sync.syncthing.process import LOG_BYTES, SyncthingProcess, free_port, require_free
from karma_sync.syncthing.program import environment, find_program
from tests.support.harness import programs

READY_S = 60.0
GRACE_S = 20.0
SOON_S = 30.0


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            p, marks=[pytest.mark.daemon, *([pytest.mark.slow] if n else [])], id=f"program-{n + 1}"
        )
        for n, p in enumerate(programs() or [None])
    ],
)
def program(request: pytest.FixtureRequest) -> Path:
    """Each real Syncthing; it is a failure to have none."""
    if request.param is None:
        pytest.fail("no Syncthing found: install one, or name it in KARMA_SYNC_SYNCTHING")
    return find_program(request.param)


@pytest.fixture
def home(program: Path, tmp_path: Path) -> Path:
    create_home(program, tmp_path / "home")
    return tmp_path / "home"


@dataclass(frozen=True)
class Instance:
    """A Syncthing that runs on `home` and answers at `url`."""

    home: Path
    process: SyncthingProcess
    client: SyncthingClient
    url: str


@pytest.fixture(scope="module")
def shared(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One for all tests that leave it running."""
    home = tmp_path_factory.mktemp("shared") / "home"
    create_home(program, home)
    with running(program, home) as instance:
        yield instance


def quiet_network() -> ListenSettings:
    """On loopback, talking to nobody."""
    listen = (f"tcp://127.0.0.1:{free_port()}",)
    return ListenSettings(free_port(), listen, discovery=False, relays=False, nat=False)


@contextmanager
def running(program: Path, home: Path) -> Iterator[Instance]:
    """A Syncthing started on this home, and ended afterwards."""
    network = quiet_network()
    key = configure(home, network, "alice.mbp")
    process = SyncthingProcess(program, home, network.gui_port, home.parent / "log")
    url = f"http://127.0.0.1:{network.gui_port}"
    client = SyncthingClient(url, key)
    process.start()
    try:
        process.wait_ready(client, READY_S)
        yield Instance(home, process, client, url)
    finally:
        process.stop(GRACE_S)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until this is so; fail if it does not become so."""
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def config(home: Path) -> "ET.ElementTree[ET.Element]":
    return ET.parse(home / "config.xml")  # noqa: S314 - made by our own Syncthing


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def script(path: Path, text: str) -> Path:
    """A program that is not Syncthing."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def processes_on(home: Path) -> list[psutil.Process]:
    """Every process whose command line names this home."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        named = f"--home={home}" in (process.info["cmdline"] or [])
        if named and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


# The program.


def test_the_configured_program_is_used(program: Path) -> None:
    """The program that the person named runs."""
    assert find_program(program) == program


def test_without_a_setting_the_program_on_the_path_is_used(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has to be set where `syncthing` can be called by name."""
    (tmp_path / "syncthing").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_program(None) == tmp_path / "syncthing"


def test_a_missing_program_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on PATH nor where the setting says: the hint is what to type here."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SyncthingMissing, match="not installed") as unset:
        find_program(None)
    with pytest.raises(SyncthingMissing, match="nowhere") as wrong:
        find_program(tmp_path / "nowhere")
    assert re.search(r"install|pacman -S|apk add", unset.value.hint)
    assert wrong.value.hint.endswith(unset.value.hint.partition(";")[0])


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("ID=debian", "sudo apt-get install syncthing"),
        ("ID=ubuntu\nID_LIKE=debian", "sudo apt-get install syncthing"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'", "sudo apt-get install syncthing"),
        ("ID=fedora", "sudo dnf install syncthing"),
        ("ID=rocky\nID_LIKE='rhel centos fedora'", "sudo dnf install syncthing"),
        ("ID=arch", "sudo pacman -S syncthing"),
        ("ID=nixos", "install Syncthing from https://syncthing.net/downloads/"),
    ],
)
def test_the_install_command_is_this_systems(
    system: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint fits the distribution, or the one it is made from."""
    words = dict(line.replace("'", "").split("=") for line in system.splitlines())
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: words)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SyncthingMissing) as missing:
        find_program(None)
    assert missing.value.hint == command


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo 'syncthing v1.18.6 \"Fermium Flea\" (go1.16)'", "too old: syncthing v1.18.6"),
        ("echo 'syncthing v0.14.43 \"x\"'", "too old"),
        ("echo hello", "is not Syncthing: hello"),
        ("exit 3", "ended with 3"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Too old, or not Syncthing at all: the message says what was found."""
    with pytest.raises(SyncthingMissing, match=re.escape(message)):
        find_program(script(tmp_path / "syncthing", text))


@pytest.mark.parametrize("version", ["v1.19.0", "v1.30.0-rc.1", "v2.0.10"])
def test_every_version_from_1_19_on_is_taken(tmp_path: Path, version: str) -> None:
    """1.19, later ones and v2 are accepted by what they print."""
    program = script(tmp_path / "syncthing", f"echo 'syncthing {version} \"Any Name\" (go1.25)'")

    assert find_program(program) == program


def test_syncthing_inherits_nothing_that_makes_it_another_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GUI address, an API key or a home for the person's own Syncthing does not reach ours."""
    for name in ("STGUIADDRESS", "STGUIAPIKEY", "STHOMEDIR", "STDATADIR", "STTRACE"):
        monkeypatch.setenv(name, "x")

    assert "x" not in {v for name, v in environment().items() if name.startswith("ST")}
    assert environment()["PATH"] == os.environ["PATH"]


# The home.


def test_a_key_that_was_made_before_syncthing_was_installed_is_the_one_it_uses(
    program: Path, tmp_path: Path
) -> None:
    home = tmp_path / "early"
    create_key(home)
    own_id = device_id(home)
    modes = {path.stat().st_mode & 0o777 for path in home.iterdir()}

    require_home(program, home)
    create_key(home)

    asked = [str(program), f"--home={home}"]
    told = subprocess.run([*asked, "--device-id"], capture_output=True, text=True, check=False)
    if told.returncode:  # since version 2 it is a command
        told = subprocess.run([*asked, "device-id"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == own_id == device_id(home)
    assert modes == {0o600}


def test_a_home_is_made_for_this_user_alone(program: Path, tmp_path: Path) -> None:
    """Directory 0700, all files 0600, no default folder in the configuration."""
    home = tmp_path / "home"
    own_id = create_home(program, home)

    assert mode(home) == 0o700
    assert {mode(path) for path in home.iterdir()} == {0o600}
    assert re.fullmatch(r"([A-Z2-7]{7}-){7}[A-Z2-7]{7}", own_id)
    assert config(home).find("folder") is None


def test_making_a_home_again_changes_nothing(program: Path, home: Path) -> None:
    """The identity and the configuration of a home stay."""
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    again = create_home(program, home)

    assert {path.name: path.read_bytes() for path in home.iterdir()} == before
    assert again == device_id(home)


def test_a_lost_configuration_is_made_anew_for_the_same_key(program: Path, home: Path) -> None:
    """Without config.xml the next creation writes one and keeps the identity."""
    before = device_id(home)
    (home / "config.xml").unlink()

    assert create_home(program, home) == before
    assert (home / "config.xml").exists()


@pytest.mark.parametrize("damage", ["empty", "missing", "foreign"])
def test_a_damaged_key_is_never_replaced(
    program: Path, home: Path, tmp_path: Path, damage: str
) -> None:
    """Syncthing would make a new identity, unknown to all peers: we stop and say so."""
    create_home(program, tmp_path / "other")
    key = home / "key.pem"
    if damage == "empty":
        key.write_bytes(b"")
    elif damage == "missing":
        key.unlink()
    else:
        key.write_bytes((tmp_path / "other" / "key.pem").read_bytes())
    certificate = (home / "cert.pem").read_bytes()

    with pytest.raises(SyncthingError, match="damaged") as damaged:
        create_home(program, home)
    assert "backup" in damaged.value.hint
    assert (home / "cert.pem").read_bytes() == certificate


def test_the_device_id_is_the_one_syncthing_computes(shared: Instance) -> None:
    """Our computation and Syncthing's own agree, in config.xml and in the running instance."""
    computed = device_id(shared.home)

    assert [d.get("id") for d in config(shared.home).iterfind("device")] == [computed]
    assert shared.client.system().my_id == computed


def test_a_home_without_certificate_has_no_device_id(tmp_path: Path) -> None:
    """There the error says what to do first."""
    with pytest.raises(SyncthingError, match="is gone or damaged") as missing:
        device_id(tmp_path)
    assert "from a backup" in missing.value.hint


def test_a_damaged_configuration_is_one_plain_error(home: Path) -> None:
    """A file that is no XML is named, not overwritten."""
    (home / "config.xml").write_text("<configuration>")

    with pytest.raises(SyncthingError, match=r"config\.xml cannot be read"):
        configure(home, quiet_network(), "alice.mbp")
    assert (home / "config.xml").read_text() == "<configuration>"


@pytest.mark.parametrize("on", [True, False])
def test_the_network_is_what_the_settings_say(home: Path, on: bool) -> None:
    """Discovery, relays and NAT are on or off together with all that belongs to them, again and
    again; the rest of the person's configuration stays.
    """
    tree = config(home)
    theme = tree.find("gui/theme")
    assert theme is not None
    theme.text = "black"
    tree.write(home / "config.xml")
    configure(home, ListenSettings(8390, ("default",), not on, not on, not on), "old.name")
    listen = ("tcp://0.0.0.0:22001", "quic://0.0.0.0:22001")
    configure(home, ListenSettings(8391, listen, on, on, on), "alice.mbp")

    tree = config(home)
    options = {e.tag: e.text for e in tree.iterfind("options/*")}
    switches = ["globalAnnounceEnabled", "localAnnounceEnabled", "announceLANAddresses"]
    for switch in [*switches, "relaysEnabled", "natEnabled"]:
        assert options[switch] == str(on).lower(), switch
    assert (options["stunKeepaliveStartS"] == "0") is not on
    assert tuple(e.text for e in tree.iterfind("options/listenAddress")) == listen
    assert options["startBrowser"] == options["crashReportingEnabled"] == "false"
    assert (options["urAccepted"], options["autoUpgradeIntervalH"]) == ("-1", "0")
    assert tree.findtext("gui/address") == "127.0.0.1:8391"
    assert tree.findtext("gui/theme") == "black"
    assert [d.get("name") for d in tree.iterfind("device")] == ["alice.mbp"]


def test_configuring_twice_writes_once(home: Path) -> None:
    """No difference, no write; the key stays the same, and the file readable by us alone."""
    network = quiet_network()
    key = configure(home, network, "alice.mbp")
    before = (home / "config.xml").stat()
    again = configure(home, network, "alice.mbp")

    assert again == key
    assert len(key) == 32
    assert (home / "config.xml").stat().st_mtime_ns == before.st_mtime_ns
    assert mode(home / "config.xml") == 0o600


def test_an_existing_password_is_kept(home: Path) -> None:
    """A person's own user name and password for the GUI survive, and so does ours."""
    configure(home, quiet_network(), "alice.mbp")
    ours = config(home).findtext("gui/password")
    configure(home, quiet_network(), "alice.mbp")
    tree = config(home)
    user, password = tree.find("gui/user"), tree.find("gui/password")
    assert user is not None
    assert password is not None
    kept = password.text
    user.text, password.text = "alice", "$2a$10$hers"
    tree.write(home / "config.xml")
    configure(home, quiet_network(), "alice.mbp")

    tree = config(home)
    assert re.fullmatch(r"\$2a\$10\$[./A-Za-z0-9]{53}", ours or "")
    assert kept == ours
    assert tree.findtext("gui/user") == "alice"
    assert tree.findtext("gui/password") == "$2a$10$hers"


# The process.


def test_it_runs_as_configured(shared: Instance) -> None:
    """One process, no folders and devices but its own, files and log for this user alone."""
    [only] = processes_on(shared.home)
    configuration = shared.client.configuration(shared.home)
    log = shared.home.parent / "log"

    assert only.pid == shared.process.pid
    assert only.children() == []
    assert shared.process.poll() is None
    assert configuration.devices == frozenset()
    assert configuration.folders == frozenset()
    assert {mode(path) & 0o077 for path in [log, shared.home, *shared.home.iterdir()]} == {0}


def test_the_password_closes_the_gui_and_the_key_still_opens_it(shared: Instance) -> None:
    """A local process without the key gets no session and no configuration, neither by the CSRF
    cookie of the start page nor by guessing; the key works, also after a PUT.
    """
    hashed = config(shared.home).findtext("gui/password") or ""
    secret = config(shared.home).findtext("gui/apikey") or ""
    with requests.Session() as intruder:
        intruder.trust_env = False
        start = intruder.get(shared.url, timeout=10)
        tokens = {f"X-{name}": value for name, value in intruder.cookies.items()}
        url = f"{shared.url}/rest/config"
        tried = [
            intruder.get(url, timeout=10),
            intruder.get(url, headers=tokens, timeout=10),
            intruder.get(url, auth=("karma-sync", hashed), timeout=10),
            intruder.get(url, auth=("karma-sync", ""), timeout=10),
            intruder.post(
                f"{shared.url}/rest/noauth/auth/password",
                json={"username": "karma-sync", "password": hashed},
                headers=tokens,
                timeout=10,
            ),
        ]
    shared.client.put_configuration(shared.client.configuration(shared.home))
    shared.client.ping()

    assert {answer.status_code for answer in tried} <= {401, 403}
    assert start.status_code in {200, 401}
    assert secret
    assert secret not in "".join(answer.text for answer in [start, *tried])
    assert config(shared.home).findtext("gui/password") == hashed


def test_a_kill_is_seen(program: Path, home: Path) -> None:
    """After kill -9 poll tells the signal, and the same object can start it again."""
    with running(program, home) as instance:
        process = instance.process
        os.kill(process.pid or 0, signal.SIGKILL)
        eventually(lambda: process.poll() is not None)
        code = process.poll()
        process.start()
        process.wait_ready(instance.client, READY_S)

        assert code == -signal.SIGKILL
        assert process.poll() is None


def test_shutdown_by_rest_ends_it_with_0(program: Path, home: Path) -> None:
    """Asked over REST, Syncthing ends by itself and orderly."""
    with running(program, home) as instance:
        instance.client.shutdown()
        eventually(lambda: instance.process.poll() is not None)

        assert instance.process.poll() == 0


def test_a_second_start_of_a_running_one_is_our_mistake(shared: Instance) -> None:
    """Starting what runs is refused and leaves it running."""
    with pytest.raises(RuntimeError, match="already running"):
        shared.process.start()
    shared.client.ping()


def test_stop_leaves_no_process(program: Path, home: Path) -> None:
    """When stop returns, nothing runs on this home; stopping again does nothing."""
    with running(program, home) as instance:
        instance.process.stop(GRACE_S)
        left = processes_on(home)
        instance.process.stop(GRACE_S)

        assert left == []
        assert instance.process.poll() == 0
        with pytest.raises(SyncthingUnreachable):
            instance.client.ping()


def test_stop_uses_force_when_asked_nicely_in_vain(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed when the grace is over."""
    (tmp_path / "home").mkdir()
    marker = tmp_path / "ready"
    deaf = script(tmp_path / "deaf", f"trap '' TERM; : > {marker}; while :; do sleep 0.05; done")
    process = SyncthingProcess(deaf, tmp_path / "home", free_port(), tmp_path / "log")
    process.start()
    eventually(marker.exists)
    process.stop(0.1)

    assert process.poll() == -signal.SIGKILL


def test_an_orphan_is_ended_by_the_next_start(program: Path, home: Path) -> None:
    """A Syncthing left on our home by an earlier life does not keep the new one from starting."""
    with running(program, home) as lost, running(program, home) as found:
        eventually(lambda: lost.process.poll() is not None)

        assert [p.pid for p in processes_on(home)] == [found.process.pid]


def test_a_stranger_that_bears_an_orphans_number_lives_on(program: Path, home: Path) -> None:
    """A process number used again by another program is not ours to end."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (home / "karma-sync.pid").write_text(str(stranger.pid))
        with running(program, home):
            alive = stranger.poll() is None
        stranger.kill()

        assert alive


HOLDER = """
import sys, threading
from pathlib import Path
from karma_sync.syncthing.process import SyncthingProcess
program, home, port, log = sys.argv[1:]
process = SyncthingProcess(Path(program), Path(home), int(port), Path(log))
starter = threading.Thread(target=process.start)
starter.start()
starter.join()
print(process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has parent-death signals")
def test_it_dies_with_us_and_not_with_the_thread_that_started_it(
    program: Path, home: Path, tmp_path: Path
) -> None:
    """It outlives the thread that called start, and ends when we are killed with -9."""
    network = quiet_network()
    key = configure(home, network, "alice.mbp")
    arguments = [str(program), str(home), str(network.gui_port), str(tmp_path / "log")]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        client = SyncthingClient(f"http://127.0.0.1:{network.gui_port}", key)
        eventually(lambda: answers(client))
        holder.kill()
    eventually(lambda: not psutil.pid_exists(pid) or not processes_on(home))

    assert processes_on(home) == []


def answers(client: SyncthingClient) -> bool:
    try:
        client.ping()
    except SyncthingUnreachable:
        return False
    return True


def test_an_early_end_is_told_with_the_logs_own_words(
    program: Path, home: Path, tmp_path: Path
) -> None:
    """If Syncthing ends while starting, the error carries its exit code and last complaint."""
    network = quiet_network()
    key = configure(home, network, "alice.mbp")
    (home / "config.xml").write_text("<configuration")
    process = SyncthingProcess(program, home, network.gui_port, tmp_path / "log")
    process.start()

    with pytest.raises(SyncthingError, match="ended with code 1 while starting: .*XML") as failed:
        process.wait_ready(SyncthingClient(f"http://127.0.0.1:{network.gui_port}", key), READY_S)
    assert str(tmp_path / "log") in failed.value.hint


def test_a_home_that_a_newer_syncthing_has_used_is_named(
    program: Path, home: Path, tmp_path: Path
) -> None:
    network = quiet_network()
    key = configure(home, network, "alice.mbp")
    config = home / "config.xml"
    config.write_text(re.sub(r'version="\d+"', 'version="999"', config.read_text(), count=1))
    process = SyncthingProcess(program, home, network.gui_port, tmp_path / "log")
    process.start()

    with pytest.raises(SyncthingError, match=r"version \(999\) is newer") as failed:
        process.wait_ready(SyncthingClient(f"http://127.0.0.1:{network.gui_port}", key), READY_S)
    assert failed.value.hint == (
        "a newer Syncthing has used this home: install that version again, or name it in"
        " KARMA_SYNC_SYNCTHING"
    )


V2_LOG = """\
2026-08-01 10:00:00 INF syncthing v2.1.3 "Hafnium Hornet" (log.pkg=main)
2026-08-01 10:00:01 WRN Syncthing should not run as a privileged user (log.pkg=syncthing)
2026-08-01 10:00:02 ERR Failed to start API (error="address already in use" log.pkg=api)
2026-08-01 10:00:03 INF Exiting (log.pkg=syncthing)
"""


def test_the_log_of_v2_is_understood_too(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "told").write_text(V2_LOG)
    program = script(tmp_path / "syncthing", f"cat {tmp_path / 'told'}; exit 1")
    port = free_port()
    process = SyncthingProcess(program, tmp_path / "home", port, tmp_path / "log")
    process.start()

    with pytest.raises(SyncthingError) as failed:
        process.wait_ready(SyncthingClient(f"http://127.0.0.1:{port}", "key"), READY_S)
    assert str(failed.value).endswith(
        "while starting: WRN Syncthing should not run as a privileged user;"
        ' ERR Failed to start API (error="address already in use")'
    )


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """A running process without an answer is given up after the deadline, with the last reason."""
    (tmp_path / "home").mkdir()
    silent = script(tmp_path / "silent", "exec sleep 60")
    port = free_port()
    process = SyncthingProcess(silent, tmp_path / "home", port, tmp_path / "log")
    process.start()

    with pytest.raises(SyncthingUnreachable, match="within 0.2 seconds: .*refused"):
        process.wait_ready(SyncthingClient(f"http://127.0.0.1:{port}", "key"), 0.2)
    process.stop(GRACE_S)


def test_a_program_that_vanished_is_an_early_end(tmp_path: Path) -> None:
    """A Syncthing uninstalled since it was found is named in the error."""
    (tmp_path / "home").mkdir()
    port = free_port()
    process = SyncthingProcess(tmp_path / "gone", tmp_path / "home", port, tmp_path / "log")

    with pytest.raises(SyncthingError, match="cannot .*run"):
        process.start()
        process.wait_ready(SyncthingClient(f"http://127.0.0.1:{port}", "key"), READY_S)


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    """Above 1 MB the log begins anew, at a start and while it is watched."""
    (tmp_path / "home").mkdir()
    log = tmp_path / "log"
    log.write_bytes(b"x" * (LOG_BYTES + 1))
    chatty = script(tmp_path / "chatty", "echo started; exec sleep 60")
    process = SyncthingProcess(chatty, tmp_path / "home", free_port(), log)
    process.start()
    eventually(lambda: log.read_bytes() == b"started\n")
    log.write_bytes(b"x" * (LOG_BYTES + 1))
    process.poll()
    process.stop(GRACE_S)

    assert log.read_bytes() == b""


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    """The error names the port and the setting; nothing is started."""
    (tmp_path / "home").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = SyncthingProcess(Path("/bin/true"), tmp_path / "home", port, tmp_path / "log")
        with pytest.raises(PortTaken, match=str(port)) as taken:
            require_free(port, "network.port")
        with pytest.raises(PortTaken):
            process.start()

    assert "set network.port" in taken.value.hint
    assert process.pid is None
    require_free(port, "network.port")


def test_a_free_port_can_be_used() -> None:
    """The ports that are offered are free, and each is offered once."""
    ports = [free_port() for _ in range(100)]
    for port in ports:
        require_free(port, "network.port")

    assert len(set(ports)) == 100


def test_a_port_that_is_for_something_else_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    port, *others = [free_port() for _ in range(4)]
    monkeypatch.setattr("karma_sync.syncthing.process._HANDED_OUT", set())

    assert free_port([port, *others], but=port) == others[0]


def test_a_preferred_port_is_offered_while_nobody_has_it() -> None:
    """The first free one of those preferred, else another."""
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_server(("127.0.0.1", 0)) as gone,
    ):
        taken, wanted = other.getsockname()[1], gone.getsockname()[1]
        gone.close()

        assert free_port([taken, wanted]) == wanted
        assert free_port([taken]) != taken
