"""Values are read safely by several threads at once."""

import subprocess
import sys

# In a process of its own, because what this is about ends the process.
_TWO_THREADS = """
import enum, sys, threading
import msgspec
from karma_sync.domain.value import Value

sys.setswitchinterval(1e-6)

def read_twice(number, read):
    letters = enum.Enum(f"Letter{number}", {each: each for each in "abcdefgh"})
    class Inner(Value, frozen=True):
        letter: letters
    class Outer(Value, frozen=True):
        inner: Inner
        more: tuple[Inner, ...]
        named: dict[str, Inner]
    at_once = threading.Barrier(2)
    def run():
        at_once.wait()
        read(Outer)
    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

FIELDS = {"inner": {"letter": "a"}, "more": [{"letter": "b"}], "named": {"x": {"letter": "c"}}}
TEXT = msgspec.json.encode(FIELDS)
for number in range(300):
    read_twice(number, lambda outer: outer.from_json(TEXT))
    read_twice(number, lambda outer: outer.from_fields(FIELDS))
print("all read")
"""


def test_two_threads_may_read_values_of_a_class_first_at_the_same_moment() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _TWO_THREADS], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "all read\n", "")
