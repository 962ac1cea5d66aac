"""Starts the program, for the script `karma-sync` and for `python -m karma_sync`."""

import atexit
import gc
import os
import signal
import sys


def main() -> None:
    """Run the command that was typed; Ctrl-C ends it silently, even while modules still load."""
    use_utf8()
    if sys.argv[1:2] == ["join"]:
        from karma_sync.cli.hidden_code import code_words, execute_without

        if words := code_words(sys.argv[2:]):
            execute_without(words)
    # loading makes no garbage, and nothing needs to be freed when a short command ends
    gc.set_threshold(100_000, 10, 10)
    atexit.register(gc.freeze)
    # otherwise pydantic searches every installed package for plugins, which takes time
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    handler = signal.getsignal(signal.SIGINT)
    # any other handler means that our parent process wants the signal ignored
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from karma_sync.cli.main import load, run

    command = load()
    signal.signal(signal.SIGINT, handler)
    run(command)


def use_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale would read file names as ASCII."""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 no shell


if __name__ == "__main__":
    main()
