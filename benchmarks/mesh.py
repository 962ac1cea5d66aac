"""Teams of real members on one machine: how long until the others see a change."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, permutations
from pathlib import Path

from benchmarks import results, workload
from benchmarks.pair import PROJECT, Sender, sender
from karma_sync.demo.measure import SPACING_S
from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import DemoMember, until
from karma_sync.errors import TimedOut
from karma_sync.runtime.timing import poll
from karma_sync.store import state

_CHANGES = 5
_MESHES = 5
_SIZES = {"five": 5, "ten": 10}
_APPENDS = 25
_WITHIN_S = 300.0
_LOOK_S = 0.02  # as many readers as members look, and must not take the CPU from the daemons


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


def mesh_complete_s() -> None:
    """Seconds from the last accept until each of five, and of ten, members reads all others."""
    samples: dict[str, list[float]] = {}
    version = ""
    for name, size in _SIZES.items():
        for _ in range(_MESHES):
            with _team(size) as team:
                version = team.leader.syncthing()
                samples.setdefault(name, []).append(complete_s(team))
    how = (
        f"{_MESHES} times each: real daemons on this machine, each with one session of 10 kB; all"
        " but the leader accept one after the other, without a pause; from the end of the last"
        " command until all of them read from their libraries what each other one wrote (20 and"
        " 90 directed pairs)"
    )
    figures: results.Figures = {name: results.spread(found) for name, found in samples.items()}
    results.write("mesh_complete_s", how, figures | {"n": _MESHES, "syncthing": version})
    results.write_samples("mesh_complete_s", samples)


def complete_s(team: _Team) -> float:
    """Have everybody accept; seconds from then until all pairs have exchanged their sessions."""
    for member in team.members[1:]:
        member.run("accept", "bench", "--yes")
    began = time.monotonic()
    missing = set(permutations(range(len(team.members)), 2))

    def exchanged() -> bool:
        for reader, author in sorted(missing):
            if team.readers[reader].count_by(team.members[author].tag):
                missing.discard((reader, author))
        return not missing

    if not poll(exchanged, _LOOK_S, _WITHIN_S):
        raise TimedOut(_lack(team, missing))
    took = time.monotonic() - began
    for reader, author in permutations(range(len(team.members)), 2):
        [found] = team.readers[reader].sessions_by(team.members[author].tag)
        session = found.manifest.session.session_id
        own = _transcript(team.members[author])
        content = own.read_bytes()
        assert session == own.stem
        assert team.readers[reader].transcript(session, len(content)) == content
    return took


def _lack(team: _Team, missing: set[tuple[int, int]]) -> str:
    """The pairs that are missing after the deadline, with status and log of the members involved.

    Their homes are gone when somebody reads this.
    """
    involved = Counter(chain.from_iterable(missing))
    most = max(involved.values())
    said = [
        f"{team.members[number].run('status')}\n{team.members[number].log_end()}"
        for number, count in sorted(involved.items())
        if count == most
    ]
    lines = [f"{len(missing)} pairs have not exchanged within {_WITHIN_S:g} seconds", *said]
    return "\n".join(lines)


def append_to_four_s() -> None:
    """Seconds from appending a line to a 5 MB session until four others can read it."""
    with _team(5) as team:
        made = workload.make(team.leader.sessions, team.leader.clone, 1, 5_000_000)
        for member in team.members[1:]:
            member.run("accept", "bench", "--yes")
        transcript = team.leader.sessions / f"{made.sessions[0]}.jsonl"
        line = workload.line(transcript.stem, team.leader.clone)
        others = team.readers[1:]
        content = transcript.read_bytes()
        _until(lambda: not _lacking(others, transcript.stem, content))
        samples = [_append_s(others, transcript, line) for _ in range(_APPENDS)]
        how = (
            f"{_APPENDS} lines of 1 kB, {SPACING_S:g} s apart, onto one session of 5 MB, five"
            " daemons; until one process read the exact bytes from the libraries of all four others"
        )
        common: results.Figures = {"bytes": made.size, "syncthing": team.leader.syncthing()}
        results.write("append_to_four_s", how, results.spread(samples) | common, samples)


def _append_s(others: Sequence[Reader], transcript: Path, line: bytes) -> float:
    content = transcript.read_bytes() + line
    waiting = list(others)

    def arrived() -> bool:
        waiting[:] = _lacking(waiting, transcript.stem, content)
        return not waiting

    began = time.monotonic()
    with transcript.open("ab") as out:
        out.write(line)
    took = _until(arrived)
    time.sleep(max(0.0, SPACING_S - (time.monotonic() - began)))
    return took


def _lacking(readers: Sequence[Reader], session: str, content: bytes) -> list[Reader]:
    """The readers that do not give exactly this transcript."""
    return [r for r in readers if r.transcript(session, len(content)) != content]


def _transcript(member: DemoMember) -> Path:
    [found] = (member.claude / "projects" / "-bench").glob("*.jsonl")
    return found


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
