"""The three documents that pass through a door, and their verification; no disk and no clock.

The leader offers the team (`DoorOffer`), the newcomer asks to join (`DoorRequest`), the leader
answers (`DoorAnswer`). Each is a signed envelope of a payload type of its own. The door is a folder
of two devices, in which either can write anything: nothing is believed because of where it lies.
The numbers in codes are those of the steps that verify items (docs/format.md).
"""

import hashlib
import hmac
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from karma_sync.domain import limits
from karma_sync.domain.document import PeerModel
from karma_sync.domain.ids import KEY, TEAM_NAME
from karma_sync.domain.team.invite import Refusal
from karma_sync.domain.value import Verified
from karma_sync.errors import Unverified
from karma_sync.signing import PayloadType, SigningKey, open_document
from karma_sync.team.documents.models import Addresses, Count, DeviceId, Identity, Key, Tag

_HEX_256 = r"^[0-9a-f]{64}$"
_PROJECTS = 100  # of an offer: few enough for a person to read, and for a small file


class DoorOffer(PeerModel):
    """The leader's offer to a device that has an invitation code (payload type OFFER).

    `refused` is the reason why a code that has ended cannot be used. With `confirm`, a person
    answers requests. With `machine`, the code takes in other machines of the leader's person alone.
    A `guest` receives the `projects` alone.
    """

    format: Literal[1] = 1
    team: str
    device: DeviceId
    name: Annotated[str, StringConstraints(pattern=f"^{TEAM_NAME.pattern}$")]
    leader: Tag
    projects: Annotated[tuple[Identity, ...], Field(max_length=_PROJECTS)] = ()
    confirm: bool = False
    machine: bool = False
    guest: bool = False
    refused: Refusal | None = None


class DoorRequest(PeerModel):
    """A newcomer asks to be put on the roster (payload type REQUEST).

    `writer` is its public key, `mac` a MAC over all other fields under the code's admission key.
    With `same_person` it says that it is another machine of the leader's person.
    """

    format: Literal[1] = 1
    team: str
    writer: Key
    tag: Tag
    device: DeviceId
    addresses: Addresses
    attempt: Count
    same_person: bool = False
    mac: Annotated[str, StringConstraints(pattern=_HEX_256)] = "0" * 64

    def has_mac_of(self, admission_key: bytes) -> bool:
        """Whether it was made with the code to which this key belongs."""
        return hmac.compare_digest(self.mac, _mac(self, admission_key))


class DoorAnswer(PeerModel):
    """A leader's answer to the request with the hash `request` (payload type ANSWER).

    `refused` is None for a newcomer who is on the roster now. `free` is a tag that nobody has.
    """

    format: Literal[1] = 1
    team: str
    request: Annotated[str, StringConstraints(pattern=_HEX_256)]
    refused: Refusal | None = None
    free: Tag | None = None


def offered_projects(identities: tuple[str, ...]) -> tuple[str, ...]:
    """The projects that an offer names."""
    return identities[:_PROJECTS]


def request_file(request: DoorRequest, admission_key: bytes, key: SigningKey) -> bytes:
    """The file of a request: a line with the key that signed the envelope, then the envelope."""
    made = request.model_copy(update={"mac": _mac(request, admission_key)})
    envelope = key.sign(PayloadType.REQUEST, made.model_dump_json().encode())
    return request.writer.encode() + b"\n" + envelope


def request_hash(raw: bytes) -> str:
    """The hash by which an answer names a request's file."""
    return hashlib.sha256(raw).hexdigest()


def verify_request(raw: bytes, team: str, device: str) -> Verified[DoorRequest]:
    """Verify the file of a request that lies in the door of `device`.

    Whether it was made with the code is not verified: `DoorRequest.has_mac_of` checks that, as long
    as the code is open.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    _check_size(raw)
    writer, _, envelope = raw.partition(b"\n")
    key = writer.decode("ascii", errors="replace")
    if not KEY.fullmatch(key):
        raise Unverified("3-envelope", "its first line is not a public key")
    request = open_document(envelope, key, PayloadType.REQUEST, DoorRequest)
    if request.writer != key:
        raise Unverified("4-signer", "the request names another key than its signer's")
    if request.device != device:
        raise Unverified("4-device", "the request is another device's")
    if request.team != team:
        raise Unverified("5-team", "the request is for another team")
    return Verified(request)


def verify_offer(raw: bytes, leader: str, team: str, device: str) -> Verified[DoorOffer]:
    """Verify an offer to me (`device`) by the leader whose key (hex) the code has.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    _check_size(raw)
    offer = open_document(raw, leader, PayloadType.OFFER, DoorOffer)
    if offer.device != device:
        raise Unverified("4-device", "the offer is another device's")
    if offer.team != team:
        raise Unverified("5-team", "the offer is for another team")
    return Verified(offer)


def verify_answer(raw: bytes, leader: str, team: str, request: bytes) -> Verified[DoorAnswer]:
    """Verify the answer to my request, by the leader whose key (hex) the code has.

    Raises:
        Unverified: its code has the number of the step that failed.
    """
    _check_size(raw)
    answer = open_document(raw, leader, PayloadType.ANSWER, DoorAnswer)
    if answer.team != team:
        raise Unverified("5-team", "the answer is for another team")
    if answer.request != request_hash(request):
        raise Unverified("6-newer", "the answer is to another request")
    return Verified(answer)


def _check_size(raw: bytes) -> None:
    if len(raw) > limits.DOOR_PAPER_BYTES:
        raise Unverified("2-size", f"it is larger than {limits.DOOR_PAPER_BYTES} bytes")


def _mac(request: DoorRequest, admission_key: bytes) -> str:
    """The MAC over all other fields, each with its length before it."""
    fields = (
        *("karma-sync request", request.team, request.writer, request.tag, request.device),
        *(str(request.attempt), "same person" if request.same_person else "member"),
        *(str(len(request.addresses)), *request.addresses),
    )
    framed = b"".join(len(f.encode()).to_bytes(4, "big") + f.encode() for f in fields)
    return hmac.digest(admission_key, framed, hashlib.sha256).hex()
