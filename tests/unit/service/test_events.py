"""The words for types of events are those that `events` shows, or names of groups."""

import pytest

from karma_sync.domain.events import EventType
from karma_sync.errors import BadInput
from karma_sync.service.events import types_named


@pytest.mark.parametrize("kind", EventType)
def test_every_word_that_is_shown_can_be_typed(kind: EventType) -> None:
    assert kind in types_named([kind.value])
    assert kind in types_named([kind.value.replace(" ", "-").upper()])


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("fault", {"fault", "fault over"}),
        ("leader", {"leadership transferred", "leadership taken over"}),
        ("session", {"did not leave", "left out", "lost", "purged", "retracted", "withdrawn"}),
    ],
)
def test_a_group_stands_for_all_its_types(group: str, words: set[str]) -> None:
    assert words <= set(types_named([group]))


def test_what_is_neither_is_refused_with_the_groups() -> None:
    with pytest.raises(BadInput, match="'refused' is no type of events") as refused:
        types_named(["refused"])

    assert "item" in refused.value.hint.split(", ")
