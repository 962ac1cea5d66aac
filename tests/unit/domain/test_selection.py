"""One decision tells whether a session leaves; a limit only ever keeps more sessions back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma_sync.domain.session.profile import Profile
from karma_sync.domain.session.project import Belonging
from karma_sync.domain.session.selection import (
    Candidate,
    Choices,
    Exclusion,
    Limits,
    Outcome,
    Share,
    decide,
)
from tests.support.builders import NOW, PROJECT, examples

OTHER = "example.org/acme/other"
PLAIN = Candidate("s1", Belonging(project=PROJECT), {"/src/repo": "/src/repo"}, NOW, quiet_s=1e6)
MIXED = replace(PLAIN, belonging=Belonging(mixed=(OTHER, PROJECT), elsewhere=("/gone",)))
DAY = timedelta(days=1)


NO_LIMITS, NO_CHOICES = Limits(), Choices()


def outcome(
    candidate: Candidate, limits: Limits = NO_LIMITS, choices: Choices = NO_CHOICES
) -> Outcome:
    return decide(candidate, PROJECT, limits, choices).outcome


def test_a_session_leaves_for_its_own_project_only() -> None:
    assert outcome(PLAIN) is Outcome.LEAVES
    assert outcome(replace(PLAIN, belonging=Belonging(project=OTHER))) is Outcome.UNCONCERNED
    assert outcome(replace(PLAIN, belonging=Belonging())) is Outcome.UNCONCERNED


STAYING = [
    (Outcome.EARLIER, PLAIN, Limits(since=NOW + DAY), NO_CHOICES),
    (Outcome.MIXED, MIXED, NO_LIMITS, NO_CHOICES),
    (Outcome.WITHHELD, PLAIN, NO_LIMITS, Choices(withheld=frozenset({"s1"}))),
    (Outcome.UNSHARED, replace(PLAIN, unshared=True), NO_LIMITS, NO_CHOICES),
    (Outcome.FORK, PLAIN, NO_LIMITS, Choices(forks={"s1": "bob.tower"})),
    (Outcome.EXCLUDED, PLAIN, NO_LIMITS, Choices(exclusions=(Exclusion(pattern="repo"),))),
    (Outcome.WAITING, replace(PLAIN, quiet_s=0), Limits(after_idle=600), NO_CHOICES),
]


@pytest.mark.parametrize(("expected", "candidate", "limits", "choices"), STAYING)
def test_whatever_the_reason_why_a_session_stays_it_is_told_in_words(
    expected: Outcome, candidate: Candidate, limits: Limits, choices: Choices
) -> None:
    decision = decide(candidate, PROJECT, limits, choices)

    assert decision.outcome is expected
    assert len(decision.reason.split()) >= 3


def test_each_reason_for_staying_is_among_those_that_are_told() -> None:
    assert {expected for expected, *_ in STAYING} == set(Outcome) - {
        Outcome.LEAVES,
        Outcome.UNCONCERNED,
    }


def test_a_session_before_the_limit_stays_and_one_at_it_leaves() -> None:
    assert outcome(PLAIN, Limits(since=NOW + timedelta.resolution)) is Outcome.EARLIER
    assert outcome(PLAIN, Limits(since=NOW)) is Outcome.LEAVES


def test_a_session_waits_until_it_was_quiet_for_long_enough() -> None:
    decision = decide(replace(PLAIN, quiet_s=400), PROJECT, Limits(after_idle=600), Choices())

    assert decision.outcome is Outcome.WAITING
    assert decision.wait_s == 200
    assert outcome(replace(PLAIN, quiet_s=600), Limits(after_idle=600)) is Outcome.LEAVES


def test_a_file_time_in_the_future_does_not_delay_without_after_idle() -> None:
    assert outcome(replace(PLAIN, quiet_s=-3600)) is Outcome.LEAVES
    assert outcome(replace(PLAIN, quiet_s=-3600), Limits(after_idle=600)) is Outcome.WAITING


def test_a_mixed_session_stays_and_the_other_place_is_named() -> None:
    decision = decide(MIXED, PROJECT, Limits(), Choices())

    assert decision.outcome is Outcome.MIXED
    assert decision.why == "it also worked in /gone"


def test_a_mixed_session_that_was_shared_leaves_until_it_works_in_yet_another_place() -> None:
    shared = Choices(shares=(Share(session="s1", project=PROJECT, others=("/gone", OTHER)),))
    further = replace(MIXED, belonging=Belonging(mixed=(OTHER, PROJECT, "example.org/third/one")))

    assert outcome(MIXED, choices=shared) is Outcome.LEAVES
    assert outcome(further, choices=shared) is Outcome.MIXED
    assert decide(MIXED, OTHER, Limits(), shared).outcome is Outcome.MIXED


def test_an_earlier_session_that_was_shared_by_name_leaves() -> None:
    shared = Choices(shares=(Share(session="s1", project=PROJECT),))

    assert outcome(PLAIN, Limits(since=NOW + DAY), shared) is Outcome.LEAVES


def test_withheld_and_excluded_override_shared() -> None:
    share = Share(session="s1", project=PROJECT, others=("/gone", OTHER))
    withheld = Choices(withheld=frozenset({"s1"}), shares=(share,))
    excluded = Choices(exclusions=(Exclusion(pattern="/src"),), shares=(share,))

    assert outcome(MIXED, choices=withheld) is Outcome.WITHHELD
    assert decide(MIXED, PROJECT, Limits(), excluded).why == (
        "it worked in /src/repo; you exclude /src"
    )


@pytest.mark.parametrize(
    ("pattern", "directory", "covered"),
    [
        ("/src/repo", "/src/repo", True),
        ("/src/repo", "/src/repo/deep/er", True),
        ("/src/repo", "/src/repo-two", False),
        ("/src/repo", "/src", False),
        ("/src/re*", "/src/repo/deep", True),
        ("/src/*/secret", "/src/a/b/secret/x", True),
        ("/src/*/secret", "/src/secret", False),
        ("client-*", "/home/a/client-x/repo", True),
        ("client-*", "/home/a/my-client-x", False),
        ("/src/[ab]", "/src/a", True),
        ("/src/[ab]", "/src/c", False),
        ("C:/work", "C:\\work\\repo", True),
        ("/src/private", "/src/repo/../private", True),
        ("/src/repo", "/src/repo/../private", False),
        ("/src/private", "/src//./private/", True),
    ],
)
def test_an_exclusion_covers_a_directory_and_what_lies_in_it(
    pattern: str, directory: str, covered: bool
) -> None:
    assert Exclusion(pattern=pattern).covers(directory) is covered


moments = st.none() | st.datetimes(timezones=st.just(UTC))
limits = st.builds(
    Limits, since=moments, after_idle=st.integers(0, 10**6), profile=st.sampled_from(Profile)
)


@examples()
@given(limits, limits, st.datetimes(timezones=st.just(UTC)), st.floats(0, 10**7))
def test_narrowed_lets_through_only_what_both_do(
    one: Limits, two: Limits, last: datetime, quiet_s: float
) -> None:
    both = one.narrowed(two)
    session = replace(PLAIN, last=last, quiet_s=quiet_s)
    leave = [outcome(session, each) is Outcome.LEAVES for each in (one, two, both)]

    assert leave[2] is (leave[0] and leave[1])
    assert both == two.narrowed(one)
    assert both.within(one)
    assert both.within(two)
    assert one.within(one)


def test_a_wider_profile_or_an_earlier_moment_is_not_within() -> None:
    narrow = Limits(since=NOW, after_idle=5, profile=Profile.CONVERSATION)

    for change in ({"since": None}, {"after_idle": 4}, {"profile": Profile.STANDARD}):
        assert not narrow.changed(**change).within(narrow)
        assert narrow.within(narrow.changed(**change))
