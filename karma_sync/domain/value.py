"""Bases of the values in our own files and databases: frozen, written and read as JSON.

They are msgspec structs, because pydantic takes longer to load than most commands take to run.
Most documents of peers are pydantic models (`domain/document.py`), which report what is wrong with
a document in more detail. `Verified` is the type of those that passed verification.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import msgspec
from msgspec import json, structs

_T = TypeVar("_T", bound=msgspec.Struct)
_V = TypeVar("_V")
_decoders: dict[type[msgspec.Struct], json.Decoder[Any]] = {}
_building = threading.Lock()


def decoder_of(cls: type[_T]) -> json.Decoder[_T]:
    """The decoder of a class; it is made once.

    msgspec builds what it knows of a class when it is first asked. Two threads that build at once
    use what is half made, and Python ends with a segmentation fault.
    """
    found = _decoders.get(cls)
    if found is None:
        with _building:
            found = _decoders.setdefault(cls, json.Decoder(cls))
    return found


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Base of values that peers send too.

    Peers may run a newer version, so unknown fields are ignored rather than refused.
    """

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The value that a JSON text describes; its fields are checked.

        Raises:
            msgspec.DecodeError: the text is not JSON, or not a value of this class.
        """
        return decoder_of(cls).decode(text)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """The value with these fields, as JSON has them; they are checked.

        Raises:
            msgspec.ValidationError: a field is missing, unknown or of the wrong type.
        """
        decoder_of(cls)  # then all is built that `convert` needs
        return msgspec.convert(fields, cls)

    def to_json(self, indent: int = 0) -> str:
        """The value as JSON: on one line, or indented by so many spaces."""
        text = json.encode(self)
        return (json.format(text, indent=indent) if indent else text).decode()

    def to_fields(self) -> dict[str, Any]:
        """The fields as JSON has them: moments as texts, tuples as lists."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields

    def changed(self, **fields: Any) -> Self:
        """A copy with other values in these fields; they are not checked."""
        return structs.replace(self, **fields)


class Value(Received, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of values that only we write; unknown fields are refused.

    Fields are checked when a value is read from JSON, not when our own code makes it.
    """


@dataclass(frozen=True)
class Verified(Generic[_V]):
    """A value whose signature, signer, place and version were checked.

    Code that believes a document asks for this type. Only the functions that verify make it, in
    `team/documents/verify.py` and `channel/verify.py`; a test checks that.
    """

    value: _V
