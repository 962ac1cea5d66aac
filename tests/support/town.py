"""A town: the members of one test module, how they get together, and their end."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.support.harness import Member, logs, played, programs, until

END_S = 60.0


class Town:
    """All members of one test module, and the end of everything they started."""

    def __init__(self, folder: Path, program: Path | None = None) -> None:
        self.folder = folder
        self._program = program
        self._members: list[Member] = []

    def member(self, user: str, program: Path | None = None, kind: type[Member] = Member) -> Member:
        """A new member, initialised; its daemon is not up yet."""
        found = programs()
        if not found:
            pytest.fail("no Syncthing found: install one, or name it in KARMA_SYNC_SYNCTHING")
        member = kind(self.folder, user, program or self._program or found[0])
        self._members.append(member)
        return member.init()

    def members(self, *users: str) -> list[Member]:
        """Several new members whose daemons are up."""
        found = [self.member(user) for user in users]
        up(*found)
        return found

    def pair(self) -> tuple[Member, Member]:
        """Alice, who leads a team, and Bob; they share `repo`, in both directions."""
        a, b = self.members("alice", "bob")
        found_team(a, b)
        share(a, b)
        return a, b

    def close(self) -> None:
        """End everything; it is a failure if something listened beyond loopback, or stays."""
        heard = {ip for member in self._members for ip in member.sockets()}
        running = [p for member in self._members for p in member.processes()]
        for process in running:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(running, END_S)
        where = _stacks(stubborn)
        for process in stubborn:
            process.kill()
        left = [p for member in self._members for p in member.processes()]
        for member in self._members:
            member.forget()
        assert all(ip.startswith("127.") for ip in heard), f"listened on {heard}"
        assert not stubborn, f"had to be killed: {stubborn}\n{where}"
        assert not left, f"still running: {left}"


def up(*members: Member) -> None:
    """Start several daemons side by side."""
    if played:
        for member in members:
            member.up()
        return
    with ThreadPoolExecutor(len(members)) as pool:
        list(pool.map(Member.up, members))


def found_team(leader: Member, *others: Member, name: str = "backend") -> None:
    """A team with these members, who paired beforehand."""
    leader.run("team", "create", name)
    for other in others:
        other.run("pair", leader.code)
        leader.run("team", "add", other.code, "--team", name)


def share(leader: Member, *others: Member, project: str = "repo", cwd: Path | None = None) -> None:
    """Share a project; everybody accepts it, in both directions."""
    leader.run("project", "share", str(cwd or leader.repo), "--yes")
    for other in others:
        wait_for_offer(other, project)
        other.run("accept", project, "--yes")


def wait_for_offer(member: Member, project: str) -> None:
    """Wait until a project that somebody shared can be answered."""

    def offered() -> bool:
        found = member.json("subscription", "list")["subscriptions"]
        return any(s["project"].endswith(f"/{project}") for s in found)

    until(offered, f"{project} offered to {member.tag}")


def _stacks(stubborn: list[psutil.Process]) -> str:
    """All members' logs after these processes wrote into them what their threads are doing."""
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGABRT)  # Member sets PYTHONFAULTHANDLER
    psutil.wait_procs(stubborn, END_S)
    return logs() if stubborn else ""
