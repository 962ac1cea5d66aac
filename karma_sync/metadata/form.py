"""What a payload says, once its signature was verified: a model, or nothing."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from karma_sync.errors import Unverified
from karma_sync.metadata.signing import strict_json

M = TypeVar("M", bound=BaseModel)


def parse(payload: bytes, model: type[M]) -> M:
    """A model from a payload that verified.

    Raises:
        Unverified: its form is not that of the model; values of a peer's are not quoted.
    """
    try:
        return model.model_validate(strict_json(payload))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"it is not a {model.__name__}: {place} ({first['type']})"
        raise Unverified("3-form", why) from None
    except (ValueError, RecursionError):
        raise Unverified("3-form", f"it is not a {model.__name__}: not JSON") from None
