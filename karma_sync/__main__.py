"""`karma-sync`, and `python -m karma_sync`."""

import atexit
import gc
import os
import signal


def main() -> None:
    """Run a command; Ctrl-C ends it without a word, also while it is still being loaded."""
    # nothing of what loading makes is garbage, nor does anything have to be freed at the end
    gc.set_threshold(100_000, 10, 10)
    atexit.register(gc.freeze)
    # pydantic would look into every package that is installed for a plugin of its own
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from karma_sync.cli.main import load, run

    command = load()
    signal.signal(signal.SIGINT, heard)
    run(command)


if __name__ == "__main__":
    main()
