"""The person's settings: read once, refused with a place to look at when they are wrong."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync import settings
from karma_sync.errors import BadInput, NotInitialised
from karma_sync.paths import Paths
from karma_sync.settings import NetworkSettings, Settings
from karma_sync.settings_errors import line_of
from tests.support.builders import ALICE, examples, scratch

GOOD = """
tag = "alice.mbp"
[network]
port = 22000
addresses = ["tcp://10.0.0.1:22000"]
discovery = true
relays = false
nat = true
"""


def network_of(**changes: object) -> NetworkSettings:
    fields: dict[str, object] = {"port": 1, "addresses": ()}
    helpers = {"discovery": True, "relays": True, "nat": True}
    return NetworkSettings.from_fields(fields | helpers | changes)


def load(home: Path, **environ: str) -> Settings:
    return settings.load(Paths.inside(home), environ)


def write(home: Path, text: str | bytes) -> Path:
    config = home / "config.toml"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    return home


networks = st.builds(
    NetworkSettings,
    port=st.integers(1, 65535),
    addresses=st.lists(
        st.from_regex(r"(tcp|quic)://[a-z0-9.-]{1,60}:[1-9][0-9]{0,3}", fullmatch=True), max_size=3
    ).map(tuple),
    discovery=st.booleans(),
    relays=st.booleans(),
    nat=st.booleans(),
)


@examples(50)
@given(networks)
def test_what_was_saved_is_what_is_read(network: NetworkSettings) -> None:
    with scratch() as home:
        settings.save(Paths.inside(home), ALICE, network)
        found = load(home)

    assert (found.tag, found.network) == (ALICE, network)


def test_a_new_file_names_what_the_archive_keeps_and_an_old_one_keeps_its_choice(
    tmp_path: Path,
) -> None:
    settings.save(Paths.inside(tmp_path), ALICE, network_of(port=1))
    config = tmp_path / "config.toml"
    assert 'archive = "all"' in config.read_text()
    config.write_text(config.read_text().replace('"all"', '"shared"'))

    settings.save(Paths.inside(tmp_path), ALICE, network_of(port=2))

    assert load(tmp_path).archive.keep is settings.Keep.SHARED


def test_the_archive_keeps_all_without_limits_unless_the_file_says_otherwise(
    tmp_path: Path,
) -> None:
    limits = "\n[archive_limits]\nquota_gb = 1.5\ndays = 90\n"
    found = load(write(tmp_path, GOOD)).archive
    assert found == settings.ArchiveSettings(settings.Keep.ALL, quota=0, days=0)

    found = load(write(tmp_path, 'archive = "off"' + GOOD + limits)).archive
    assert found == settings.ArchiveSettings(settings.Keep.OFF, quota=1_500_000_000, days=90)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('archive = "none"' + GOOD, 'archive is "none"; allowed: "all", "shared" or "off"'),
        ("archive = true" + GOOD, 'allowed: "all", "shared" or "off"'),
        (GOOD + "[archive_limits]\nquota_gb = -1\n", "archive_limits.quota_gb is -1; allowed"),
        (GOOD + '[archive_limits]\ndays = "90"\n', "archive_limits.days is"),
    ],
)
def test_a_wrong_setting_of_the_archive_is_explained(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        load(write(tmp_path, text))


def test_a_written_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    settings.save(Paths.inside(tmp_path), ALICE, network_of(port=1))

    assert (tmp_path / "config.toml").stat().st_mode & 0o777 == 0o600


def test_before_init_the_way_to_begin_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInitialised) as refused:
        load(tmp_path)

    assert refused.value.hint == "karma-sync init"
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tag = ",
        'tag = "alice.mbp"',
        GOOD.replace("port = 22000", ""),
        GOOD.replace("22000\n", '"many"\n'),
        GOOD.replace("nat = true", ""),
        GOOD.replace("[network]", "[net]"),
        'tag = "a.b"\nnetwork = 7',
        'tag = "a.b"\nnetwork = [1]',
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=re.escape(str(tmp_path / "config.toml"))) as refused:
        load(write(tmp_path, text))

    assert refused.value.hint == f"correct {tmp_path / 'config.toml'}"


@pytest.mark.parametrize("text", [b"tag = \xff\xfe", b'syncthing = "st"\n' + GOOD.encode()])
def test_a_file_of_another_kind_is_named_too(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadInput):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("discovery = true", 'discovery = "false"'),
        ("relays = false", 'relays = "no"'),
        ('["tcp://10.0.0.1:22000"]', '"tcp://10.0.0.1:22000"'),
        ("port = 22000", "port = 0"),
        ("port = 22000", "port = 70000"),
        ('"alice.mbp"', '"Alice"'),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_not_guessed(
    tmp_path: Path, good: str, wrong: str
) -> None:
    assert load(write(tmp_path, GOOD)).network.relays is False
    with pytest.raises(BadInput):
        load(write(tmp_path, GOOD.replace(good, wrong, 1)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('tga = "x"\n' + GOOD, " line 1: tga is not a key; the nearest is tag"),
        (
            GOOD + '[redactoin]\nallowlist = "x"\n',
            " line 9: redactoin is not a key",
        ),
        (GOOD + '[syncthing]\nprogramm = "x"\n', " line 10: syncthing.programm is not a key"),
        (GOOD + '[redaction]\nallow = "x"\n', "the nearest is redaction.allowlist"),
        (
            GOOD.replace("relays", "relay"),
            " line 7: network.relay is not a key; the nearest is network.relays",
        ),
    ],
)
def test_a_key_that_is_not_known_is_refused_with_the_nearest_one(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": tag is missing; allowed: a member tag such as"),
        ('tag = "a.b"', ": network is missing; allowed: a table with port, addresses"),
        (
            GOOD.replace("port = 22000", "port = 99999"),
            "config.toml line 4: network.port is 99999; allowed: 1 to 65535",
        ),
        (GOOD.replace("port = 22000", "port = true"), " line 4: network.port is true; allowed: 1"),
        (GOOD.replace("nat = true", ""), " line 3: network.nat is missing; allowed: true or false"),
        (
            GOOD.replace("relays = false", 'relays = "no"'),
            ' line 7: network.relays is "no"; allowed: true or false',
        ),
        (
            GOOD.replace("tcp://", "http://"),
            ' line 5: network.addresses is "http://10.0.0.1:22000"; allowed: a list of addresses',
        ),
        (GOOD.replace("10.0.0.1", "foo bar"), " line 5: network.addresses is"),
        (GOOD.replace('["tcp://10.0.0.1:22000"]', "7"), " line 5: network.addresses is 7; allowed"),
        (GOOD + "[syncthing]\nprogram = 5\n", " line 10: syncthing.program is 5; allowed: a path"),
        (GOOD + "[redaction]\ngitleaks = []\n", " line 10: redaction.gitleaks is a list; allowed"),
        ('tag = "a.b"\nnetwork = 7', " line 2: network is 7; allowed: a table with port"),
        ("tag = ", " line 1: tag has a value that TOML does not know; allowed: a member tag"),
        (
            GOOD.replace("relays = false", "relays = maybe"),
            " line 7: network.relays has a value that TOML does not know; allowed: true or false",
        ),
        (GOOD + "nat = true\n", " line 9: Cannot overwrite a value"),
    ],
)
def test_a_wrong_value_is_refused_with_line_and_key_and_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        load(write(tmp_path, text))


def test_the_first_of_several_errors_is_named(tmp_path: Path) -> None:
    text = GOOD.replace("nat = true", "nat = 1").replace("port = 22000", "port = 0")

    with pytest.raises(BadInput, match=re.escape(" line 4: network.port is 0")):
        load(write(tmp_path, text))


def test_a_value_cannot_drive_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(write(tmp_path, GOOD.replace('"alice.mbp"', '"a\\u001b[2J\\u202e"')))

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a = 1", ["a"], 1),
        ("# a = 0\n\na = 1", ["a"], 3),
        ("[t]\na = 1", ["t", "a"], 2),
        ("[t]\na = 1", ["t"], 1),
        ("t.a = 1", ["t", "a"], 1),
        ("b = 0\nt = { b = 2, a = 1 }", ["t", "a"], 2),
        ("b = 0\na = [\n  1,\n  2,\n]\nc = 3", ["a"], 2),
        ("b = [\n  1,\n]\na = 1", ["a"], 4),
        ("b = '''\na = 0\n'''\na = 1", ["a"], 4),
        ('"a" = 1\r\nb = 2\r\n', ["b"], 2),
        ("[u]\na = 0\n[t]\na = 1", ["t", "a"], 4),
        ("a = 1", ["b"], 0),
        ("a = 1", ["a", "b"], 0),
        ("", ["a"], 0),
    ],
)
def test_the_line_of_a_key_is_found_however_it_is_written(
    text: str, key: list[str], line: int
) -> None:
    assert line_of(text, key) == line


def test_the_environment_names_the_program(tmp_path: Path) -> None:
    write(tmp_path, GOOD + '[syncthing]\nprogram = "/opt/syncthing"\n')

    assert load(tmp_path).syncthing == Path("/opt/syncthing")
    assert load(tmp_path, KARMA_SYNC_SYNCTHING="/usr/bin/st").syncthing == Path("/usr/bin/st")


@pytest.mark.parametrize(
    ("named", "searched"),
    [
        ("", ["~/.claude"]),
        ("/srv/claude", ["/srv/claude"]),
        ("/a,/b", ["/a", "/b"]),
        (" /a , ~/b,,/a", ["/a", "~/b"]),
    ],
)
def test_the_environment_names_the_agents_directories(
    tmp_path: Path, named: str, searched: list[str]
) -> None:
    write(tmp_path, GOOD)

    found = load(tmp_path, CLAUDE_CONFIG_DIR=named)
    assert found.claude_dirs == tuple(Path(each).expanduser() for each in searched)
    assert found.unsearched == ()


def test_a_directory_with_a_comma_in_its_name_is_one(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    write(tmp_path, GOOD)

    assert load(tmp_path, CLAUDE_CONFIG_DIR=str(tmp_path / "a,b")).claude_dirs == (
        tmp_path / "a,b",
    )


def test_remembered_directories_count_more_than_the_environment(tmp_path: Path) -> None:
    """The daemon has another environment than the shell."""
    write(tmp_path, 'claude_dirs = ["~/work", "/srv/claude"]\n' + GOOD)
    remembered = (Path.home() / "work", Path("/srv/claude"))

    for named, unsearched in (("", ()), ("/srv/claude", ()), ("/x,/srv/claude", (Path("/x"),))):
        found = load(tmp_path, CLAUDE_CONFIG_DIR=named)
        assert (found.claude_dirs, found.unsearched) == (remembered, unsearched)


@pytest.mark.parametrize("value", ["[]", '"~/.claude"', "[1]", "7"])
def test_directories_that_are_no_list_are_refused(tmp_path: Path, value: str) -> None:
    write(tmp_path, f"claude_dirs = {value}\n" + GOOD)

    with pytest.raises(BadInput, match=r"line 1: claude_dirs .* allowed: a list of directories"):
        load(tmp_path)


def test_no_program_named_means_the_one_on_the_path(tmp_path: Path) -> None:
    write(tmp_path, GOOD)

    assert load(tmp_path).syncthing is None
    assert load(tmp_path, KARMA_SYNC_SYNCTHING="").syncthing is None


def member(*addresses: str, discovery: bool = False, relays: bool = False) -> Settings:
    network = network_of(port=22001, addresses=addresses, discovery=discovery, relays=relays)
    return Settings(tag=ALICE, network=network, claude_dirs=(Path("/c"),))


RELAY = "dynamic+https://relays.syncthing.net/endpoint"
EVERYWHERE = ("tcp://0.0.0.0:22001", "quic://0.0.0.0:22001")


@pytest.mark.parametrize(
    ("who", "dialled", "listens"),
    [
        (member(), (), EVERYWHERE),
        (member(discovery=True), ("dynamic",), EVERYWHERE),
        (member(discovery=True, relays=True), ("dynamic",), (*EVERYWHERE, RELAY)),
        (member("tcp://10.0.0.1:22001"), ("tcp://10.0.0.1:22001",), EVERYWHERE),
        (
            member("tcp://10.0.0.1:1", discovery=True),
            ("tcp://10.0.0.1:1", "dynamic"),
            EVERYWHERE,
        ),
        (
            member("tcp://127.0.0.1:22001"),
            ("tcp://127.0.0.1:22001",),
            ("tcp://127.0.0.1:22001",),
        ),
        (
            member("tcp://127.0.0.1:22001", "tcp://[::1]:22001"),
            ("tcp://127.0.0.1:22001", "tcp://[::1]:22001"),
            ("tcp://127.0.0.1:22001", "tcp://[::1]:22001"),
        ),
        (
            member("tcp://127.0.0.1:22001", "tcp://10.0.0.1:22001"),
            ("tcp://127.0.0.1:22001", "tcp://10.0.0.1:22001"),
            EVERYWHERE,
        ),
    ],
)
def test_we_listen_where_others_are_told_to_dial_and_no_further(
    who: Settings, dialled: tuple[str, ...], listens: tuple[str, ...]
) -> None:
    assert who.dial_addresses == dialled
    assert who.listen_addresses == listens


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("localhost", True),
        ("127.example.org", False),
        ("127.0.0.1.example.org", False),
        ("10.0.0.1", False),
    ],
)
def test_only_an_address_that_is_loopback_keeps_syncthing_on_loopback(
    host: str, local: bool
) -> None:
    network = network_of(port=24099, addresses=(f"tcp://{host}:24099",), relays=False)
    listening = Settings(tag="a.b", network=network, claude_dirs=(Path(),)).listen_addresses

    assert (listening == (f"tcp://{host}:24099",)) is local


@pytest.mark.parametrize("line", ['profile = "full"', 'since = "all"', "[limits]"])
def test_nothing_in_the_file_can_widen_what_leaves(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadInput):
        load(write(tmp_path, f"{line}\n{GOOD}" if "=" in line else f"{GOOD}{line}\n"))


@pytest.mark.parametrize("said", ["", "0", "1"])
@pytest.mark.parametrize("configured", [None, True, False])
def test_of_observations_the_environment_counts_before_the_file_and_that_before_the_default(
    tmp_path: Path, said: str, configured: bool | None
) -> None:
    paths = Paths.inside(tmp_path)
    settings.save(paths, ALICE, _network())
    if configured is not None:
        table = f"\n[observations]\nshare = {str(configured).lower()}\n"
        paths.settings.write_text(paths.settings.read_text() + table)
    environ = {"KARMA_SYNC_OBSERVATIONS": said, "HOME": str(tmp_path)}

    expected = said == "1" if said else configured is not False
    assert settings.load(paths, environ).observations.share is expected


def test_a_strange_value_of_the_switch_is_refused(tmp_path: Path) -> None:
    paths = Paths.inside(tmp_path)
    settings.save(paths, ALICE, _network())
    with pytest.raises(BadInput, match="KARMA_SYNC_OBSERVATIONS"):
        settings.load(paths, {"KARMA_SYNC_OBSERVATIONS": "off"})


def _network() -> NetworkSettings:
    """A network of this machine alone."""
    address = ("tcp://127.0.0.1:22000",)
    return NetworkSettings(port=22000, addresses=address, discovery=False, relays=False, nat=False)
