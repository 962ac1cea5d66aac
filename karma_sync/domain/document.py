"""Base of the signed documents that peers send.

They are pydantic models, which report where a document is wrong. The base is not in
`domain/value.py`, because most commands load that module and pydantic loads slowly.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class PeerModel(BaseModel):
    """Base of a signed document and of its parts.

    Peers may run a newer version, so unknown fields are ignored rather than refused.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """The document with these fields, as JSON has them; they are checked.

        Raises:
            pydantic.ValidationError: a field is missing or has a wrong value.
        """
        return cls.model_validate(fields)

    def to_fields(self) -> dict[str, Any]:
        """The fields as JSON has them: moments as texts, tuples as lists."""
        return self.model_dump(mode="json")
