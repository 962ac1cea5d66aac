"""Verified is a type: only the functions that verify make one, and nothing else is believed."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Verified(Generic[T]):
    """A value whose signature, signer, place and version were checked.

    Made in `metadata/adopt.py` and `flow/verify.py` alone (a test holds that).
    """

    value: T
