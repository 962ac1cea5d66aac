"""Kills a member in memory at one step of its daemon after the other.

A step is a commit of one of its databases, a file put in place, or a write of Syncthing's
configuration, once for each kind of file; each is killed at before it and after it, where it is in
the program.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import karma_sync.app
from karma_sync.store.database import Database, Transaction
from karma_sync.syncthing.configuration import Configuration
from tests.support.harness import until
from tests.support.memory_town import MemoryMember

_PACKAGE = str(Path(karma_sync.app.__file__).parent)


class Killed(BaseException):
    """The daemon ends here; nothing in the program may catch it."""


class MemoryWalk:
    """Kills one member at each step that no run was killed at yet, if its place is `scope`'s.

    `scope` is told the place: module and function, such as "door._answer".
    """

    def __init__(self, member: MemoryMember, scope: Callable[[str], bool]) -> None:
        self.points: list[str] = []
        self._member = member
        self._scope = scope
        self._works = False  # commands of the member are not killed

    def run(self, patch: pytest.MonkeyPatch, done: Callable[[], bool], what: str) -> list[str]:
        """Kill and start the member until a run is not killed before `done`; gives the points."""
        self._install(patch)

        def is_done() -> bool:
            self._works = False
            try:
                return done()
            finally:
                self._works = True

        self._works = True
        while True:
            try:
                until(is_done, f"{what}, after {self.points}")
            except Killed:
                self._works = False
                self._member.kill()
                self._member.up()
                self._works = True
            else:
                break
        self._works = False
        print(f"killed at {len(self.points)} points:", *self.points, sep="\n  ")
        return self.points

    def _at(self, point: str) -> None:
        place = _caller()
        where = f"{point} in {place}"
        if self._works and self._scope(place) and where not in self.points:
            self.points.append(where)
            raise Killed(where)

    def _install(self, patch: pytest.MonkeyPatch) -> None:
        member, at = self._member, self._at
        transaction, replace = Database.transaction, os.replace

        @contextmanager
        def killing(self: Database) -> Iterator[Transaction]:
            is_mine = self._path.is_relative_to(member.home)
            with transaction(self) as tx:
                yield tx
                if is_mine:
                    at(f"before commit {self._path.name}")
            if is_mine:
                at(f"after commit {self._path.name}")

        def put(source: Any, target: Any, **given: Any) -> None:
            name = Path(os.fsdecode(target))
            is_mine = name.is_relative_to(member.home)
            if is_mine:
                at(f"before replace {_kind(name)}")
            replace(source, target, **given)
            if is_mine:
                at(f"after replace {_kind(name)}")

        configure = member.syncthing.put_configuration

        def put_configuration(configuration: Configuration) -> None:
            at("before PUT")
            configure(configuration)
            at("after PUT")

        patch.setattr(Database, "transaction", killing)
        patch.setattr(os, "replace", put)
        patch.setattr(member.syncthing, "put_configuration", put_configuration)


def _kind(path: Path) -> str:
    """The name of a file, without the hashes and numbers that tell it from others of its kind."""
    return re.sub(r"\.\d+\.ks", ".N.ks", re.sub(r"[0-9a-f]{32,64}", "*", path.name))


def _caller() -> str:
    """The places in the program that led here, innermost first: module.function, with spaces."""
    frame: FrameType | None = sys._getframe(1)
    places = []
    while frame:
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGE) and Path(file).stem not in {"database", "files"}:
            places.append(f"{Path(file).stem}.{frame.f_code.co_name}")
        frame = frame.f_back
    return places[0] if places else "?"
