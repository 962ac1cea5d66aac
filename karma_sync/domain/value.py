"""What our own databases and files hold: frozen values, written and read as JSON.

They are msgspec's, not pydantic's, which takes longer to load than most commands take. What comes
from peers and from Syncthing is pydantic's: it says what is wrong with it.
"""

from collections.abc import Mapping
from typing import Any, Self

import msgspec
from msgspec import json, structs


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a peer sends, too: fields that we do not know are left out, not refused."""

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """Raises msgspec.DecodeError if that is no such value."""
        return json.decode(text, type=cls)

    @classmethod
    def model_validate(cls, fields: Mapping[str, Any]) -> Self:
        """Raises msgspec.ValidationError if those are not its fields."""
        return msgspec.convert(fields, cls)

    def model_dump_json(self, indent: int = 0) -> str:
        text = json.encode(self)
        return (json.format(text, indent=indent) if indent else text).decode()

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        """Its fields; with `json` as JSON has them."""
        return msgspec.to_builtins(self) if mode == "json" else structs.asdict(self)

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """The same with other fields; they are not checked."""
        return structs.replace(self, **update)


class Value(Received, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of our own; made from outside they are checked, made by our own code they are not."""
