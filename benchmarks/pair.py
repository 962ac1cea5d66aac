"""Members with real daemons on loopback, in temporary homes, for the benchmarks that need them."""

import json
import subprocess
import xml.etree.ElementTree as ET  # noqa: S405 our own file
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import DemoMember, stage, until
from karma_sync.paths import Paths

PROJECT = "github.com/example/bench"
_WITHIN_S = 600.0


@dataclass
class Sender:
    """The member who shares a project and leads the team; others join it one by one."""

    root: Path
    member: DemoMember
    clone: Path

    @property
    def sessions(self) -> Path:
        """Claude Code's directory for the sessions of the clone."""
        return self.member.claude / "projects" / "-bench"

    def share(self) -> None:
        """Found the team and share the project, and do not wait until it is packaged."""
        self.member.run("team", "create", "bench")
        self.member.run("project", "share", str(self.clone), "--yes", "--since", "all")

    def until_packaged(self, count: int) -> float:
        """Wait until there are `count` sessions in the outbox; seconds."""
        reader = Reader(self.member)
        try:
            what = f"{count} sessions packaged"
            return until(lambda: reader.count_packed() >= count, _WITHIN_S, what)
        finally:
            reader.close()

    def syncthing(self) -> str:
        """Syncthing's version."""
        return str(json.loads(self.member.run("status", "--json"))["daemon"]["syncthing"])

    def newcomer(self, user: str) -> DemoMember:
        """Another member, with a daemon that is up, in no team yet."""
        return _member(self.root, user)

    def pair(self, other: DemoMember) -> None:
        """Give each side the other's pairing code."""
        other.run("pair", code(self.member))
        self.member.run("team", "add", code(other), "--yes")


@contextmanager
def sender() -> Iterator[Sender]:
    """A sender whose daemon is up; at the end, all daemons stop and all files are removed."""
    with stage() as root:
        member = _member(root, "alice")
        clone = root / "clone"
        clone.mkdir()
        for command in (["init", "-q"], ["remote", "add", "origin", f"https://{PROJECT}"]):
            subprocess.run(["git", "-C", str(clone), *command], check=True)
        yield Sender(root, member, clone)


def gui(member: DemoMember) -> tuple[str, str]:
    """The address of a member's Syncthing (HOST:PORT), and its API key."""
    root = ET.parse(Paths.inside(member.home).syncthing / "config.xml")  # noqa: S314 our own file
    return root.findtext("gui/address") or "", root.findtext("gui/apikey") or ""


def code(member: DemoMember) -> str:
    """A member's pairing code."""
    return member.run("code").strip()


def _member(root: Path, user: str) -> DemoMember:
    member = DemoMember(root, user, "box")
    member.run(
        "init", "--user", user, "--machine", "box", "--no-discovery", "--address", "127.0.0.1"
    )
    member.run("up", "-d")
    return member
