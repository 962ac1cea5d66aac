"""The prices of models: a dated table of list prices, for estimates.

From platform.claude.com/docs/en/about-claude/pricing. A prompt cache that lives an hour costs more
to write than the five minutes that are assumed, and a batch or a contract less; a subscription has
no price for tokens at all. A model that is not in the table has no price here, and neither has one
whose price depends on the length of each prompt (Claude Haiku 5.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass

AS_OF = "2026-10-10"
CURRENCY = "USD"
_MILLION = 1_000_000
_CACHE_WRITE = 1.25  # of the price for input, in the cache that lives for five minutes


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens; `cached` is the price of reading them from the cache."""

    input: float
    output: float
    cached: float

    def of(self, input_: int, output: int, cache_read: int, cache_creation: int) -> float:
        """The price of so many tokens, in US dollars."""
        read = input_ * self.input + cache_creation * self.input * _CACHE_WRITE
        return (read + output * self.output + cache_read * self.cached) / _MILLION


# By the model's name without its date: a newer version of a model is another model.
_TABLE: Mapping[str, Price] = {
    "claude-fable-5-1": Price(10, 50, 0.25),
    "claude-mythos-5-1": Price(10, 50, 0.25),
    "claude-fable-5": Price(10, 50, 1),
    "claude-mythos-5": Price(10, 50, 1),
    "claude-opus-5-5": Price(4, 20, 0.2),
    "claude-opus-5": Price(5, 25, 0.5),
    "claude-opus-4-8": Price(5, 25, 0.5),
    "claude-opus-4-7": Price(5, 25, 0.5),
    "claude-opus-4-6": Price(5, 25, 0.5),
    "claude-opus-4-5": Price(5, 25, 0.5),
    "claude-opus-4-1": Price(15, 75, 1.5),
    "claude-opus-4": Price(15, 75, 1.5),
    "claude-3-opus": Price(15, 75, 1.5),
    "claude-sonnet-5-5": Price(2, 10, 0.1),
    "claude-sonnet-5": Price(2, 10, 0.2),
    "claude-sonnet-4-6": Price(3, 15, 0.3),
    "claude-sonnet-4-5": Price(3, 15, 0.3),
    "claude-sonnet-4": Price(3, 15, 0.3),
    "claude-3-7-sonnet": Price(3, 15, 0.3),
    "claude-3-5-sonnet": Price(3, 15, 0.3),
    "claude-haiku-4-5": Price(1, 5, 0.1),
    "claude-3-5-haiku": Price(0.8, 4, 0.08),
}


def price_of(model: str) -> Price | None:
    """The price of a model, by its name with or without a date; None if the table has none."""
    name = model.removeprefix("anthropic/").partition("[")[0]
    if name in _TABLE:
        return _TABLE[name]
    begin, _, last = name.rpartition("-")
    is_date = len(last) == len("20260101") and last.isdigit()
    return _TABLE.get(begin) if is_date or last == "latest" else None
