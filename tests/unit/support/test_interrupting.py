"""A program that a test starts ends on Ctrl-C, also where the tests themselves ignore it."""

import signal
import subprocess

from tests.support.interrupting import ctrl_c_works


def test_a_program_ends_on_ctrl_c_although_we_ignore_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and services do
    try:
        with ctrl_c_works():
            process = subprocess.Popen(["sleep", "60"])
        with process:
            process.send_signal(signal.SIGINT)

        assert process.returncode == -signal.SIGINT
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "as it was before"
    finally:
        signal.signal(signal.SIGINT, before)
