"""A value that keeps the results of its checks."""

from collections.abc import Callable
from functools import wraps


class JudgedValue(bytes):
    """A value that several rules find; each question about it is answered once.

    `verdicts` are the results of the checks of rules, by check and name; `answers` are the results
    of the tests that these checks use.
    """

    verdicts: dict[tuple[object, bytes], bool]
    answers: dict[object, bool]

    def __new__(cls, value: bytes) -> "JudgedValue":
        made = super().__new__(cls, value)
        made.verdicts, made.answers = {}, {}
        return made


def asked_once(test: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """The same test; a `JudgedValue` keeps the answer."""

    @wraps(test)
    def ask(value: bytes) -> bool:
        if not isinstance(value, JudgedValue):
            return test(value)
        answer = value.answers.get(test)
        if answer is None:
            answer = value.answers[test] = test(value)
        return answer

    return ask
