"""A daemon that is told to stop ends, at whatever moment it is told."""

import subprocess
import sys
import textwrap

# In a process of its own: what is tested is a signal, and what fails hangs for ever. The loop
# runs once for each of its first lines, those of the standard library below it included, and the
# signal comes just before that line.
_PROGRAM = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from types import SimpleNamespace
    from karma_sync.daemon import main as daemon

    class Tracer:
        def __init__(self, line):
            self.left = line

        def __call__(self, frame, event, argument):
            if event == "line":
                self.left -= 1
                if self.left == 0:
                    os.kill(os.getpid(), signal.SIGTERM)
            return self

    daemon._TICK_S = 1e-4
    lines = int(sys.argv[1])
    wake = Path("/nowhere/wake")
    app = SimpleNamespace(
        state=SimpleNamespace(data_version=lambda: 0), paths=SimpleNamespace(wake=wake)
    )
    syncthing = SimpleNamespace(poll=lambda: None)
    timer = SimpleNamespace(check_clock=lambda: None)
    renewal = SimpleNamespace(is_due=lambda: False)
    for line in range(1, lines + 1):
        each = daemon.Daemon(app, renewal)
        each._up = True
        signal.signal(signal.SIGTERM, each._on_signal)
        sys.settrace(Tracer(line))
        each._loop(syncthing, None, timer)
        sys.settrace(None)
        print(line, flush=True)
    """
)
_LINES = 80


def test_a_signal_ends_the_daemon_at_whatever_moment_it_comes() -> None:
    # a threading.Event hung here: its lock was held by the very thread that was interrupted
    program = [sys.executable, "-c", _PROGRAM, str(_LINES)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            out, _ = process.communicate(timeout=20)
        finally:
            process.kill()

    assert out.split()[-1] == str(_LINES)
