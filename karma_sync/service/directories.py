"""Use cases of `project map`: the person assigns a directory to a project, or withdraws that."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from karma_sync.errors import BadInput, NotFound
from karma_sync.store import state
from karma_sync.store.database import Database

WINDOWS = re.compile(r"[A-Za-z]:[/\\]|\\\\")


def place_of(text: str, here: Path, home: Path, named: Collection[str] = ()) -> str:
    """The absolute path of the directory that a person typed; it may begin with `~`.

    A relative path begins at `here`. A Windows path stays unchanged. So does a text that names no
    directory here but is in `named`, the directories that sessions name.

    Raises:
        BadInput: the text names no directory, or one that contains the person's home: then every
            session would belong to the project.
    """
    if not text.strip() or not text.isprintable():
        raise BadInput(f"{text!r} is not a directory", hint="for instance /home/alice/old-clone")
    is_odd = text in named and not text.startswith(("/", "~")) and not (here / text).exists()
    if is_odd or WINDOWS.match(text):
        return text
    if text == "~" or text.startswith("~/"):
        text = str(home) + text[1:]
    place = os.path.abspath(here / text)  # noqa: PTH100 does not follow links
    homes = (home, Path(os.path.realpath(home)))
    if any(each.is_relative_to(p) for each in homes for p in _both(place)):
        raise BadInput(
            f"your home lies in {place}: everything there would belong to the project",
            hint="karma-sync project map DIRECTORY PROJECT, with the project's own directory",
        )
    return place


def mapped_with(mapped: Mapping[str, str], path: str, identity: str) -> dict[str, str]:
    """The assigned directories as they are after `map_directory`."""
    return dict(mapped) | dict.fromkeys(_both(path), identity)


def mapped_without(mapped: Mapping[str, str], path: str) -> dict[str, str]:
    """The assigned directories as they are after `unmap_directory`.

    Raises:
        NotFound: exactly this directory was not assigned.
    """
    gone = mapped.keys() & _both(path)
    if not gone:
        raise NotFound(f"{path} was not mapped", hint="karma-sync project scan")
    return {each: identity for each, identity in mapped.items() if each not in gone}


def known_directories(store: Database) -> tuple[dict[str, str], dict[str, str]]:
    """The projects of directories that the person assigned, and of those that git named."""
    with store.reading() as tx:
        roots = state.roots.all(tx)
    return (
        {root.path: root.project for root in roots if root.mapped},
        {root.path: root.project for root in roots if not root.mapped},
    )


def map_directory(store: Database, path: str, identity: str) -> None:
    """Assign a directory to a project; meant for one without git, or one that is gone.

    If the path is a link, its target is assigned too: sessions may name either.
    """
    with store.transaction() as tx:
        for each in _both(path):
            state.roots.put(tx, state.KnownDirectory(path=each, project=identity, mapped=True))


def unmap_directory(store: Database, path: str) -> None:
    """Withdraw the assignment of a directory; from now on only git decides.

    Raises:
        NotFound: exactly this directory was not assigned.
    """
    with store.transaction() as tx:
        mapped = {root.path: root.project for root in state.roots.all(tx) if root.mapped}
        for each in mapped.keys() - mapped_without(mapped, path).keys():
            state.roots.drop(tx, path=each)


def _both(path: str) -> set[str]:
    return {path, os.path.realpath(path)} if path.startswith("/") else {path}
