"""The log of a thread that fails again and again."""

import logging
import threading

import pytest

from karma_sync.runtime.worker import Worker

_WAIT_S = 20.0


def runs(worker: Worker, did: threading.Semaphore, times: int) -> None:
    """Wake a worker and wait until it has worked, this many times."""
    for _ in range(times):
        worker.wake()
        assert did.acquire(timeout=_WAIT_S)


def test_a_full_disk_is_logged_once_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    full, did = threading.Event(), threading.Semaphore(0)
    full.set()

    def report(_: Exception | None) -> None:
        did.release()
        if full.is_set():
            raise OSError(28, "No space left on device", "work.db")

    def work() -> None:
        if full.is_set():
            raise OSError(28, "No space left on device", "state.db")
        did.release()

    worker = Worker("sending", work, report)
    worker.start()
    try:
        runs(worker, did, 5)
        first = list(caplog.messages)
        full.clear()
        runs(worker, did, 3)
        full.set()
        runs(worker, did, 5)
    finally:
        worker.stop()
        worker.join(_WAIT_S)

    assert [line.partition(":")[0] for line in first] == ["sending", "sending"]
    assert "state.db" in first[0]
    assert "the error could not be recorded" in first[1]
    assert caplog.messages == first * 2


def test_another_failure_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    did = threading.Semaphore(0)
    failures = [ValueError("one"), ValueError("two"), ValueError("one")]

    def work() -> None:
        raise failures.pop(0)

    worker = Worker("cycle", work, lambda _: did.release())
    worker.start()
    try:
        assert did.acquire(timeout=_WAIT_S)
        runs(worker, did, 2)
    finally:
        worker.stop()
        worker.join(_WAIT_S)

    assert [line.split(";")[0] for line in caplog.messages] == ["cycle: one", "cycle: two"]
