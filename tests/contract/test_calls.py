"""The Syncthing in memory is called as the client of a real one is."""

import inspect

from karma_sync.syncthing.client import SyncthingClient
from tests.support.memory_syncthing import MemorySyncthing


def public_methods(kind: type) -> dict[str, inspect.Signature]:
    """The public methods of this class, with their signatures."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(f) for name, f in found if not name.startswith("_")}


def test_the_one_in_memory_is_called_just_as_the_client_of_a_real_one() -> None:
    """Each public method is there, with the same parameters and the same result."""
    client, memory = public_methods(SyncthingClient), public_methods(MemorySyncthing)

    assert client.items() <= memory.items()
