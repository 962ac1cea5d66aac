"""The command that plays the whole story on this machine."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.cli.output import say, say_json, size
from karma_sync.errors import BadInput, KarmaError

if TYPE_CHECKING:
    from karma_sync.demo.story import StoryOutcome
    from karma_sync.demo.transcripts import Row, Source

_NAMED = 10


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON; the story goes to stderr.")
    ] = False,
    transcripts: Annotated[
        Path | None,
        typer.Option(help="Take every Claude Code transcript below this directory as sessions."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="With --transcripts: hashes per file, as JSON lines if *.jsonl, or TSV."),
    ] = None,
) -> None:
    """Play the story with two members on this machine. It leaves nothing behind.

    Example: karma-sync demo
    """
    from karma_sync.demo.stage import stage
    from karma_sync.demo.story import Story
    from karma_sync.demo.transcripts import compare
    from karma_sync.syncthing.program import find_program

    _check(transcripts, report)
    find_program(Path(os.environ["KARMA_SYNC_SYNCTHING"]) if _is_configured() else None)
    began = time.monotonic()
    sources: list[Source] = []
    told = _to_stderr if as_json else _to_stdout
    with stage() as root:
        outcome = Story(root, told).play(transcripts, sources)
    rows = compare(transcripts, sources, outcome.fate) if transcripts else []
    if transcripts:
        _write(rows, report, told)
    if as_json:
        _end_json(outcome)
    else:
        _end(outcome, time.monotonic() - began)
    _judge(outcome, rows)


def _check(transcripts: Path | None, report: Path | None) -> None:
    """Refuse before anything starts what could only fail at the end."""
    if transcripts is not None and not transcripts.is_dir():
        raise BadInput(f"{transcripts} is no directory")
    if report is None:
        return
    if transcripts is None:
        raise BadInput("--report is about transcripts", hint="--transcripts DIR")
    if not report.parent.is_dir():
        raise BadInput(f"{report.parent} is no directory")


def _is_configured() -> bool:
    return bool(os.environ.get("KARMA_SYNC_SYNCTHING"))


def _to_stdout(text: str) -> None:
    print(text, flush=True)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write(rows: "list[Row]", report: Path | None, told: "Callable[[str], None]") -> None:
    """The report, into its file, or as part of the story."""
    from karma_sync.demo.transcripts import render

    if report is None:
        told(render(rows, as_lines=False))
        return
    report.write_text(render(rows, as_lines=report.suffix == ".jsonl"), encoding="utf-8")
    told(f"Hashes of {len(rows)} files are in {report}.\n")


def _end(outcome: "StoryOutcome", took: float) -> None:
    from karma_sync.demo.measure import percentile

    cuts: Counter[str] = Counter()
    for packed in outcome.packed.values():
        cuts.update(packed.cuts)
    shown = ", ".join(f"{rule} {count}" for rule, count in sorted(cuts.items())) or "nothing"
    p50, p95 = (percentile(outcome.append_s, percent) for percent in (50, 95))
    sent, there, n = len(outcome.packed), len(outcome.readable), len(outcome.append_s)
    say(
        f"Sent by alice:     {sent} of {outcome.written} sessions; cut out before: {shown}",
        f"Readable by bob:   {there} sessions, {size(outcome.size)}, byte for byte as packaged",
        f"First session:     readable {outcome.first_session_s:.1f} s after the codes were pasted",
        f"An appended line:  readable after {p50:.2f} s (p50), {p95:.2f} s (p95), n={n}",
        f"Two daemons on Syncthing {outcome.syncthing}; {took:.0f} s in all. Nothing is left.",
    )


def _end_json(outcome: "StoryOutcome") -> None:
    from karma_sync.demo.measure import percentile

    samples = outcome.append_s
    say_json(
        members=2,
        syncthing_version=outcome.syncthing,
        sessions_sent=len(outcome.packed),
        sessions_readable=len(outcome.readable),
        bytes=outcome.size,
        first_session_s=round(outcome.first_session_s, 3),
        append_s={
            "p50": round(percentile(samples, 50), 3),
            "p95": round(percentile(samples, 95), 3),
            "n": len(samples),
        },
    )


def _judge(outcome: "StoryOutcome", rows: "list[Row]") -> None:
    """Fail if anything is missing or different.

    Raises:
        KarmaError: exit code 1; the message names the first of them.
    """
    bad = [f"{row.path}: {row.note}" for row in rows if row.note]
    if bad:
        more = [f"… and {len(bad) - _NAMED} more"] if len(bad) > _NAMED else []
        listed = "\n  ".join([*bad[:_NAMED], *more])
        raise KarmaError(f"{len(bad)} of {len(rows)} files did not arrive as written:\n  {listed}")
    if len(outcome.readable) < outcome.written:
        raise KarmaError(
            f"{len(outcome.readable)} of {outcome.written} sessions arrived as they were packaged"
        )
