"""The cost of tokens: by a dated table, and nothing for a model that is not in it."""

import pytest

from karma_sync.domain.session.prices import AS_OF, price_of


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("claude-opus-4-5-20251101", 5 + 25 + 0.5 + 6.25),
        ("claude-opus-4-5", 5 + 25 + 0.5 + 6.25),
        ("claude-opus-4-20250514", 15 + 75 + 1.5 + 18.75),
        ("claude-3-5-haiku-latest", 0.8 + 4 + 0.08 + 1),
        ("claude-opus-5-5", 4 + 20 + 0.2 + 5),
    ],
)
def test_a_million_tokens_of_each_kind(model: str, cost: float) -> None:
    price = price_of(model)

    assert price is not None
    million = 1_000_000
    assert price.of(million, million, million, million) == pytest.approx(cost)


@pytest.mark.parametrize(
    "model",
    ["", "glm-4.7", "claude-opus-4-9", "claude-opus-6", "claude-haiku-5-5", "gpt-5", "claude-opus"],
)
def test_a_model_that_the_table_lacks_has_no_price(model: str) -> None:
    assert price_of(model) is None


def test_the_table_says_of_when_it_is() -> None:
    assert len(AS_OF) == len("2026-10-10")
