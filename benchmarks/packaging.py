"""The cost of packaging sessions into an outbox: time, memory, disk; no Syncthing."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine, results, workload
from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.channel.outbox import Outbox
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.session.source_files import ReadFile, SourceSession
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.member import Member
from karma_sync.domain.team.pairing_code import PairingCode, device_text
from karma_sync.domain.team.subscription import USUAL, Subscription
from karma_sync.domain.team.team import found_team
from karma_sync.redact.redactor import default_redactor
from karma_sync.sending.packaging.packager import Packager
from karma_sync.signing import SigningKey
from karma_sync.store import packaged
from karma_sync.store.work import open_work

_APPENDS = 30
_FLUSH_EVERY_S = 0.25  # as the daemon does
_BYTES = 500_000_000
_ALONE = 3
_PROJECT = "github.com/example/bench"


class Desk:
    """A packager with all that it works on: sessions, a database, an outbox, a team of one."""

    def __init__(self, root: Path, claude: Path | None = None) -> None:
        self.claude = claude or root / "claude"
        self.sessions = self.claude / "projects" / "-bench"
        self.clone = root / "clone"
        self.source = ClaudeSource([self.claude])
        self._key = SigningKey.create(root / "key.pem")
        self.store = open_work(root / "work.db")
        self.outbox = Outbox(root / "outbox", batched=True)
        self.outbox.prepare()
        self.packager = Packager(default_redactor(), self._key, self.store, _now_ms)
        self.channel = self._channel()
        self._catalogue = Catalogue(self._load, self._save)

    def _load(self) -> list[ReadFile]:
        with self.store.reading() as tx:
            return packaged.read_files.all(tx)

    def _complete(self, session: SourceSession) -> SourceSession:
        plans = self._catalogue.plans(session)
        return self.source.complete(session, plans, self.channel.profile)

    def _save(self, file: ReadFile) -> None:
        with self.store.transaction() as tx:
            packaged.read_files.put(tx, file)

    def _channel(self) -> Channel:
        me = PairingCode("alice.box", device_text(bytes(32)), self._key.public)
        founder = Member(tag=me.tag, device=me.device, key=me.key)
        team = found_team("bench", founder, "0" * 32).share(_PROJECT, 1)
        answer = Subscription(team=team.id, project=_PROJECT, member=me.key)
        answer = answer.accept(1, Direction.BOTH, USUAL, Limits())
        return Channel("ks-c-bench", team, _PROJECT, team.members[0], answer)

    def survey(self) -> float:
        """Read the facts of all sessions, as `accept` does before it asks; seconds.

        Facts are what a transcript says of its session, such as its title, branches and models.
        """
        began = time.perf_counter()
        for session in self.source.sessions():
            self._catalogue.facts(session)
        return time.perf_counter() - began

    def package_all(self) -> float:
        """Package every session that has changed, as the daemon does in one pass; seconds.

        Facts that were not read before are read too. Files are put into the outbox, durably, as
        often as the daemon does it.
        """
        began = flushed = time.perf_counter()
        sessions = self.source.sessions()
        self._catalogue.read_ahead(sessions)
        for session in sessions:
            if not self.packager.is_current(self.channel, self._complete(session)):
                facts = self._catalogue.facts(session)
                whole = self._complete(session)
                while self.packager.package(self.channel, whole, facts, self.outbox).left:
                    continue
            if time.perf_counter() - flushed > _FLUSH_EVERY_S:
                self.outbox.flush_in_background()
                flushed = time.perf_counter()
        self.outbox.flush()
        return time.perf_counter() - began


def _now_ms() -> int:
    return time.time_ns() // 10**6


def package_append_ms() -> None:
    """A pass after one line was appended to a session: to one of 5 MB, and to one of 500 MB."""
    figures: results.Figures = {"n": _APPENDS}
    for name, size in (("5mb", 5_000_000), ("500mb", 500_000_000)):
        with TemporaryDirectory() as root:
            desk = Desk(Path(root))
            made = workload.make(desk.sessions, desk.clone, 1, size)
            desk.package_all()
            transcript = desk.sessions / f"{made.sessions[0]}.jsonl"
            samples = []
            for _ in range(_APPENDS):
                with transcript.open("ab") as out:
                    out.write(workload.line(made.sessions[0], desk.clone))
                samples.append(desk.package_all() * 1000)
            desk.store.close()
        figures |= {f"p50_{name}": round(statistics.median(samples), 2)}
        figures |= {f"max_{name}": round(max(samples), 2)}
    how = "1 kB appended to the only session, then one pass; its fsyncs included"
    results.write("package_append_ms", how, figures)


def package_1000() -> None:
    """Package 1,000 sessions for the first time, then again with nothing new, then 1,000 appends.

    Writes package_mb_s, outbox_ratio, package_unchanged_s and names_per_1000_appends.
    """
    with TemporaryDirectory() as root:
        desk = Desk(Path(root))
        made = workload.make(desk.sessions, desk.clone, 1000, _BYTES)
        os.sync()  # so that writing the sessions does not go on while packaging is measured
        survey = desk.survey()
        spent = machine.cpu_seconds()
        first = desk.package_all()
        spent = machine.cpu_seconds() - spent
        alone = _alone(desk, Path(root))
        unread = _package_unread(Path(root), desk.claude)
        unchanged = [desk.package_all() for _ in range(5)]
        used = sum(p.stat().st_blocks * 512 for p in desk.outbox.path.rglob("*") if p.is_file())
        names = _names_per_1000_appends(desk, made)
        desk.store.close()
    common: results.Figures = {"bytes": made.size}
    how = (
        "1,000 sessions of 500 MB in all, one pass: read, redacted, compressed, signed, fsynced."
        " `value`: MB/s after `survey` (MB/s too) has read the sessions' facts, as `accept` does;"
        " `unread`: MB/s without that; `by_cpu`: MB a second of CPU time. `of_...`: the seconds"
        " that SHA-256, zstd level 3 (one thread) or the fsyncs of as many files take alone for"
        " the same bytes, median of `alone_n` runs, divided by `package_s`, those of the pass;"
        " `with_fsync`: the sum of these three, divided by `package_s`"
    )
    speed = _speed(made.size, first, spent)
    others = {"survey": survey, "unread": unread}
    speed |= {name: round(made.size / took / 10**6, 1) for name, took in others.items()}
    results.write("package_mb_s", how, speed | shares(first, alone) | common)
    ratio: results.Figures = {"value": round(used / made.size, 4)}
    how = "size of the outbox as du counts it, divided by the bytes of the sessions"
    results.write("outbox_ratio", how, ratio | common)
    figures = {"value": round(statistics.median(unchanged), 4), "n": len(unchanged)}
    how = "a pass over 1,000 sessions with nothing new: no file is opened; median"
    results.write("package_unchanged_s", how, common | figures, unchanged)
    results.write(
        "names_per_1000_appends",
        "files that 1,000 appends of 1 kB to one session added to the outbox or removed from it",
        common | {"n": 1000, "value": names},
    )


def _alone(desk: Desk, scratch: Path) -> dict[str, float]:
    """Seconds that parts of packaging take alone, for the bytes that were packaged; medians.

    SHA-256 and zstd at level 3: for the content of each of the sessions' files, in one thread;
    reading the files is not counted. Fsync: to write and fsync as many files as the outbox holds,
    with the same contents, one after the other.
    """
    sha256, zstd3, fsync = [], [], []
    for number in range(_ALONE):
        sha256.append(sum(machine.sha256_each_s(machine.contents_below(desk.sessions))))
        zstd3.append(sum(machine.zstd3_each_s(machine.contents_below(desk.sessions))))
        outbox = machine.contents_below(desk.outbox.path)
        fsync.append(sum(machine.fsync_each_s(scratch / str(number), outbox)))
    parts = {"sha256": sha256, "zstd3": zstd3, "fsync": fsync}
    return {name: statistics.median(each) for name, each in parts.items()}


def shares(package_s: float, alone: Mapping[str, float]) -> results.Figures:
    """How near packaging comes to the speed of its parts, from the seconds that each takes alone.

    `of_NAME` is what the part takes alone, divided by what packaging took: 1 means that packaging
    is as fast as that part alone, 0.1 that it takes ten times as long. `with_fsync` is the same for
    all parts together, one after the other; it can be above 1, because packaging uses both cores
    and has several fsyncs under way at a time.
    """
    seconds: results.Figures = {f"{name}_s": round(each, 3) for name, each in alone.items()}
    of: results.Figures = {f"of_{name}": round(s / package_s, 4) for name, s in alone.items()}
    total = {"with_fsync": round(sum(alone.values()) / package_s, 4)}
    return {"package_s": round(package_s, 3), "alone_n": _ALONE} | seconds | of | total


def _package_unread(root: Path, claude: Path) -> float:
    """The same pass by a new packager, with an empty database and outbox; seconds."""
    (root / "unread").mkdir()
    desk = Desk(root / "unread", claude)
    seconds = desk.package_all()
    desk.store.close()
    return seconds


def _speed(size: int, seconds: float, cpu_seconds: float) -> results.Figures:
    """MB/s by the clock, and by CPU time, which other programs on the machine disturb less."""
    by_cpu = round(size / cpu_seconds / 10**6, 1)
    return {"value": round(size / seconds / 10**6, 1), "by_cpu": by_cpu}


def package_rss_mb() -> None:
    """The most memory that a process uses that packages one session of 500 MB."""
    with TemporaryDirectory() as root:
        place = Path(root)
        project = place / "claude" / "projects" / "-bench"
        made = workload.make(project, place / "clone", 1, _BYTES)
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.packaging", root],
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds, cpu_seconds, most = map(float, said.stdout.split())
    how = "one session of 500 MB in a process of its own: its largest resident set, and its speed"
    figures: results.Figures = {"value": round(most / 10**6, 1), "bytes": made.size}
    speed = _speed(made.size, seconds, cpu_seconds)
    figures |= {"mb_s": speed["value"], "mb_s_by_cpu": speed["by_cpu"]}
    results.write("package_rss_mb", how, figures)


def _package_there(root: Path) -> None:
    """Package the sessions below `root`; print seconds, CPU seconds, and most bytes of memory."""
    desk = Desk(root)
    spent = time.process_time()
    seconds = desk.package_all()
    print(seconds, time.process_time() - spent, _most_memory())
    desk.store.close()


def _most_memory() -> int:
    """The largest resident set of this process so far, in bytes.

    On Linux, `getrusage` also counts the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [x for x in status.read_text().splitlines() if x.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _names_per_1000_appends(desk: Desk, made: workload.Workload) -> int:
    transcript = desk.sessions / f"{made.sessions[0]}.jsonl"
    line = workload.line(made.sessions[0], desk.clone)
    before = {p for p in desk.outbox.path.rglob("*") if p.is_file()}
    for _ in range(1000):
        with transcript.open("ab") as out:
            out.write(line)
        session = desk.source.session_at(transcript)
        assert session
        desk.packager.package(desk.channel, session, Facts(), desk.outbox)
        desk.outbox.flush()
    after = {p for p in desk.outbox.path.rglob("*") if p.is_file()}
    return len(before ^ after)


if __name__ == "__main__":
    _package_there(Path(sys.argv[1]))
