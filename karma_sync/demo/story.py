"""The story that the demo plays: two people, two machines, from nothing to shared sessions."""

import json
import subprocess  # noqa: S404 only for a type
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from karma_sync.daemon.lock import running
from karma_sync.demo.measure import measure_appends
from karma_sync.demo.reader import Packed, Reader
from karma_sync.demo.sessions import (
    IDENTITY,
    later_lines,
    live_session,
    make_repository,
    project_directory,
    write_sessions,
)
from karma_sync.demo.stage import DemoMember, until
from karma_sync.demo.transcripts import SessionFate, Source, take
from karma_sync.errors import KarmaError
from karma_sync.git.repository import toplevel
from karma_sync.service import directories

APPENDS = 10
_FIRST_S = 60.0
_STALLED_S = 20.0  # without arrivals: missing sessions will not come
_SHOWN_LINES = 9
_SHOWN_CHARS = 110

Digests = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class StoryOutcome:
    """The outcome: hash and size of each file by session, as packaged and as read back.

    `written` sessions there were; `withheld` has the reasons why some did not leave.
    """

    syncthing: str
    written: int
    packed: dict[str, Packed]
    read: dict[str, Digests]
    withheld: dict[str, str]
    first_session_s: float
    append_s: list[float]

    @property
    def readable(self) -> list[str]:
        """The sessions that are read back exactly as they were packaged."""
        return [s for s, packed in self.packed.items() if self.read.get(s) == packed.files]

    @property
    def size(self) -> int:
        """Bytes of all files of the sessions that are readable."""
        return sum(size for s in self.readable for _, size in self.read[s].values())

    def fate(self, session: str, name: str) -> SessionFate:
        """The fate of one file of a session."""
        packed = self.packed.get(session)
        if packed is None or name not in packed.files:
            return SessionFate(why=self.withheld.get(session, ""))
        read, _ = self.read.get(session, {}).get(name, ("", 0))
        return SessionFate(packed.files[name][0], read, packed.cuts)


class Story:
    """Alice leads and writes, Bob joins and reads; `say` prints what happens, line by line."""

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._alice = DemoMember(root, "alice", "laptop")
        self._bob = DemoMember(root, "bob", "desk")
        self._sends, self._reads = Reader(self._alice), Reader(self._bob)
        self._repository = make_repository(self._alice)
        self._directory = project_directory(self._alice, self._repository)

    def play(self, transcripts: Path | None, sources: list[Source]) -> StoryOutcome:
        """Everything; `sources` receives what was found below `transcripts`."""
        try:
            return self._play(transcripts, sources)
        except KarmaError:
            for member in (self._alice, self._bob):
                self._say(f"The end of {member.tag}'s log:\n{member.log_end()}")
            raise
        finally:
            self._sends.close()
            self._reads.close()

    def _play(self, transcripts: Path | None, sources: list[Source]) -> StoryOutcome:
        self._say("Two people with a machine each; both live in temporary directories.\n")
        self._initialise()
        if transcripts:
            sources += self._take(transcripts)
            sessions = list(dict.fromkeys(source.session for source in sources))
            self._map(sorted({cwd for source in sources for cwd in source.cwds}))
        else:
            sessions = [p.stem for p in write_sessions(self._repository, self._directory)]
        first = self._share("all" if transcripts else "30d", len(sessions))
        self._look(sessions)
        appends = self._go_on(None if transcripts else sessions[-1])
        withheld = self._withheld()
        syncthing = running(self._sends.app.paths)
        outcome = StoryOutcome(
            syncthing.syncthing if syncthing else "",
            len(sessions),
            {s: p for s, p in self._sends.packed().items() if s in sessions},
            self._read_back(sessions),
            withheld,
            first,
            appends,
        )
        self._both_type("down")
        return outcome

    def _initialise(self) -> None:
        for member in (self._alice, self._bob):
            names = ("--user", member.user, "--machine", member.machine)
            self._types(member, "init", *names, "--no-discovery", "--address", "127.0.0.1")
        self._both_type("up", "-d")

    def _take(self, transcripts: Path) -> list[Source]:
        sources, others = take(transcripts, self._directory)
        left_out = f"; {others} more files are empty or something else" if others else ""
        count = len({source.session for source in sources})
        self._say(f"{count} Claude Code transcripts become Alice's sessions{left_out}.\n")
        return sources

    def _map(self, cwds: Sequence[str]) -> None:
        """The directories that the transcripts name belong to the demo's project.

        But for repositories that are on this disk: those have a name of their own.
        """
        cwds = [cwd for cwd in cwds if not (Path(cwd).is_dir() and toplevel(Path(cwd)))]
        if not cwds:
            return
        self._types(self._alice, "project", "map", "--", cwds[0], IDENTITY)
        if len(cwds) > 1:
            self._say(f"  … and the same for {len(cwds) - 1} more directories.\n")
        for cwd in cwds[1:]:
            directories.map_directory(self._sends.app.state, cwd, IDENTITY)

    def _share(self, since: str, count: int) -> float:
        """From two codes to all sessions; seconds from pasting until the first was readable."""
        codes = [self._types(member, "code").strip() for member in (self._alice, self._bob)]
        self._types(self._alice, "team", "create", "backend")
        self._say("They send each other their codes, and paste them.\n")
        began = time.monotonic()
        self._types(self._bob, "pair", codes[0])
        self._types(self._alice, "team", "add", codes[1])
        self._types(
            self._alice, "project", "share", ".", "--since", since, "--yes", cwd=self._repository
        )
        arguments = ("accept", "demo", "--since", since, "--yes", "--wait")
        accepting = self._begins(self._bob, *arguments)
        try:
            until(lambda: self._first_is_readable(accepting), _FIRST_S, "a first session")
            first = time.monotonic() - began
        finally:
            self._ends(self._bob, accepting, arguments)
        self._wait_for(count)
        return first

    def _first_is_readable(self, accepting: "subprocess.Popen[str]") -> bool:
        """Whether a session can be read whole, by this process, in Bob's library."""
        if accepting.poll():
            return True  # it failed: its result shows why
        if not self._reads.count_by(self._alice.tag):
            return False
        return bool(self._reads.digests(self._reads.sessions_by(self._alice.tag)[0]))

    def _wait_for(self, count: int) -> None:
        """Wait until all sessions have arrived, or nothing more arrives."""
        began = time.monotonic()
        there, since = -1, began
        while there < count and time.monotonic() - since < _STALLED_S:
            now = self._reads.count_by(self._alice.tag)
            if now != there:
                there, since = now, time.monotonic()
            time.sleep(0.05)
        took = time.monotonic() - began
        self._say(f"{there} of {count} sessions are in Bob's library, {took:.1f} s later.\n")

    def _look(self, sessions: Sequence[str]) -> None:
        self._types(self._bob, "session", "list", "--limit", "5")
        cut = [s for s, packed in self._sends.packed().items() if s in sessions and packed.cuts]
        if cut:
            self._say("One session held secrets. They were cut out before it left:\n")
            self._types(self._bob, "session", "show", cut[0])
        self._types(self._bob, "status")
        self._types(self._alice, "status")

    def _go_on(self, session: str | None) -> list[float]:
        """Alice goes on working; seconds from each line until Bob can read it."""
        if session is None:
            transcript = live_session(self._repository, self._directory)
            content = transcript.read_bytes()
            until(
                lambda: self._reads.transcript(transcript.stem, len(content)) == content,
                _FIRST_S,
                "a session that begins now is readable",
            )
        else:
            transcript = self._directory / f"{session}.jsonl"
        self._say(f"Alice's agent goes on: {APPENDS} more lines, a second apart.")
        lines = later_lines(self._repository, transcript.stem, APPENDS)
        samples = measure_appends(
            self._reads, transcript, lines, lambda s: self._say(f"  readable after {s:.3f} s")
        )
        self._say("")
        return samples

    def _withheld(self) -> dict[str, str]:
        """The reasons why sessions did not leave, as `status` shows them."""
        told = json.loads(self._alice.run("status", "--json"))
        return {s: why for project in told["projects"] for s, why in project["withheld"].items()}

    def _read_back(self, sessions: Iterable[str]) -> dict[str, Digests]:
        wanted = set(sessions)
        found = self._reads.sessions_by(self._alice.tag)
        by_session = {r.manifest.session.session_id: r for r in found}
        return {s: self._reads.digests(r) for s, r in by_session.items() if s in wanted}

    def _both_type(self, *arguments: str) -> None:
        """Both members run a command at the same time."""
        members = (self._alice, self._bob)
        for member, started in [(each, self._begins(each, *arguments)) for each in members]:
            self._ends(member, started, arguments)

    def _types(self, member: DemoMember, *arguments: str, cwd: Path | None = None) -> str:
        """Show who types what, run it, and show the output; a code is shown by its beginning."""
        started = self._begins(member, *arguments, cwd=cwd)
        return self._ends(member, started, arguments)

    def _begins(
        self, member: DemoMember, *arguments: str, cwd: Path | None = None
    ) -> "subprocess.Popen[str]":
        shown = (a if len(a) < 60 or "/" in a else f"{a[:15]}…" for a in arguments)
        place = f" {cwd.name}" if cwd else ""
        self._say(f"{member.tag}{place} $ karma-sync {' '.join(shown)}")
        return member.start(*arguments, cwd=cwd)

    def _ends(
        self, member: DemoMember, started: "subprocess.Popen[str]", arguments: tuple[str, ...]
    ) -> str:
        said = member.result(started, arguments, within_s=_FIRST_S * 2)
        lines = [line for line in said.splitlines() if not line.startswith("Next: ")]
        for line in lines[:_SHOWN_LINES]:
            cut = line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"
            self._say(f"  {cut}")
        if len(lines) > _SHOWN_LINES:
            self._say(f"  … {len(lines) - _SHOWN_LINES} more lines")
        self._say("")
        return said
