"""The command `demo`: two members share sessions on this machine."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from karma_sync.cli.output import print_json, print_line, size
from karma_sync.cli.screen import Line, Tone, print_drawn
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
        bool,
        typer.Option("--json", help="Print JSON at the end; print the story to standard error."),
    ] = False,
    transcripts: Annotated[
        Path | None,
        typer.Option(help="Use the Claude Code transcripts below this directory as sessions."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="With --transcripts: write hashes, as JSON lines to *.jsonl, else as TSV."
        ),
    ] = None,
) -> None:
    """Play the demo.

    Two members on this machine share sessions. The demo deletes all its files at the end.

    Example: karma-sync demo
    """
    from karma_sync.demo.stage import stage
    from karma_sync.demo.story import Story
    from karma_sync.demo.transcripts import compare
    from karma_sync.service.setup import require_syncthing

    _check(transcripts, report)
    require_syncthing(Path(os.environ["KARMA_SYNC_SYNCTHING"]) if _is_configured() else None)
    began = time.monotonic()
    sources: list[Source] = []
    print_story = _to_stderr if as_json else _to_stdout
    with stage() as root:
        outcome = Story(root, print_story).play(transcripts, sources)
    rows = compare(transcripts, sources, outcome.fate) if transcripts else []
    if transcripts:
        _write(rows, report, print_story)
    if as_json:
        _end_json(outcome)
    else:
        _end(outcome, time.monotonic() - began)
    _judge(outcome, rows)


def _check(transcripts: Path | None, report: Path | None) -> None:
    """Refuse options that would fail only at the end."""
    if transcripts is not None and not transcripts.is_dir():
        raise BadInput(f"{transcripts} is not a directory")
    if report is None:
        return
    if transcripts is None:
        raise BadInput("--report needs --transcripts", hint="--transcripts DIR")
    if not report.parent.is_dir():
        raise BadInput(f"{report.parent} is not a directory")


def _is_configured() -> bool:
    return bool(os.environ.get("KARMA_SYNC_SYNCTHING"))


def _to_stdout(text: str) -> None:
    print_drawn([_shown(text)])
    sys.stdout.flush()


def _to_stderr(text: str) -> None:
    print_drawn([_shown(text)], sys.stderr)
    sys.stderr.flush()


def _shown(text: str) -> Line:
    """Return a line of the story: commands stand out, their output steps back."""
    if " $ karma-sync " in text:
        return Line(text, Tone.TITLE)
    return Line(text, Tone.SECONDARY if text.startswith("  ") else None)


def _write(rows: "list[Row]", report: Path | None, print_story: "Callable[[str], None]") -> None:
    """Write the report to its file, or print it."""
    from karma_sync.demo.transcripts import render

    if report is None:
        print_story(render(rows, as_lines=False))
        return
    report.write_text(render(rows, as_lines=report.suffix == ".jsonl"), encoding="utf-8")
    print_story(f"The hashes of {len(rows)} files are in {report}.\n")


def _end(outcome: "StoryOutcome", took: float) -> None:
    from karma_sync.demo.measure import percentile

    cuts: Counter[str] = Counter()
    for packed in outcome.packed.values():
        cuts.update(packed.cuts)
    shown = ", ".join(f"{rule} {count}" for rule, count in sorted(cuts.items())) or "nothing"
    p50, p95 = (percentile(outcome.append_s, percent) for percent in (50, 95))
    sent, there, n = len(outcome.packed), len(outcome.readable), len(outcome.append_s)
    print_line(
        f"Sent by alice:     {sent} of {outcome.written} sessions; redacted: {shown}",
        f"Readable by bob:   {there} sessions, {size(outcome.size)}, byte for byte as packaged",
        f"First session:     readable {outcome.first_session_s:.1f} s after the codes were pasted",
        f"An appended line:  readable after {p50:.2f} s (p50), {p95:.2f} s (p95), n={n}",
        f"Two daemons on Syncthing {outcome.syncthing}; {took:.0f} s. All files are deleted.",
    )


def _end_json(outcome: "StoryOutcome") -> None:
    from karma_sync.demo.measure import percentile

    samples = outcome.append_s
    print_json(
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
    """Raise an error if a file is missing or differs.

    Raises:
        KarmaError: exit code 1; the message names the first ones.
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
