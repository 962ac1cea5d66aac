"""Which directories belong to which project: what git said of them, and what the person says."""

import os
import re
from collections.abc import Collection
from pathlib import Path

from karma_sync.errors import BadInput, NotFound
from karma_sync.store import state
from karma_sync.store.database import Database

_WINDOWS = re.compile(r"[A-Za-z]:[/\\]|\\\\")


def place_of(text: str, here: Path, home: Path, named: Collection[str] = ()) -> str:
    """The directory that a person means: it begins at the root, at `~` or here.

    One that is named as on Windows stays as it is; so does one that is not here, but is `named` by
    sessions that way.

    Raises:
        BadInput: it is none, or so much lies in it that it can only be a mistake.
    """
    if not text.strip() or not text.isprintable():
        raise BadInput(f"{text!r} is no directory", hint="such as /home/alice/old-clone")
    is_odd = text in named and not text.startswith(("/", "~")) and not (here / text).exists()
    if is_odd or _WINDOWS.match(text):
        return text
    if text == "~" or text.startswith("~/"):
        text = str(home) + text[1:]
    place = os.path.abspath(here / text)  # noqa: PTH100 a link is not followed
    homes = (home, Path(os.path.realpath(home)))
    if any(each.is_relative_to(p) for each in homes for p in _both(place)):
        raise BadInput(
            f"your home lies in {place}: everything there would belong to the project",
            hint="karma-sync project map DIRECTORY PROJECT, with the project's own directory",
        )
    return place


def map_directory(store: Database, path: str, identity: str) -> None:
    """Say that a directory belongs to a project: one without git, or one that is gone.

    Where it leads to another place, that is meant as well: sessions may name either.
    """
    with store.transaction() as tx:
        for each in _both(path):
            state.roots.put(tx, state.KnownDirectory(path=each, project=identity, mapped=True))


def unmap_directory(store: Database, path: str) -> None:
    """Take that back; from now on git alone says what the directory is.

    Raises:
        NotFound: nobody said so of this very directory.
    """
    with store.transaction() as tx:
        mapped = {root.path for root in state.roots.all(tx) if root.mapped} & _both(path)
        for each in mapped:
            state.roots.drop(tx, path=each)
    if not mapped:
        raise NotFound(f"{path} was not mapped", hint="karma-sync project scan")


def _both(path: str) -> set[str]:
    return {path, os.path.realpath(path)} if path.startswith("/") else {path}
