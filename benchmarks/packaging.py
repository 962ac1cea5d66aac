"""What packaging costs on the sender, without Syncthing."""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import results, workload
from karma_sync.domain.facts import Facts
from karma_sync.domain.pairing import PairingCode, device_text
from karma_sync.domain.plan import Channel
from karma_sync.domain.subscription import Content, Direction, Subscription
from karma_sync.domain.team import Member, found_team
from karma_sync.flow.outbox import Outbox
from karma_sync.flow.package import Packager
from karma_sync.metadata.signing import SigningKey
from karma_sync.redact.engine import default_redactor
from karma_sync.sources.claude import ClaudeSource
from karma_sync.store.work import open_work

_APPENDS = 30
_PROJECT = "github.com/example/bench"


class Desk:
    """A packager with everything it needs, in a temporary directory."""

    def __init__(self, root: Path) -> None:
        self.claude = root / "claude"
        self.sessions = self.claude / "projects" / "-bench"
        self.clone = root / "clone"
        self.source = ClaudeSource(self.claude)
        self._key = SigningKey.create(root / "key.pem")
        self.store = open_work(root / "work.db")
        self.outbox = Outbox(root / "outbox")
        self.outbox.prepare()
        self.packager = Packager(default_redactor(), self._key, self.store, _now_ms)
        self.channel = self._channel()

    def _channel(self) -> Channel:
        me = PairingCode("alice.box", device_text(bytes(32)), self._key.public)
        founder = Member(tag=me.tag, device=me.device, key=me.key)
        team = found_team("bench", founder, "0" * 32).share(_PROJECT, 1)
        answer = Subscription(team=team.id, project=_PROJECT, member=me.key)
        answer = answer.accept(1, Direction.BOTH, Content.BOTH, None)
        return Channel("ks-c-bench", team, _PROJECT, team.members[0], answer)

    def package_all(self) -> float:
        """One pass over all sessions; seconds."""
        began = time.perf_counter()
        for session in self.source.sessions():
            if not self.packager.is_current(self.channel, session):
                self.packager.package(self.channel, session, Facts(), self.outbox)
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
        made = workload.make(desk.sessions, desk.clone, 1000, 500_000_000)
        first = desk.package_all()
        unchanged = [desk.package_all() for _ in range(5)]
        used = sum(p.stat().st_blocks * 512 for p in desk.outbox.path.rglob("*") if p.is_file())
        names = _names_per_1000_appends(desk, made)
        desk.store.close()
    common: results.Figures = {"bytes": made.size}
    how = "1,000 sessions of 500 MB, one pass, redaction on, fsync on"
    speed: results.Figures = {"value": round(made.size / first / 10**6, 1)}
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
    after = {p for p in desk.outbox.path.rglob("*") if p.is_file()}
    return len(before ^ after)
