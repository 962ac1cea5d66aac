"""Runs a command of ours in this process, as a process of its own would see the world.

A new process takes half a second to load; a command in one that has all of it loaded takes a tenth
of that. Whoever needs the process itself (signals, terminals, pipes that close) starts one.
"""

import gc
import io
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from karma_sync.cli.main import load, run

_one_at_a_time = threading.RLock()  # environment, directory and streams are the process's


@dataclass(frozen=True)
class Done:
    """The exit code of a command, and the bytes that it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_in_process(
    args: Sequence[str], environ: Mapping[str, str], cwd: Path, stdin: bytes = b""
) -> Done:
    """Run a command with this environment, in this directory; what it opened is closed then."""
    with _one_at_a_time, _surroundings(environ, cwd), _streams(stdin) as (out, err), _tidied():
        code = _exit_code(args)
        sys.stdout.flush()
        sys.stderr.flush()
        return Done(code, out.getvalue(), err.getvalue())


def _exit_code(args: Sequence[str]) -> int:
    before, sys.argv = sys.argv, ["karma-sync", *args]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(load())
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 Python ends so, and the test reads it
        traceback.print_exc()
        return 1
    finally:
        sys.argv = before
    return 0


@contextmanager
def _surroundings(environ: Mapping[str, str], cwd: Path) -> Iterator[None]:
    before, place = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _streams(stdin: bytes) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """The standard streams as pipes; also those that measure how wide a terminal is."""
    names = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
    before = {name: getattr(sys, name) for name in names}
    out, err = io.BytesIO(), io.BytesIO()
    streams = {"stdin": io.BytesIO(stdin), "stdout": out, "stderr": err}
    for name, stream in streams.items():
        text = io.TextIOWrapper(stream, encoding="utf-8", write_through=name == "stderr")
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)
    try:
        yield out, err
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)


@contextmanager
def _tidied() -> Iterator[None]:
    """Free at the end what the end of a process would: such as databases that are in a circle.

    Nothing is collected meanwhile, so all of it is in the youngest generation, which is small.
    """
    gc.collect(0)
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if was_on:
            gc.enable()
