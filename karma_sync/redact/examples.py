"""Fills the examples of rules with made-up characters, for the tests of the rules.

The source files hold templates such as `ghp_{alnum:36}`: a text that looks like a real key would
be stopped by the secret scanners of every forge to which it is pushed.
"""

import hashlib
import re
import string

ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "letters": string.ascii_letters,
    "base32": string.ascii_uppercase + "234567",
    "base64": string.ascii_letters + string.digits + "+/",
    "url": string.ascii_letters + string.digits + "_-",
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "digits": "123456789",
}
_HOLE = re.compile(r"\{(?P<alphabet>[A-Za-z0-9]+):(?P<size>\d+)\}")


def fill(template: str, seed: str = "") -> str:
    """The template with every `{alphabet:size}` replaced; one seed always gives the same text."""
    return _HOLE.sub(lambda hole: _made_up(hole, f"{seed}|{template}|{hole.start()}"), template)


def _made_up(hole: re.Match[str], seed: str) -> str:
    letters, size = ALPHABETS[hole["alphabet"]], int(hole["size"])
    stream = hashlib.shake_256(seed.encode()).digest(size)
    return "".join(letters[byte % len(letters)] for byte in stream)
