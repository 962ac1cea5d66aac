"""Subscriptions: every move from every status, and the channel ids that follow."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain import limits
from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.selection import Limits
from karma_sync.domain.team.direction import Direction
from karma_sync.domain.team.subscription import MOVES, USUAL, Content, Status, Subscription
from karma_sync.errors import IllegalMove
from karma_sync.team.documents.answers import answers_of, member_document
from tests.support.builders import ALICE, NOW_MS, PROJECT, code_of, examples, team_of_all

OFFERED, ACCEPTED, PAUSED, DECLINED = Status
LIMITS = Limits(since=datetime(2026, 5, 1, tzinfo=UTC), profile=Profile.CONVERSATION)

# The moves of an answer, typed in again: the table must not change by accident.
PICTURE = {
    (OFFERED, "accept"): ACCEPTED,
    (ACCEPTED, "pause"): PAUSED,
    (PAUSED, "resume"): ACCEPTED,
    (ACCEPTED, "change"): ACCEPTED,
    (OFFERED, "decline"): DECLINED,
    (ACCEPTED, "decline"): DECLINED,
    (PAUSED, "decline"): DECLINED,
    (DECLINED, "reopen"): OFFERED,
}

VERBS: dict[str, Callable[[Subscription], Subscription]] = {
    "accept": lambda s: s.accept(1, Direction.SEND, (Content.SESSIONS,), LIMITS),
    "pause": Subscription.pause,
    "resume": Subscription.resume,
    "change": lambda s: s.change(Direction.RECEIVE, (Content.OBSERVATIONS,)),
    "decline": Subscription.decline,
    "reopen": Subscription.reopen,
}
EVERY_PAIR = list(product(Status, VERBS))


def standing(status: Status, **changes: object) -> Subscription:
    fields = {"team": "t", "project": PROJECT, "member": "m", "status": status, "incarnation": 7}
    return Subscription.from_fields(fields | changes)


def test_the_moves_are_those_of_the_design() -> None:
    assert dict(MOVES) == PICTURE
    assert {verb for _, verb in MOVES} == set(VERBS)


@pytest.mark.parametrize(("status", "verb"), [p for p in EVERY_PAIR if p in PICTURE])
def test_a_legal_move_leads_where_the_table_says(status: Status, verb: str) -> None:
    assert VERBS[verb](standing(status)).status is PICTURE[status, verb]


@pytest.mark.parametrize(("status", "verb"), [p for p in EVERY_PAIR if p not in PICTURE])
def test_an_illegal_move_changes_nothing_and_hints_the_way(status: Status, verb: str) -> None:
    before = standing(status)

    with pytest.raises(IllegalMove, match=f"cannot {verb} {PROJECT}: it is {status}") as refused:
        VERBS[verb](before)

    assert before == standing(status)
    program, group, instead, project = refused.value.hint.split()
    assert (program, group, project) == ("karma-sync", "subscription", PROJECT)
    assert (status, instead) in PICTURE


@pytest.mark.parametrize(
    ("verb", "changed"),
    [
        ("pause", {"status"}),
        ("resume", {"status"}),
        ("decline", {"status", "withdrawn"}),
        ("reopen", {"status"}),
        ("change", {"direction", "content"}),
        ("accept", {"status", "direction", "content", "limits", "incarnation"}),
    ],
)
def test_a_move_changes_only_its_own_fields(verb: str, changed: set[str]) -> None:
    before = standing(next(status for status, v in PICTURE if v == verb))
    after = VERBS[verb](before)

    assert {
        n for n in Subscription.__struct_fields__ if getattr(after, n) != getattr(before, n)
    } == (changed)


def test_a_change_can_move_the_limits_of_what_is_sent_or_leave_them() -> None:
    before = standing(ACCEPTED, limits=LIMITS)

    assert before.change(Direction.SEND, USUAL).limits == LIMITS
    assert before.change(Direction.SEND, USUAL, Limits()).limits == Limits()


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("direction", "sends", "receives"),
    [
        (Direction.SEND, True, False),
        (Direction.RECEIVE, False, True),
        (Direction.BOTH, True, True),
    ],
)
def test_only_members_who_accepted_take_part_and_only_in_their_direction(
    status: Status, direction: Direction, sends: bool, receives: bool
) -> None:
    sub = standing(status, direction=direction)
    takes_part = status in {ACCEPTED, PAUSED}

    assert (sub.sends, sub.receives) == (takes_part and sends, takes_part and receives)
    assert sub.engaged is takes_part


steps = st.lists(
    st.tuples(st.sampled_from(sorted(VERBS)), st.integers(0, 10**13)), min_size=1, max_size=30
)


def _after(sub: Subscription, verb: str, clock_ms: int) -> Subscription:
    if verb == "accept":
        return sub.accept(clock_ms, Direction.BOTH, USUAL, Limits())
    return VERBS[verb](sub)


@examples()
@given(steps)
def test_every_accept_has_a_new_incarnation_with_any_clock(
    taken: list[tuple[str, int]],
) -> None:
    sub, accepted = standing(OFFERED), [7]
    for verb, clock_ms in taken:
        if (sub.status, verb) not in PICTURE:
            continue
        sub = _after(sub, verb, clock_ms)
        if verb == "accept":
            accepted.append(sub.incarnation)

    assert accepted == sorted(set(accepted))
    assert sub.incarnation == accepted[-1]


@pytest.mark.parametrize("status", Status)
def test_only_with_a_decline_is_what_was_received_deleted(status: Status) -> None:
    mine = standing(status)
    if status is not Status.DECLINED:
        with pytest.raises(IllegalMove):
            mine.purge()
        return

    assert mine.purge() == mine.changed(purged=True)
    assert mine.purge().reopen() == mine.reopen()


def _offered() -> Subscription:
    return Subscription(team="t", project=PROJECT, member="m")


def test_items_that_were_taken_back_count_for_one_incarnation() -> None:
    mine = _offered().accept(NOW_MS, Direction.BOTH, USUAL, Limits()).retracting(["a", "b"], ())
    closed = mine.change(Direction.RECEIVE, USUAL)

    assert closed.retracted == ("a", "b")
    assert mine.retracting(["b", "c"], {"a"}).retracted == ("b", "c")
    assert mine.retracting([], {"a", "b"}).retracted == mine.retract(NOW_MS).retracted == ()
    assert mine.decline().reopen().retracted == ()


def test_of_a_great_many_items_that_were_taken_back_the_latest_are_named() -> None:
    most = limits.RETRACTED
    many = [f"{number:032x}" for number in range(most + 9)]
    mine = _offered().retracting(many, ())
    first = mine.changed(
        project="example.org/acme/a", status=Status.ACCEPTED, retracted=tuple(many[:9])
    )
    other = mine.changed(project="example.org/acme/b", status=Status.ACCEPTED)
    document = member_document(team_of_all(ALICE), code_of(ALICE), [other, first], 1)

    assert mine.retracted == tuple(many[9:])
    assert mine.retracting(many, ()) == mine, "else each pass would sign another document"
    assert [len(each.retracted) for each in document.subscriptions] == [9, most - 9]
    assert answers_of(document)[1].retracted == tuple(many[18:])
