"""Directories are private; folder ids reveal nothing, and ids that peers make up are refused."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from karma_sync.errors import BadInput
from karma_sync.files import private_dir, write_private
from karma_sync.paths import (
    FOLDER_ID,
    Paths,
    channel_folder,
    is_metadata_folder,
    metadata_folder,
    short_hash,
)
from tests.support.builders import examples, open_umask, scratch

HOME = Paths.inside(Path("/home/alice/.ks"))
texts = st.text(max_size=8)
channels = st.tuples(texts, texts, texts, texts)


@examples()
@given(channels)
def test_an_id_we_make_becomes_a_directory_below_our_folders(parts: tuple[str, ...]) -> None:
    team, key, project, incarnation = parts
    for folder in (channel_folder(team, key, project, incarnation), metadata_folder(team)):
        assert HOME.folder(folder).parent == HOME.folders
        assert HOME.folder(folder).name == folder


made_up = (
    st.text(max_size=60)
    | st.from_regex(r"ks-[a-z]-[a-z0-9./\\\x00]{20,30}", fullmatch=True)
    | st.builds("{}{}{}".format, texts, st.from_regex(FOLDER_ID, fullmatch=True), texts)
)


@examples(200)
@given(made_up)
@example("ks-c-" + "a" * 26 + "\n")
@example("ks-c-../../../../../../../../etc/x")
@example("ks-c-" + "a" * 25 + "/")
@example("ks-c-" + "A" * 26)
@example("ks-c-" + "a" * 27)
@example("ks-x-" + "a" * 26)
@example("..")
@example("")
def test_an_id_a_peer_made_up_never_becomes_a_path(text: str) -> None:
    well_formed = (
        len(text) == 31
        and text.startswith(("ks-c-", "ks-m-", "ks-d-", "ks-r-"))
        and set(text[5:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    )
    if well_formed:
        assert HOME.folder(text) == HOME.folders / text
    else:
        with pytest.raises(BadInput, match="is not the id of a karma-sync folder"):
            HOME.folder(text)


@examples(150)
@given(channels, channels)
def test_no_two_channels_and_no_two_incarnations_share_a_folder(
    a: tuple[str, str, str, str], b: tuple[str, str, str, str]
) -> None:
    assert (channel_folder(*a) == channel_folder(*b)) is (a == b)
    assert channel_folder(*a)[5:] != metadata_folder(a[0])[5:]


def test_moving_letters_between_the_parts_of_a_channel_changes_its_id() -> None:
    same_letters = [("ab", "c", "d", "1"), ("a", "bc", "d", "1"), ("a", "b", "cd", "1")]
    same_letters += [("a", "b", "c", "d1"), ("abcd1", "", "", ""), ("", "", "", "abcd1")]

    assert len({channel_folder(*parts) for parts in same_letters}) == len(same_letters)
    assert short_hash("a", "b") != short_hash("a", "b", "")


def test_a_metadata_folder_is_recognised_by_its_id() -> None:
    assert is_metadata_folder(metadata_folder("team"))
    assert not is_metadata_folder(channel_folder("team", "key", "p", "1"))
    assert not is_metadata_folder(metadata_folder("team") + "\n")
    assert not is_metadata_folder("ks-m-../..")


def test_everything_of_a_member_lies_inside_its_home() -> None:
    every = [getattr(HOME, name) for name, kind in vars(Paths).items() if type(kind) is property]

    assert len(every) > 10
    assert all(HOME.data in path.parents for path in every)
    # Syncthing pulls into the folders alone: nothing else of ours may lie in or around them
    assert not [path for path in every if HOME.folders in path.parents or path == HOME.data]


def test_the_environment_names_the_home(tmp_path: Path) -> None:
    found = Paths.from_environment({"KARMA_SYNC_HOME": str(tmp_path)})

    assert found == Paths.inside(tmp_path)
    assert Paths.from_environment({"KARMA_SYNC_HOME": "~/ks"}) == Paths.inside(Path.home() / "ks")
    assert Paths.from_environment({"KARMA_SYNC_HOME": "ks"}).data == Path.cwd() / "ks"


def test_without_a_home_the_platforms_own_places_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    found = Paths.from_environment({})

    assert found.key == tmp_path / "config" / "karma-sync" / "identity.pem"
    assert found.library_db == tmp_path / "data" / "karma-sync" / "library" / "library.db"
    assert found.log == tmp_path / "state" / "karma-sync" / "karma-sync.log"


def test_new_directories_are_private(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "c" / "x", tmp_path / "d" / "y", tmp_path / "s" / "z")
    with open_umask():
        paths.create()

    made = [p for p in tmp_path.rglob("*") if p.is_dir()]
    assert paths.library in made
    assert {p.stat().st_mode & 0o777 for p in made} == {0o700}


def test_a_directory_that_others_can_read_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    assert private_dir(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_private_file_appears_complete_with_its_mode_and_time(tmp_path: Path) -> None:
    place = tmp_path / "f"
    place.write_bytes(b"before")
    place.chmod(0o644)

    with open_umask():
        write_private(place, b"after", mtime_ns=1_700_000_000_123_456_789)

    assert place.read_bytes() == b"after"
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()

    with pytest.raises(OSError):  # noqa: PT011 which one is the file system's business
        write_private(tmp_path / "d", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_link_is_replaced_and_never_written_through() -> None:
    with scratch() as root:
        (root / "target").write_bytes(b"mine")
        (root / "link").symlink_to(root / "target")

        write_private(root / "link", b"new")

        assert (root / "target").read_bytes() == b"mine"
        assert (root / "link").read_bytes() == b"new"
        assert not (root / "link").is_symlink()
