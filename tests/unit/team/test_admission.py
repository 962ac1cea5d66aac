"""The reasons to refuse a newcomer, and the tag that it could take: guests count as members do."""

from datetime import timedelta

from karma_sync.domain import limits
from karma_sync.domain.team.invite import Door, Invite, Refusal
from karma_sync.domain.team.team import Team
from karma_sync.signing import code_keys
from karma_sync.team.admission import Asked, free_tag
from karma_sync.team.documents.door_papers import DoorRequest, request_file, verify_request
from tests.support.builders import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    NOW_MS,
    PROJECT,
    code_of,
    device_of,
    key_of,
    member_of,
    team_of_all,
)

TEAM = team_of_all(ALICE)
KNOCK, ADMISSION = code_keys(b"the secret of it")


def refusal(team: Team, tag: str) -> Refusal | None:
    """The reason why the leader refuses the request of this newcomer; None if it can join."""
    request = DoorRequest(
        team=team.id,
        writer=key_of(tag).public,
        tag=tag,
        device=device_of(tag),
        addresses=(),
        attempt=1,
    )
    raw = request_file(request, ADMISSION, key_of(tag))
    invite = Invite(
        id="abc",
        team=team.id,
        made=NOW,
        expires=NOW + timedelta(days=1),
        knock_key=KNOCK.hex(),
        admission_key=ADMISSION.hex(),
    )
    door = Door(folder="door", invite="abc", device=device_of(tag), name=tag, seen=NOW)
    made = verify_request(raw, team.id, device_of(tag)).value
    return Asked(door, invite, team, made, "digest", code_of(ALICE)).refusal(NOW)


def test_a_team_that_is_full_with_its_guests_says_that_it_is_full() -> None:
    crowd = tuple(member_of(f"user{n}.pc") for n in range(limits.MEMBERS - 2))
    almost = TEAM.changed(members=(*TEAM.members, *crowd))
    full = almost.add(code_of(CAROL), NOW_MS, (PROJECT,))

    assert refusal(almost, BOB) is None
    assert refusal(full, BOB) is Refusal.TEAM_FULL


def test_a_name_that_a_guest_has_is_not_free() -> None:
    guest = f"{BOB}-2"
    team = team_of_all(ALICE, BOB).add(code_of(guest), NOW_MS, (PROJECT,))

    assert free_tag(team, BOB) == f"{BOB}-3"
