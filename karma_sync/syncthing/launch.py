"""A script that becomes another program, which ends when the parent process ends. Linux only.

    python -I -S launch.py PARENT_PID PROGRAM [ARGUMENT…]

It is a separate script because code between fork and exec (preexec_fn) can deadlock in a program
with threads. It imports nothing of ours, so it starts within about 20 ms.
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
