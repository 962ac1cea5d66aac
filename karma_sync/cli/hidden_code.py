"""Takes an invitation code out of the arguments of this process, which everybody can read (`ps`).

`__main__` does it before anything else is loaded: an argument is seen for as long as it is there.
"""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

OPTION = "--code-from"
# as people write the prefix KSI1: with quotes around it, and a look-alike for the digit
_BEGINS = re.compile(r"\W*k\W*s\W*i\W*[1i]", re.IGNORECASE)
_SHORTEST = 100  # of all codes; a shorter text may be a name, and nobody can join with it


def code_words(arguments: Sequence[str]) -> list[str]:
    """The arguments that are an invitation code: from its first block up to the next option.

    The code itself is not checked.
    """
    found: list[str] = []
    for each in arguments:
        if found and each.startswith("--"):
            break
        if found or _BEGINS.match(each):
            found.append(each)
    return found if len("".join(found)) >= _SHORTEST else []


def execute_without(words: Sequence[str]) -> None:
    """Become the same command, with these words of its arguments in a pipe.

    Returns if that cannot be: the command then names the argument that is no text, or goes on with
    the code where others may see it, if this Python cannot be started a second time.
    """
    try:
        content = "".join(words).encode()
    except UnicodeEncodeError:
        return
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    os.set_inheritable(reading, True)
    given = [each for each in sys.argv[1:] if each not in (*words, "--")]
    command = [sys.executable, "-P", "-m", "karma_sync", *given, OPTION, str(reading)]
    with suppress(OSError):
        os.execv(sys.executable, command)  # noqa: S606 our own program, a list of arguments
    os.close(reading)
