"""A retraction: the owner's signed word that an item is withdrawn."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from karma_sync.domain import limits


class Retraction(BaseModel):
    """What stands in `retracted/ITEM.json` (payload type RETRACTION).

    `revision` is from the same counter as the channel's manifests: a retraction beats every
    manifest below it, and an item that was packaged again later beats the retraction.
    """

    # peers may run a newer version: fields we do not know are left out, not refused
    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1]
    team: str
    project: str
    member: str
    item: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    revision: Annotated[int, Field(ge=1, le=limits.NUMBER)]
