"""What packaging costs on the sender, without Syncthing."""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from karma_sync.agents.catalogue import Catalogue
from karma_sync.agents.claude.source import ClaudeSource
from karma_sync.channel.outbox import Outbox
from karma_sync.domain.mesh.channels import Channel
from karma_sync.domain.session.facts import Facts
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.session.source_files import ReadFile, SourceSession
from karma_sync.domain.team.pairing_code import PairingCode, device_text
from karma_sync.domain.team.subscription import Content, Direction, Subscription
from karma_sync.domain.team.team import Member, found_team
from karma_sync.redact.redactor import default_redactor
from karma_sync.sending.packaging.packager import Packager
from karma_sync.signing import SigningKey
from karma_sync.store import work
from karma_sync.store.work import open_work

_APPENDS = 30
_TELL_EVERY_S = 0.25
_BYTES = 500_000_000
_PROJECT = "github.com/example/bench"


class Desk:
    """A packager with everything it needs, in a temporary directory."""

    def __init__(self, root: Path, claude: Path | None = None) -> None:
        self.claude = claude or root / "claude"
        self.sessions = self.claude / "projects" / "-bench"
        self.clone = root / "clone"
        self.source = ClaudeSource(self.claude)
        self._key = SigningKey.create(root / "key.pem")
        self.store = open_work(root / "work.db")
        self.outbox = Outbox(root / "outbox", together=True)
        self.outbox.prepare()
        self.packager = Packager(default_redactor(), self._key, self.store, _now_ms)
        self.channel = self._channel()
        self._catalogue = Catalogue(self._load, self._save)

    def _load(self) -> list[ReadFile]:
        with self.store.reading() as tx:
            return work.read_files.all(tx)

    def _complete(self, session: SourceSession) -> SourceSession:
        plans = self._catalogue.plans(session)
        return self.source.complete(session, plans, self.channel.profile)

    def _save(self, file: ReadFile) -> None:
        with self.store.transaction() as tx:
            work.read_files.put(tx, file)

    def _channel(self) -> Channel:
        me = PairingCode("alice.box", device_text(bytes(32)), self._key.public)
        founder = Member(tag=me.tag, device=me.device, key=me.key)
        team = found_team("bench", founder, "0" * 32).share(_PROJECT, 1)
        answer = Subscription(team=team.id, project=_PROJECT, member=me.key)
        answer = answer.accept(1, Direction.BOTH, Content.BOTH, Limits())
        return Channel("ks-c-bench", team, _PROJECT, team.members[0], answer)

    def survey(self) -> float:
        """Read what all sessions tell of themselves, as `accept` does before it asks; seconds."""
        began = time.perf_counter()
        for session in self.source.sessions():
            self._catalogue.facts(session)
        return time.perf_counter() - began

    def package_all(self) -> float:
        """One pass over all sessions, what they tell of themselves included; seconds.

        What was packaged is put into its place as often as the daemon does it.
        """
        began = told = time.perf_counter()
        sessions = self.source.sessions()
        self._catalogue.read_ahead(sessions)
        for session in sessions:
            if not self.packager.is_current(self.channel, self._complete(session)):
                facts = self._catalogue.facts(session)
                whole = self._complete(session)
                while self.packager.package(self.channel, whole, facts, self.outbox).left:
                    continue
            if time.perf_counter() - told > _TELL_EVERY_S:
                self.outbox.flush_behind()
                told = time.perf_counter()
        self.outbox.flush()
        return time.perf_counter() - began


def _now_ms() -> int:
    return time.time_ns() // 10**6


def package_append_ms() -> None:
    """One line appended to a session of 5 and of 500 MB: packaging alone, fsync included."""
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
    how = "1 kB appended to one session, then one pass; fsync of the item file included"
    results.write("package_append_ms", how, figures)


def package_1000() -> None:
    """First pass over 1,000 sessions, size of the outbox, and passes with nothing new."""
    with TemporaryDirectory() as root:
        desk = Desk(Path(root))
        made = workload.make(desk.sessions, desk.clone, 1000, _BYTES)
        os.sync()  # that these sessions reach the disk is not what is measured
        survey = desk.survey()
        spent = _cpu_seconds()
        first = desk.package_all()
        spent = _cpu_seconds() - spent
        unread = _package_unread(Path(root), desk.claude)
        unchanged = [desk.package_all() for _ in range(5)]
        used = sum(p.stat().st_blocks * 512 for p in desk.outbox.path.rglob("*") if p.is_file())
        names = _names_per_1000_appends(desk, made)
        desk.store.close()
    common: results.Figures = {"bytes": made.size}
    how = (
        "1,000 sessions of 500 MB, one pass: read, redacted, compressed, signed, fsynced. What they"
        " tell of themselves was read before, by `survey`, as `accept` does; `unread` if it was not"
    )
    speed = _speed(made.size, first, spent)
    others = {"survey": survey, "unread": unread}
    speed |= {name: round(made.size / took / 10**6, 1) for name, took in others.items()}
    results.write("package_mb_s", how, speed | common)
    ratio: results.Figures = {"value": round(used / made.size, 4)}
    results.write("outbox_ratio", "du of the outbox against raw", ratio | common)
    figures = {"value": round(statistics.median(unchanged), 4), "n": len(unchanged)}
    how = "a pass over 1,000 sessions with nothing new, files looked up, none opened; median"
    results.write("package_unchanged_s", how, common | figures, unchanged)
    results.write(
        "names_per_1000_appends",
        "files created or deleted in the outbox by 1,000 appends of 1 kB to one session",
        common | {"n": 1000, "value": names},
    )


def _package_unread(root: Path, claude: Path) -> float:
    """The same pass where nobody has read these sessions before; seconds."""
    (root / "unread").mkdir()
    desk = Desk(root / "unread", claude)
    seconds = desk.package_all()
    desk.store.close()
    return seconds


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _speed(size: int, seconds: float, cpu_seconds: float) -> results.Figures:
    """MB/s by the clock, and by the CPU alone: the second does not suffer from neighbours."""
    by_cpu = round(size / cpu_seconds / 10**6, 1)
    return {"value": round(size / seconds / 10**6, 1), "by_cpu": by_cpu}


def package_rss_mb() -> None:
    """The most memory of a process that packages one session of 500 MB."""
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
    how = "one session of 500 MB in a process of its own: most memory it ever had, and its speed"
    figures: results.Figures = {"value": round(most / 10**6, 1), "bytes": made.size}
    speed = _speed(made.size, seconds, cpu_seconds)
    figures |= {"mb_s": speed["value"], "mb_s_by_cpu": speed["by_cpu"]}
    results.write("package_rss_mb", how, figures)


def _package_there(root: Path) -> None:
    """Package what lies at `root`; prints seconds, seconds of CPU, most bytes of memory."""
    desk = Desk(root)
    spent = time.process_time()
    seconds = desk.package_all()
    print(seconds, time.process_time() - spent, _most_memory())
    desk.store.close()


def _most_memory() -> int:
    """Bytes this process had at most; `getrusage` would count the one that started it too."""
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
