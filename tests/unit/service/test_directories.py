"""Assigning directories to projects: which directory a text means, and what is refused."""

from pathlib import Path

import pytest

from karma_sync.errors import BadInput, NotFound
from karma_sync.sending.eligibility import known_roots, learn_roots
from karma_sync.service.directories import map_directory, place_of
from karma_sync.service.directories import unmap_directory as unmap
from karma_sync.store.database import Database
from karma_sync.store.state import open_state
from tests.support.builders import PROJECT

HOME, HERE = Path("/home/alice"), Path("/home/alice/src")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("repo", "/home/alice/src/repo"),
        (".", "/home/alice/src"),
        ("../old/", "/home/alice/old"),
        ("~/old", "/home/alice/old"),
        ("/gone/x y", "/gone/x y"),
        ("C:\\src\\repo", "C:\\src\\repo"),
        ("\\\\server\\share", "\\\\server\\share"),
    ],
)
def test_a_directory_begins_at_the_root_at_home_or_here(text: str, place: str) -> None:
    assert place_of(text, HERE, HOME) == place


def test_a_directory_that_sessions_name_in_another_way_is_meant_so_unless_it_is_here(
    tmp_path: Path,
) -> None:
    (tmp_path / "-here").mkdir()
    named = {"-odd/place", "-here", "/"}

    assert place_of("-odd/place", tmp_path, HOME, named) == "-odd/place"
    assert place_of("-here", tmp_path, HOME, named) == f"{tmp_path}/-here"
    with pytest.raises(BadInput):
        place_of("/", tmp_path, HOME, named)


@pytest.mark.parametrize("text", ["", " ", "a\nb", "/", "~", "~/", "/home", "..", "../../.."])
def test_nothing_and_everything_are_no_directory_of_a_project(text: str) -> None:
    with pytest.raises(BadInput):
        place_of(text, HERE, HOME)


def test_a_link_to_everything_is_refused_as_well(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "link").symlink_to(home)

    with pytest.raises(BadInput, match="your home lies in"):
        place_of("link", tmp_path, home)


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return open_state(tmp_path / "state.db")


def test_where_a_link_leads_is_meant_too_and_taken_back_with_it(
    store: Database, tmp_path: Path
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)

    map_directory(store, str(link), PROJECT)
    assert known_roots(store)[0] == {str(real): PROJECT, str(link): PROJECT}
    unmap(store, str(link))
    assert known_roots(store)[0] == {}


def test_only_what_a_person_said_is_taken_back(store: Database) -> None:
    learn_roots(store, {"/src/repo": PROJECT})

    for path in ("/src/repo", "/src"):
        with pytest.raises(NotFound, match="was not mapped"):
            unmap(store, path)
    assert known_roots(store)[1] == {"/src/repo": PROJECT}
