"""Devices that dialled us are left to dial, while they are there or just gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_sync.mesh.connections import Connections
from karma_sync.store.work import open_work
from tests.support.builders import ALICE, BOB, NOW, device_of
from tests.support.memory_town import Clock

A, B = device_of(ALICE), device_of(BOB)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(tmp_path: Path, clock: Clock) -> Iterator[Connections]:
    store = open_work(tmp_path / "work.db")
    yield Connections(store, lambda: NOW, clock)
    store.close()


def test_who_dialled_us_dials_again_after_a_lost_connection_and_when_it_does_not_we_do(
    connections: Connections, clock: Clock
) -> None:
    connections.record_connected(A, "tcp-server")
    connections.record_connected(B, "tcp-client")
    clock.now += 3600
    waits = [connections.wait]
    assert connections.incoming() == {A}

    connections.record_disconnected(A)
    connections.record_disconnected(B)

    waits.append(connections.wait)
    assert connections.incoming() == {A}
    clock.now += waits[-1] or 0
    assert connections.incoming() == frozenset()
    assert [wait is None for wait in [*waits, connections.wait]] == [True, False, True]


def test_the_last_connection_shows_who_dials(connections: Connections) -> None:
    connections.record_connected(A, "tcp-server")
    connections.record_connected(A, "tcp-client")

    assert connections.incoming() == frozenset()
