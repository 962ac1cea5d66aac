"""Runs a real Engram, where there is one, in a network of its own that reaches nobody."""

import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMED_BY = "KARMA_SYNC_ENGRAM"
_WAIT_S = 60.0


@dataclass(frozen=True)
class RealEngram:
    """Engram of one person: `home` is a directory of its own, with the database in `engram`."""

    program: Path
    home: Path
    user: str

    def run(self, repository: Path, *args: str) -> str:
        """Run a command in a repository; what it printed."""
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        done = subprocess.run(
            ["unshare", *as_root, "--net", "--", str(self.program), *args],
            cwd=repository,
            env={
                "HOME": str(self.home),
                "PATH": os.environ["PATH"],
                "USER": self.user,
                "ENGRAM_DATA_DIR": str(self.home / "engram"),
            },
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self) -> list[dict[str, Any]]:
        """The observations in its database that are not deleted."""
        with closing(sqlite3.connect(self.home / "engram" / "engram.db")) as opened:
            opened.row_factory = sqlite3.Row
            query = "SELECT * FROM observations WHERE deleted_at IS NULL ORDER BY id"
            return [dict(row) for row in opened.execute(query)]

    @property
    def knows_mutations(self) -> bool:
        """Whether it takes edits and deletions over from chunks: a version since June 2026."""
        return all("sync_id" in row for row in self.rows())


def real_engram(home: Path, user: str) -> RealEngram:
    """The Engram that an environment variable names; the test is skipped if it names none."""
    named = os.environ.get(NAMED_BY)
    if not named:
        pytest.skip(f"{NAMED_BY} names no Engram: set it to the path of the program")
    assert os.access(named, os.X_OK), f"{NAMED_BY}: {named} is no program"
    home.mkdir(exist_ok=True)
    return RealEngram(Path(named), home, user)
