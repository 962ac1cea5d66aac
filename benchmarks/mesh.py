"""Teams of real members on one machine: how long until the others see a change."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import results, workload
from benchmarks.pair import PROJECT, Sender, sender
from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import DemoMember, until
from karma_sync.store import state

_CHANGES = 5
_WITHIN_S = 300.0


@dataclass(frozen=True)
class _Team:
    """Members with a reader each; the first leads and has shared the project."""

    leader: Sender
    members: Sequence[DemoMember]
    readers: Sequence[Reader]


@contextmanager
def _team(size: int) -> Iterator[_Team]:
    """A team in which everybody has a session, and only the leader has accepted the project."""
    with sender() as a:
        members = [a.member, *(a.newcomer(f"m{number}") for number in range(1, size))]
        a.member.run("team", "create", "bench")
        for other in members[1:]:
            a.pair(other)
        for member in members:
            session = str(uuid.uuid4())
            path = member.claude / "projects" / "-bench" / f"{session}.jsonl"
            path.parent.mkdir(parents=True)
            path.write_bytes(workload.line(session, a.clone) * 10)
        a.member.run("project", "share", str(a.clone), "--yes", "--since", "all")
        readers = [Reader(member) for member in members]
        try:
            for other in members[1:]:
                until(lambda o=other: PROJECT in o.run("subscription", "list"), _WITHIN_S, "offer")  # type: ignore[misc] # mypy cannot infer a lambda with a default
            yield _Team(a, members, readers)
        finally:
            for reader in readers:
                reader.close()


def standing_change_s() -> None:
    """Seconds until a peer has adopted an accept, a pause, a decline and a removal."""
    samples: dict[str, list[float]] = {}
    version = ""
    for _ in range(_CHANGES):
        with _team(2) as team:
            version = team.leader.syncthing()
            for change, seconds in _changes(team):
                samples.setdefault(change, []).append(seconds)
    figures: results.Figures = {change: results.spread(found) for change, found in samples.items()}
    figures |= results.spread([each for found in samples.values() for each in found])
    how = (
        f"two real daemons; {_CHANGES} of each: from the end of the command until the peer's"
        " database has it"
    )
    results.write("standing_change_s", how, figures | {"syncthing": version})
    results.write_samples("standing_change_s", samples)


def _changes(team: _Team) -> Iterator[tuple[str, float]]:
    """Have a member answer in all ways and be removed; how long until the other side knows."""
    peer = team.members[1]
    for verb, command in (
        ("accept", ("accept", "bench", "--yes")),
        ("pause", ("subscription", "pause", "bench")),
        ("resume", ("subscription", "resume", "bench", "--yes")),
        ("decline", ("decline", "bench", "--yes")),
    ):
        peer.run(*command)
        yield verb, _until(lambda v=verb: _stands(team.readers[0], peer, v))  # type: ignore[misc] # mypy cannot infer a lambda with a default
    team.leader.member.run("team", "remove", peer.tag, "--yes")
    yield "remove", _until(lambda: _teams(team.readers[1]) == 0)


def _until(condition: Callable[[], bool]) -> float:
    return until(condition, _WITHIN_S, "a change at the peer")


def _stands(reader: Reader, member: DemoMember, verb: str) -> bool:
    """Whether a reader's database has what a member's last answer says."""
    wanted = {"accept": "accepted", "pause": "paused", "resume": "accepted", "decline": "declined"}
    with reader.app.state.reading() as tx:
        keys = {m.key for team in state.teams.all(tx) for m in team.members if m.tag == member.tag}
        found = [s.status for s in state.subscriptions.all(tx) if s.member in keys]
    return found == [wanted[verb]]


def _teams(reader: Reader) -> int:
    with reader.app.state.reading() as tx:
        return len(state.teams.all(tx))
