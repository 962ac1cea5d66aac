"""The time until another member can read a session, and the bytes that this sends."""

import json
import time
from collections import deque
from pathlib import Path

import psutil
import requests

from benchmarks import results, workload
from benchmarks.pair import PROJECT, Sender, gui, sender
from karma_sync.agents.observations import NewObservation, OwnObservations
from karma_sync.demo.measure import measure_appends
from karma_sync.demo.reader import Reader
from karma_sync.demo.stage import DemoMember, until
from karma_sync.domain.session.observation import Observation
from karma_sync.paths import Paths
from karma_sync.runtime.timing import utc_now

_WITHIN_S = 600.0
_APPENDS = 30
_BURST = 25
_BUSY_S, _BUSY_EVERY_S, _BUSY_LOOK_S = 180.0, 0.5, 0.01
_OTHERS, _OBSERVED, _BETWEEN_S = 100, 25, 1.1
_RUNS = 3
_QUIET_S = 5.0
_LOOK_S = 0.25
_COUNT, _BYTES = 1000, 500_000_000
_BEHIND = f"{_COUNT} sessions, {_BYTES / 10**6:.0f} MB raw, packaged at the sender before"
_Digests = dict[str, dict[str, tuple[str, int]]]  # SHA-256 and size by file, by session


def append_to_readable_s() -> None:
    """Seconds from appending a line to a 5 MB session until B's library gives its exact bytes."""
    with sender() as a:
        reader, made, transcript = _one_session(a, a.newcomer("bob"))
        line = workload.line(transcript.stem, a.clone)
        samples = measure_appends(reader, transcript, [line] * _BURST)
        reader.close()
        how = f"{_BURST} lines of 1 kB, 1.1 s apart, onto one session of 5 MB, two daemons"
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        results.write("append_to_readable_s", how, results.spread(samples) | common, samples)


def busy_append_to_readable_s() -> None:
    """The same for each line of an agent that writes for minutes, and what that costs."""
    with sender() as a:
        b = a.newcomer("bob")
        reader, made, transcript = _one_session(a, b)
        line = workload.line(transcript.stem, a.clone)
        daemon = psutil.Process(json.loads(a.member.run("status", "--json"))["daemon"]["pid"])
        _quiet(b)
        wire, cpu, began = _wire_bytes(b), _cpu_s(daemon), time.monotonic()
        samples = _write_and_wait(reader, transcript, line)
        took = time.monotonic() - began
        figures = results.spread(samples) | {
            "wire_kb_per_s": round((_wire_bytes(b) - wire) / took / 1000, 1),
            "sender_cpu_percent": round(100 * (_cpu_s(daemon) - cpu) / took, 2),
        }
        reader.close()
        how = (
            f"a line of 1 kB every {_BUSY_EVERY_S:g} s for {_BUSY_S:g} s, onto one session of 5 MB,"
            " two daemons; what B's Syncthing received, and the CPU of A's daemon without Syncthing"
        )
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        results.write("busy_append_to_readable_s", how, figures | common, samples)


def _write_and_wait(reader: Reader, transcript: Path, line: bytes) -> list[float]:
    """Append on time, whether or not earlier lines have arrived; the seconds that each took."""
    samples: list[float] = []
    awaited: deque[tuple[int, float]] = deque()  # the size of the transcript, and since when
    content = bytearray(transcript.read_bytes())
    readable = len(content)
    began = due = last = time.monotonic()
    while due - began < _BUSY_S or awaited:
        if time.monotonic() >= due and due - began < _BUSY_S:
            with transcript.open("ab") as out:
                out.write(line)
            content += line
            awaited.append((len(content), time.monotonic()))
            due += _BUSY_EVERY_S
        size = reader.transcript_size(transcript.stem)
        if size > readable and reader.transcript(transcript.stem, size) == content[:size]:
            readable, last = size, time.monotonic()
            while awaited and awaited[0][0] <= size:
                samples.append(last - awaited.popleft()[1])
        if awaited and time.monotonic() - max(last, awaited[0][1]) > _WITHIN_S:
            raise AssertionError(f"an appended line is not readable after {_WITHIN_S:g} s")
        time.sleep(_BUSY_LOOK_S)
    return samples


def _cpu_s(process: psutil.Process) -> float:
    """CPU seconds that a process has used, without its children."""
    times = process.cpu_times()
    return times.user + times.system


def observation_to_readable_s() -> None:
    """Seconds from saving an observation until another process reads its text at B."""
    with sender() as a:
        reader, _, _ = _one_session(a, a.newcomer("bob"))
        a.member.run("observation", "share", "bench", "--yes")
        own = OwnObservations(Paths.inside(a.member.home).observations)
        for number in range(_OTHERS):
            own.add(_observation(number), PROJECT)
        last = f"k-{_OTHERS - 1:032x}"
        until(lambda: bool(reader.observations(last)), _WITHIN_S, "the first ones at B")
        samples = []
        for number in range(_OTHERS, _OTHERS + _OBSERVED):
            time.sleep(_BETWEEN_S)
            new = _observation(number)
            began = time.monotonic()
            own.add(new, PROJECT)
            until(lambda: reader.observations(new.id) == [new.content], _WITHIN_S, new.id)  # noqa: B023 called at once
            samples.append(time.monotonic() - began)
        reader.close()
        how = (
            f"{_OBSERVED} observations of 1 kB, {_BETWEEN_S:g} s apart, from saving one until"
            f" another process has its text from B's library; {_OTHERS} before, two daemons"
        )
        common: results.Figures = {"syncthing": a.syncthing()}
        results.write("observation_to_readable_s", how, results.spread(samples) | common, samples)


def _observation(number: int) -> Observation:
    saved = NewObservation("bugfix", f"Fixed thing {number}", "word " * 200).saved(utc_now())
    return saved.changed(id=f"k-{number:032x}")


def append_wire_kb() -> None:
    """kB that a receiver's Syncthing receives because of one appended line, receipts included."""
    with sender() as a:
        b = a.newcomer("bob")
        reader, made, transcript = _one_session(a, b)
        line = workload.line(transcript.stem, a.clone)
        samples = []
        before = _quiet(b)
        for _ in range(_APPENDS):
            measure_appends(reader, transcript, [line])
            now = _quiet(b)
            samples.append((now - before) / 1000)
            before = now
            print(f"  {samples[-1]:.1f} kB", flush=True)
        reader.close()
        how = (
            f"kB that B's Syncthing received for a line of 1 kB onto one session of 5 MB, by its"
            f" own counter of all connections, until it stood still for {_QUIET_S:g} s"
        )
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        results.write("append_wire_kb", how, results.spread(samples) | common, samples)


def _one_session(a: Sender, b: DemoMember) -> tuple[Reader, workload.Workload, Path]:
    """Share a session of 5 MB and wait for it; a reader at B, what was made, the transcript."""
    made = workload.make(a.sessions, a.clone, 1, 5_000_000)
    a.share()
    a.pair(b)
    b.run("accept", "bench", "--yes", "--wait", within_s=_WITHIN_S)
    reader = Reader(b)
    until(lambda: reader.count_by(a.member.tag) == 1, _WITHIN_S, "the session at B")
    return reader, made, a.sessions / f"{made.sessions[0]}.jsonl"


def _quiet(member: DemoMember) -> int:
    """Wait until a member's Syncthing receives nothing for `_QUIET_S`; the bytes it received."""
    seen, since = _wire_bytes(member), time.monotonic()
    while time.monotonic() - since < _QUIET_S:
        time.sleep(_LOOK_S)
        now = _wire_bytes(member)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


def paste_to_first_session_s() -> None:
    """Seconds from pasting codes until B can read the newest session, and from accepting, all."""
    with sender() as a:
        made = workload.make(a.sessions, a.clone, _COUNT, _BYTES)
        a.share()
        a.until_packaged(_COUNT)
        sent = _sent(a)
        first, everything = [], []
        for number in range(_RUNS):
            b = a.newcomer(f"bob{number}")
            pasted = time.monotonic()
            a.pair(b)
            accepted = time.monotonic()
            first.append(_first(a, b, made) - pasted)
            everything.append(_all(a, b, sent) - accepted)
            b.run("down")
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        how = f"from typing pair, team add, accept until the newest session is readable; {_BEHIND}"
        results.write("paste_to_first_session_s", how, results.spread(first) | common, first)
        how = (
            "from typing accept until a process other than the daemon has read all files of all"
            f" sessions from B's library and compared their SHA-256; {_BEHIND}"
        )
        results.write("first_sync_s", how, results.spread(everything) | common, everything)


def _first(a: Sender, b: DemoMember, made: workload.Workload) -> float:
    """Accept, and wait until B can read the newest session; the moment when it could."""
    newest = made.sessions[0]
    size = (a.sessions / f"{newest}.jsonl").stat().st_size
    reader = Reader(b)
    accepting = ("accept", "bench", "--yes", "--wait")
    started = b.start(*accepting)

    def readable() -> bool:
        return len(reader.transcript(newest, size)) == size

    until(readable, _WITHIN_S, "the newest session at B")
    moment = time.monotonic()
    b.result(started, accepting, _WITHIN_S)
    reader.close()
    return moment


def _all(a: Sender, b: DemoMember, sent: _Digests) -> float:
    """Read and check each session as soon as B has it; the moment when the last one was right."""
    reader = Reader(b)
    missing = dict(sent)

    def readable() -> bool:
        if reader.count_by(a.member.tag) > _COUNT - len(missing):
            for found in reader.sessions_by(a.member.tag):
                session = found.manifest.session.session_id
                if session in missing:
                    assert reader.digests(found) == missing.pop(session), session
        time.sleep(_LOOK_S)
        return not missing

    until(readable, _WITHIN_S, "all sessions at B")
    moment = time.monotonic()
    reader.close()
    return moment


def _sent(a: Sender) -> _Digests:
    """The files in the sender's outbox."""
    reader = Reader(a.member)
    try:
        return {session: packed.files for session, packed in reader.packed().items()}
    finally:
        reader.close()


def _wire_bytes(member: DemoMember) -> int:
    """Bytes that a member's Syncthing has received from all others, by its own counter."""
    address, api_key = gui(member)
    answer = requests.get(
        f"http://{address}/rest/system/connections", headers={"X-API-Key": api_key}, timeout=10
    )
    return int(answer.json()["total"]["inBytesTotal"])
