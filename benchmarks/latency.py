"""How long things take between two members."""

import time
import xml.etree.ElementTree as ET  # noqa: S405 our own file

import requests

from benchmarks import results, workload
from benchmarks.pair import Sender, sender
from karma_sync.cli.demo_measure import measure_appends
from karma_sync.cli.demo_reader import Reader
from karma_sync.cli.demo_stage import Member, until
from karma_sync.syncthing.home import gui_port

_WITHIN_S = 600.0
_APPENDS = 30
_COUNT, _BYTES = 1000, 500_000_000
_BEHIND = f"{_COUNT} sessions, {_BYTES / 10**6:.0f} MB raw, packaged at the sender before"


def append_to_readable_s() -> None:
    """A line appended to a 5 MB session until another process reads its exact bytes at B."""
    with sender() as a:
        made = workload.make(a.sessions, a.clone, 1, 5_000_000)
        b = a.newcomer("bob")
        a.share()
        a.pair(b)
        b.run("accept", "bench", "--yes", "--wait", within_s=_WITHIN_S)
        reader = Reader(b)
        session = made.sessions[0]
        line = workload.line(session, a.clone)
        transcript = a.sessions / f"{session}.jsonl"
        until(lambda: reader.count_by(a.member.tag) == 1, _WITHIN_S, "the session at B")
        before = _wire_bytes(b)
        samples = measure_appends(reader, transcript, [line] * _APPENDS)
        wire = (_wire_bytes(b) - before) / _APPENDS / 1000
        reader.close()
        how = f"{_APPENDS} lines of 1 kB, 1.1 s apart, onto one session of 5 MB, two daemons"
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        results.write("append_to_readable_s", how, results.spread(samples) | common, samples)
        mean: results.Figures = {"n": _APPENDS, "mean": round(wire, 1)}
        results.write("append_wire_mean_kb", f"bytes B received, {how}", mean | common)


def paste_to_first_session_s() -> None:
    """From pasting the codes on both sides to the newest session's exact bytes at B."""
    with sender() as a:
        made = workload.make(a.sessions, a.clone, _COUNT, _BYTES)
        a.share()
        a.until_packaged(_COUNT)
        samples, all_of_it = [], []
        for number in range(3):
            b = a.newcomer(f"bob{number}")
            samples.append(_first(a, b, made))
            began = time.monotonic() - samples[-1]
            all_of_it.append(_all(a, b, began))
            b.run("down")
        common: results.Figures = {"bytes": made.size, "syncthing": a.syncthing()}
        how = f"pair and team add, then accept --yes --wait; {_BEHIND}"
        results.write("paste_to_first_session_s", how, results.spread(samples) | common, samples)
        how = f"from the same moment until all are in B's library; {_BEHIND}"
        results.write("first_sync_s", how, results.spread(all_of_it) | common, all_of_it)


def _first(a: Sender, b: Member, made: workload.Workload) -> float:
    newest = made.sessions[0]
    size = (a.sessions / f"{newest}.jsonl").stat().st_size
    reader = Reader(b)
    began = time.monotonic()
    a.pair(b)
    accepting = ("accept", "bench", "--yes", "--wait")
    started = b.start(*accepting)

    def readable() -> bool:
        return len(reader.transcript(newest, size)) == size

    until(readable, _WITHIN_S, "the newest session at B")
    took = time.monotonic() - began
    b.result(started, accepting, _WITHIN_S)
    reader.close()
    return took


def _all(a: Sender, b: Member, began: float) -> float:
    reader = Reader(b)
    until(lambda: reader.count_by(a.member.tag) == _COUNT, _WITHIN_S, "all sessions at B")
    reader.close()
    return time.monotonic() - began


def _wire_bytes(member: Member) -> int:
    """What a member's Syncthing received in all; asked with its own key, outside the program."""
    home = member.home / "syncthing"
    key = ET.parse(home / "config.xml").findtext("gui/apikey") or ""  # noqa: S314 our own file
    answer = requests.get(
        f"http://127.0.0.1:{gui_port(home)}/rest/system/connections",
        headers={"X-API-Key": key},
        timeout=10,
    )
    return int(answer.json()["total"]["inBytesTotal"])
