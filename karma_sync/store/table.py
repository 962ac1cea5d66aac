"""Stores values of one class in one table: key columns to find them by, and the value as JSON."""

from collections.abc import Sequence
from typing import Generic, Protocol, Self, TypeVar

from karma_sync.store.database import Transaction


class Stored(Protocol):
    """A value that can be written as JSON and read again."""

    @classmethod
    def from_json(cls, text: str | bytes, /) -> Self: ...
    def to_json(self) -> str: ...


M = TypeVar("M", bound=Stored)


class Table(Generic[M]):
    """A table for values of one class; `keys` are the attributes that together identify a row.

    Table and column names come from this package's source, never from outside, so it is safe to
    put them into SQL.
    """

    def __init__(self, name: str, model: type[M], keys: Sequence[str]) -> None:
        self._name = name
        self._model = model
        self._keys = tuple(keys)

    def put(self, tx: Transaction, *values: M) -> None:
        """Store each value in the row with its key; a row with an equal value stays untouched."""
        columns = ", ".join((*self._keys, "body"))
        marks = ", ".join("?" for _ in (*self._keys, "body"))
        for value in values:
            key = [str(getattr(value, name)) for name in self._keys]
            body = value.to_json()
            tx.execute(
                f"INSERT INTO {self._name} ({columns}) VALUES ({marks})"  # noqa: S608 our names
                f" ON CONFLICT ({', '.join(self._keys)}) DO UPDATE SET body = excluded.body"
                " WHERE body <> excluded.body",
                [*key, body],
            )

    def get(self, tx: Transaction, *key: str) -> M | None:
        """The value with this key; None if there is none."""
        found = self.all(tx, **dict(zip(self._keys, key, strict=True)))
        return found[0] if found else None

    def all(self, tx: Transaction, **where: str) -> list[M]:
        """All values whose key columns match, sorted by key."""
        conditions = " AND ".join(f"{name} = ?" for name in where) or "1"
        rows = tx.execute(
            f"SELECT body FROM {self._name} WHERE {conditions}"  # noqa: S608 our names
            f" ORDER BY {', '.join(self._keys)}",
            list(where.values()),
        )
        return [self._model.from_json(row["body"]) for row in rows]

    def clear(self, tx: Transaction) -> None:
        """Delete all values."""
        tx.execute(f"DELETE FROM {self._name}")  # noqa: S608 our names

    def drop(self, tx: Transaction, **where: str) -> None:
        """Delete all values whose key columns match."""
        conditions = " AND ".join(f"{name} = ?" for name in where)
        tx.execute(
            f"DELETE FROM {self._name} WHERE {conditions}",  # noqa: S608 our names
            list(where.values()),
        )
