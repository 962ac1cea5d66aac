"""Become another program that ends when the process which started it does.

    python -I -S launch.py PARENT_PID PROGRAM [ARGUMENT…]

A script of its own, because code between fork and exec (preexec_fn) can deadlock in a program
with threads. Linux only; imports nothing of ours, so it is running in some 20 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # see prctl(2); survives exec


def main() -> None:
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != int(parent):
        sys.exit("the parent ended before its child began")
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error}")


if __name__ == "__main__":
    main()
