"""`karma-sync`, and `python -m karma_sync`."""

import signal


def main() -> None:
    """Run a command; Ctrl-C ends it without a word, also while it is still being loaded."""
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from karma_sync.cli.main import load, run

    command = load()
    signal.signal(signal.SIGINT, heard)
    run(command)


if __name__ == "__main__":
    main()
