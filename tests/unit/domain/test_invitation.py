"""Contacts and invitations are answered once; a pairing accepts an invitation for 24 hours."""

from datetime import timedelta
from itertools import product

import pytest

from karma_sync.domain.team.invitation import (
    MOVES,
    Answer,
    Contact,
    Invitation,
    Pairing,
    new_invitations,
)
from karma_sync.errors import IllegalMove
from karma_sync.paths import metadata_folder
from tests.support.builders import ALICE, BOB, CAROL, NOW, code_of, device_of, key_of, team_of_all

PENDING, ACCEPTED, DECLINED = Answer
VERBS = {"accept": ACCEPTED, "decline": DECLINED}
EVERY_PAIR = list(product(Answer, VERBS))
TEAM = team_of_all(ALICE)


def contact(answer: Answer = PENDING) -> Contact:
    return Contact(device=device_of(ALICE), name="alice", seen=NOW, answer=answer)


def invitation(answer: Answer = PENDING, team: str = TEAM.id) -> Invitation:
    return Invitation(
        folder=metadata_folder(TEAM.id),
        device=device_of(ALICE),
        seen=NOW,
        answer=answer,
        team=team,
    )


def test_a_pending_request_can_be_answered() -> None:
    asked = {(PENDING, verb): answer for verb, answer in VERBS.items()}

    assert dict(MOVES) == asked | {(Answer.DECLINED, "accept"): Answer.ACCEPTED}


@pytest.mark.parametrize(("answer", "verb"), [p for p in EVERY_PAIR if p[0] is PENDING])
def test_a_request_has_the_answer_that_was_given(answer: Answer, verb: str) -> None:
    assert contact(answer).answered(verb) == contact(VERBS[verb])
    assert invitation(answer).answered(verb) == invitation(VERBS[verb])


@pytest.mark.parametrize(("answer", "verb"), [p for p in EVERY_PAIR if p not in MOVES])
def test_an_accept_is_final_and_a_decline_cannot_be_repeated(answer: Answer, verb: str) -> None:
    for asked in (contact(answer), invitation(answer)):
        with pytest.raises(IllegalMove, match=f"{asked.id} is already {answer}") as refused:
            asked.answered(verb)

        assert refused.value.hint == "karma-sync inbox"
        assert asked.answer is answer


def test_the_id_of_a_request_is_short_and_comes_from_the_request() -> None:
    assert contact().id == device_of(ALICE)[:7].lower()
    assert invitation().id == metadata_folder(TEAM.id).removeprefix("ks-m-")[:7]


def test_an_invitation_is_ready_only_when_its_roster_was_verified() -> None:
    assert invitation().ready
    assert not invitation(team="").ready


@pytest.mark.parametrize(
    ("age", "used", "is_open"),
    [
        (timedelta(0), False, True),
        (timedelta(hours=24) - timedelta(microseconds=1), False, True),
        (timedelta(hours=24), False, False),
        (timedelta(days=3), False, False),
        (timedelta(0), True, False),
        (timedelta(hours=-1), False, True),  # the clock was put back
    ],
)
def test_a_pairing_accepts_one_invitation_within_24_hours(
    age: timedelta, used: bool, is_open: bool
) -> None:
    code = code_of(ALICE)
    pairing = Pairing(
        key=key_of(ALICE).public,
        tag=ALICE,
        device=code.device,
        addresses=(),
        made=NOW,
        used=used,
    )

    assert pairing.open_at(NOW + age) is is_open


def test_a_known_folder_or_that_of_my_own_team_is_not_a_new_invitation() -> None:
    offered = [(metadata_folder(TEAM.id), device_of(BOB)), ("ks-c-" + "a" * 26, device_of(BOB))]

    (found,) = new_invitations(offered, [], [], NOW)
    assert found == invitation(team="").changed(device=device_of(BOB))
    assert new_invitations(offered, [found], [], NOW) == []
    # another member offered it while I joined: taken up as an invitation, it hid later rosters
    assert new_invitations(offered, [], [TEAM.id], NOW) == []


@pytest.mark.parametrize("answer", Answer)
def test_an_invitation_from_several_devices_is_one_and_keeps_its_answer(answer: Answer) -> None:
    folder, known = metadata_folder(TEAM.id), invitation(answer)
    offered = [(folder, device_of(who)) for who in (ALICE, BOB, BOB, CAROL)]

    (found,) = new_invitations(offered, [known], [], NOW)
    assert found.devices == (device_of(ALICE), device_of(BOB), device_of(CAROL))
    assert found.changed(others=()) == known
    assert new_invitations(offered, [found], [], NOW) == []
    (fresh,) = new_invitations(offered, [], [], NOW)
    assert fresh.devices == found.devices
