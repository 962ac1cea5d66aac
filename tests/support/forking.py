"""Runs commands of ours, each in a fork of one process that has loaded the whole program.

A fork sees its surroundings as a new process does, and is ready at once; a new process loads for
half a second. A test gives the text of this file to `python -c`, with the commands in JSON: who
runs it may be a user who cannot read the tests. It prints in JSON how each command ended.
"""

import gc
import json
import os
import pkgutil
import signal
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from typing import IO

_ENDS_S = 60


def _load() -> None:
    """Load every module; what a command loads late is loaded before the fork too."""
    import karma_sync

    gc.disable()  # nothing of all this is garbage
    for module in pkgutil.walk_packages(karma_sync.__path__, "karma_sync."):
        import_module(module.name)
    gc.freeze()
    gc.enable()


def _run(args: list[str]) -> tuple[int, str, str]:
    """Run a command in a fork; its code, and what it printed to both streams."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            try:
                _become(args, out, err)
            finally:
                os._exit(70)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), _text(out), _text(err)


def _become(args: list[str], out: IO[bytes], err: IO[bytes]) -> None:
    """End this process as the command ends, but for what Python frees: that takes long here."""
    from karma_sync.__main__ import main

    signal.alarm(_ENDS_S)  # a command that does not end by itself is killed
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    sys.argv = ["karma-sync", *args]
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 Python ends so too, and the test reads it
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else code is not None)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


if __name__ == "__main__":
    from karma_sync.__main__ import use_utf8

    use_utf8()  # as each command does: it may start this process again, and a fork may not
    _load()
    print(json.dumps([_run(args) for args in json.loads(sys.argv[1])]))
