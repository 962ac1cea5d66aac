"""The service: what systemd and launchd are given to read, and what they are told to do.

The rendered unit is read by the real `systemd-analyze`. Neither manager runs where tests do: in
their place stand programs of the same names that write down how they were called. The stand-in
for systemctl starts and stops a real daemon.
"""

import itertools
import json
import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from karma_sync.daemon.autostart import Launchd, Systemd, autostart
from karma_sync.daemon.service_units import Launch, launchd_plist, service_name, systemd_unit
from karma_sync.errors import BadInput, KarmaError, NotFound
from karma_sync.paths import Paths
from tests.support.harness import Member, until
from tests.support.town import Town

ANALYZE = shutil.which("systemd-analyze")
ODD = "a b%c$HOME;#{x} é"  # what systemd, a shell or a template could give a meaning to
QUOTES = "d\"e'f\\g"  # what systemd refuses in the path of a program
ANALYZE_S = 60
COMMAND_S = 60
NUMBERS = itertools.count()

needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")

# Answers from answers.json by verb, [code, output, errors]; `start` and `stop` really do it if
# the file `daemon` is there.
STAND_IN = """#!{python}
import json, pathlib, subprocess, sys
here = pathlib.Path({here!r})
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
verb = next((a for a in arguments if not a.startswith("-")), "")
with (here / "calls").open("a") as out:
    out.write(json.dumps([name, *arguments]) + "\\n")
answers = json.loads((here / "answers.json").read_text())
code, said, complaint = answers.get(f"{{name}} {{verb}}", [0, "", ""])
if (here / "daemon").exists():
    home = pathlib.Path((here / "daemon").read_text())
    if verb in ("start", "stop"):
        command = {{"start": ["up", "-d"], "stop": ["down"]}}[verb]
        subprocess.run([sys.executable, "-m", "karma_sync", *command], check=True, stdout=2)
        pid = json.loads((home / "daemon.json").read_text())["pid"] if verb == "start" else 0
        (here / "pid").write_text(str(pid))
    if verb == "show":
        pid = (here / "pid").read_text() if (here / "pid").exists() else "0"
        said = f"ActiveState=active\\nSubState=running\\nMainPID={{pid}}\\nUnitFileState=enabled\\n"
sys.stdout.write(said)
sys.stderr.write(complaint)
sys.exit(code)
"""


class Manager:
    """Stand-ins for the managers' programs, and what they were told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._answers: dict[str, tuple[int, str, str]] = {}
        for name in ("systemctl", "loginctl", "journalctl", "launchctl"):
            program = folder / name
            program.write_text(STAND_IN.format(python=sys.executable, here=str(folder)))
            program.chmod(0o755)
        self.answer("loginctl show-user", "no\n")

    def answer(self, verb: str, said: str = "", *, code: int = 0, complaint: str = "") -> None:
        """From now on, say this when told that ("systemctl start")."""
        self._answers[verb] = (code, said, complaint)
        (self.folder / "answers.json").write_text(json.dumps(self._answers))

    def run_daemon_of(self, home: Path) -> None:
        """From now on, start and stop that home's daemon."""
        (self.folder / "daemon").write_text(str(home))

    @property
    def calls(self) -> list[list[str]]:
        """Every call, oldest first, without those that only ask."""
        lines = (self.folder / "calls").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [call for call in found if not {"show", "show-user", "print"} & set(call)]

    @property
    def search_path(self) -> str:
        """PATH, with the stand-ins first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    found = Manager(tmp_path / "programs")
    monkeypatch.setenv("PATH", found.search_path)
    return found


@pytest.fixture
def member(town: Town, manager: Manager) -> Iterator[Member]:
    """A member for whom `systemctl` starts and stops the daemon."""
    member = town.member(f"member{next(NUMBERS)}")
    manager.run_daemon_of(member.home)
    member.environ |= {"PATH": manager.search_path}
    yield member
    member.run("down")


def launch(python: str = sys.executable, **environ: str) -> Launch:
    """A launch of this checkout's daemon."""
    return Launch.plan(environ, Paths.from_environment(environ), python)


def odd_python(folder: Path) -> Path:
    """An interpreter whose path has everything that could be misread."""
    place = folder / ODD
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    return place / "python"


def analyze(unit: bytes, folder: Path) -> tuple[int, str]:
    """The real systemd's verdict on a user unit: its exit code, and every complaint."""
    file = folder / "karma-sync.service"
    file.write_bytes(unit)
    with TemporaryDirectory() as runtime:  # short: the paths of sockets below it are limited
        done = subprocess.run(
            [ANALYZE or "", "--user", "verify", str(file)],
            capture_output=True,
            text=True,
            timeout=ANALYZE_S,
            env=os.environ | {"XDG_RUNTIME_DIR": runtime, "LC_ALL": "C"},
            check=False,
        )
    return done.returncode, done.stdout + done.stderr


# ---- what systemd reads


@needs_analyze
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    unit = systemd_unit(launch(PATH="/usr/bin:/bin"), "karma-sync.service")

    assert analyze(unit, tmp_path) == (0, "")


@needs_analyze
def test_systemd_finds_an_interpreter_whose_path_is_odd(tmp_path: Path) -> None:
    python = odd_python(tmp_path)
    odd = launch(str(python), KARMA_SYNC_HOME=f"/srv/{ODD}{QUOTES}", PATH=f"/srv/{ODD}")
    unit = systemd_unit(odd, "karma-sync.service")

    assert analyze(unit, tmp_path) == (0, "")

    python.unlink()
    code, complaint = analyze(unit, tmp_path)
    assert code != 0
    assert f"{python} is not executable" in complaint


def test_an_interpreter_that_systemd_would_refuse_is_refused_with_a_reason() -> None:
    with pytest.raises(BadInput, match="quote or a backslash"):
        systemd_unit(launch(f"/srv/{QUOTES}/python"), "karma-sync.service")


def test_the_unit_says_how_the_daemon_lives_and_ends() -> None:
    lines = systemd_unit(launch(), "karma-sync.service").decode().splitlines()

    assert {
        *("Type=notify", "NotifyAccess=main", "Restart=on-failure", "StartLimitBurst=5"),
        *("KillMode=mixed", "UMask=0077", "NoNewPrivileges=yes", "WantedBy=default.target"),
    } <= set(lines)
    assert [line for line in lines if "@" in line] == []


def test_the_environment_that_decides_where_files_are_is_written_down() -> None:
    environ = {
        "KARMA_SYNC_HOME": "/srv/my home",
        "CLAUDE_CONFIG_DIR": "~/50%",
        "KARMA_SYNC_SYNCTHING": "",
        "PATH": "/opt/bin:relative::/opt/bin:/bin",
        "ANTHROPIC_API_KEY": "secret",
    }
    unit = systemd_unit(launch(**environ), "x").decode().splitlines()

    assert [line for line in unit if line.startswith('Environment="')] == [
        'Environment="KARMA_SYNC_HOME=/srv/my home"',
        f'Environment="CLAUDE_CONFIG_DIR={Path.home()}/50%%"',
        'Environment="PATH=/opt/bin:/bin"',
    ]


def test_what_was_filled_in_is_not_filled_in_again() -> None:
    unit = systemd_unit(launch(KARMA_SYNC_HOME="/srv/@NAME@ @COMMAND@"), "x").decode()

    assert 'Environment="KARMA_SYNC_HOME=/srv/@NAME@ @COMMAND@"' in unit


def test_an_interpreter_without_a_path_is_refused() -> None:
    with pytest.raises(KarmaError, match="path of this Python is not absolute"):
        launch("")


def test_a_home_of_its_own_has_a_service_of_its_own() -> None:
    names = {
        service_name(environ)
        for environ in ({}, {"KARMA_SYNC_HOME": "/a"}, {"KARMA_SYNC_HOME": "/b"})
    }

    assert service_name({}) == "karma-sync"
    assert len(names) == 3


# ---- what launchd reads


def test_the_agent_has_literal_absolute_paths_and_stays_in_the_background(tmp_path: Path) -> None:
    python = str(odd_python(tmp_path))
    environ = {"KARMA_SYNC_HOME": str(tmp_path / ODD), "PATH": "/opt/homebrew/bin:/bin"}
    agent = plistlib.loads(launchd_plist(launch(python, **environ), "local.karma-sync"))

    assert agent["Label"] == "local.karma-sync"
    assert agent["ProgramArguments"] == [
        *(python, "-P", "-m", "karma_sync", "up", "--log-to-file"),
    ]
    log = str(tmp_path / ODD / "karma-sync.log")
    assert (agent["StandardOutPath"], agent["StandardErrorPath"]) == (log, log)
    assert agent["EnvironmentVariables"] == environ
    assert (agent["RunAtLoad"], agent["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert (agent["ProcessType"], agent["LowPriorityIO"]) == ("Background", True)
    assert agent["Umask"] == 0o077


# ---- what they are told


def test_installing_writes_the_unit_and_has_it_start_at_login(
    tmp_path: Path, manager: Manager
) -> None:
    service = Systemd("karma-sync", tmp_path / "config" / "systemd" / "user")

    service.install(launch())

    assert service.file.read_bytes() == systemd_unit(launch(), "karma-sync.service")
    assert manager.calls == [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable", "karma-sync.service"],
    ]


def test_a_systemd_that_does_not_answer_is_named_and_nothing_is_written(
    tmp_path: Path, manager: Manager
) -> None:
    complaint = "Failed to connect to bus: No medium found\n"
    manager.answer("systemctl show", code=1, complaint=complaint)
    service = Systemd("karma-sync", tmp_path)

    with pytest.raises(KarmaError, match="No medium found") as caught:
        service.install(launch())

    assert "karma-sync up -d" in caught.value.hint
    assert not service.file.exists()


def test_a_system_without_systemd_is_told_what_to_do_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KarmaError, match="no systemctl") as caught:
        Systemd("karma-sync", tmp_path).install(launch())

    assert caught.value.hint == "karma-sync up -d"


def test_a_service_that_does_not_start_leads_to_its_log(tmp_path: Path, manager: Manager) -> None:
    manager.answer("systemctl start", code=1, complaint="Job for karma-sync.service failed.\n")
    service = Systemd("karma-sync", tmp_path)
    service.install(launch())

    with pytest.raises(KarmaError, match="Job for karma-sync.service failed") as caught:
        service.start()

    assert caught.value.hint == "karma-sync service logs"


def test_a_start_limit_that_was_hit_does_not_hold_a_person_up(
    tmp_path: Path, manager: Manager
) -> None:
    manager.answer("systemctl show", "ActiveState=failed\nResult=start-limit-hit\n")
    service = Systemd("karma-sync", tmp_path)
    service.install(launch())

    service.start()

    assert service.state().says == "failed (start-limit-hit)"
    assert [call[2] for call in manager.calls[-2:]] == ["reset-failed", "start"]


@pytest.mark.parametrize("verb", ["start", "stop"])
@pytest.mark.parametrize("kind", [Systemd, Launchd])
def test_a_service_that_is_not_installed_is_neither_started_nor_stopped(
    kind: type[Systemd] | type[Launchd], verb: str, tmp_path: Path, manager: Manager
) -> None:
    with pytest.raises(NotFound, match="is not installed"):
        getattr(kind("karma-sync", tmp_path), verb)()


@pytest.mark.parametrize(
    ("said", "code", "lingering"),
    [
        (("yes\n", ""), 0, True),
        (("no\n", ""), 0, False),
        (("", "User ID 1000 is not logged in or lingering\n"), 1, False),
        (("", "System has not been booted with systemd\n"), 1, None),
    ],
)
def test_lingering_is_known_or_said_to_be_unknown(
    said: tuple[str, str], code: int, lingering: bool | None, tmp_path: Path, manager: Manager
) -> None:
    manager.answer("loginctl show-user", said[0], code=code, complaint=said[1])

    assert Systemd("karma-sync", tmp_path).state().lingering is lingering


def test_an_agent_is_loaded_started_and_removed(tmp_path: Path, manager: Manager) -> None:
    manager.answer("launchctl print", code=113, complaint="Could not find service\n")
    service = Launchd("karma-sync", tmp_path / "LaunchAgents")
    domain = f"gui/{os.getuid()}"

    service.install(launch())
    service.start()

    assert plistlib.loads(service.file.read_bytes())["Label"] == service.name
    assert manager.calls == [
        ["launchctl", "enable", f"{domain}/{service.name}"],
        ["launchctl", "bootstrap", domain, str(service.file)],
    ]

    service.uninstall()
    assert not service.file.exists()


def test_an_agent_that_runs_is_seen_and_not_started_twice(tmp_path: Path, manager: Manager) -> None:
    manager.answer("launchctl print", code=113)
    service = Launchd("karma-sync", tmp_path)
    service.install(launch())
    manager.answer(
        "launchctl print", "gui/501/x = {\n\tstate = running\n\tpid = 4242\n\t\tpid = 1\n}\n"
    )

    service.start()

    assert (service.state().pid, service.state().says) == (4242, "running")
    assert [call[1] for call in manager.calls] == ["enable"]


def test_a_mac_without_a_session_at_its_screen_is_told_so(tmp_path: Path, manager: Manager) -> None:
    manager.answer("launchctl print", code=113)
    manager.answer("launchctl bootstrap", code=125, complaint="Domain does not support it\n")
    service = Launchd("karma-sync", tmp_path)
    service.install(launch())

    with pytest.raises(KarmaError, match="Domain does not support it") as caught:
        service.start()

    assert "log in at this Mac's screen" in caught.value.hint


def test_each_platform_has_its_manager_and_others_are_refused() -> None:
    assert isinstance(autostart({}, "linux"), Systemd)
    assert isinstance(autostart({}, "darwin"), Launchd)
    with pytest.raises(KarmaError, match="on freebsd14"):
        autostart({}, "freebsd14")


# ---- the commands


def test_the_service_is_not_installed_before_init(tmp_path: Path, manager: Manager) -> None:
    environ = os.environ | {"KARMA_SYNC_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "karma_sync", "service", "install"],
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        env=environ,
        check=False,
    )

    assert done.returncode == 3
    assert "karma-sync init" in done.stderr
    assert not (tmp_path / ".config").exists()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="stands in for systemd")


@linux_only
@pytest.mark.daemon
def test_install_starts_the_daemon_and_again_restarts_it(member: Member) -> None:
    first = member.run("service", "install", real=True)
    pid = member.daemon_pid

    assert f"{member.tag} is up" in first.out
    assert "loginctl enable-linger $USER" in first.out
    status = member.json("service", "status")
    unit = Path(status["file"])
    assert (status["installed"], status["enabled"], status["pid"]) == (True, True, pid)
    assert status["daemon"]["pid"] == pid

    unit.write_text("of an older version")
    member.run("service", "install")
    assert "ExecStart=" in unit.read_text()
    assert member.daemon_pid != pid

    member.run("service", "stop")
    assert member.json("service", "status")["daemon"] is None
    member.run("service", "uninstall")
    assert not unit.exists()
    assert member.run("service", "uninstall").out.endswith("is not installed.\n")


@linux_only
@pytest.mark.daemon
def test_install_leaves_a_daemon_alone_that_was_started_by_hand(
    member: Member, manager: Manager
) -> None:
    member.up()
    pid = member.daemon_pid

    said = member.run("service", "install").out

    assert f"started by hand as process {pid}" in said
    assert "Next: karma-sync down, then: karma-sync service start" in said
    assert member.daemon_pid == pid
    assert "start" not in [call[2] for call in manager.calls]


@linux_only
@pytest.mark.daemon
def test_logs_are_read_where_they_were_written(member: Member, manager: Manager) -> None:
    none = member.run("service", "logs", check=False)
    assert (none.code, "no log yet" in none.err) == (5, True)

    member.up()
    written = until(member.paths.log.read_text, "the first line of the log")
    assert member.run("service", "logs", "-n", "1").out == written
    member.run("down")

    member.run("service", "install")
    unit = member.json("service", "status")["service"]
    member.run("service", "logs", "--follow", "--lines", "7")
    assert manager.calls[-1] == [
        *("journalctl", f"--user-unit={unit}", "--lines=7", "--no-pager", "--follow"),
    ]
