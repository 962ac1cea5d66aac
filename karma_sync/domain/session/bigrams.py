"""Makes text searchable that is written without spaces, such as Chinese, Japanese and Thai.

A tokenizer that splits at spaces takes a whole sentence of them for one word. So each run of such
letters is also indexed as its bigrams, pairs of neighbouring letters: 検索機 gives 検索, 索機 and,
so that a single letter is found at the end too, 機.
"""

import re
from collections.abc import Iterable
from operator import add

# Thai, Lao, Tibetan, Myanmar, Khmer; kana, bopomofo; Han with its extensions; half-width kana.
_LETTERS = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
# The bytes with which these letters begin in UTF-8. To look for a byte first is four times as fast,
# and few texts have one: signs such as arrows begin with others.
_FIRST_BYTES = bytes([0xE0, 0xE1, *range(0xE3, 0xEA), 0xEF, 0xF0])
_OTHER_BYTES = bytes(set(range(256)).difference(_FIRST_BYTES))
_RUN = re.compile(f"[{_LETTERS}]+")
_PIECES = re.compile(f"[{_LETTERS}]+|[^{_LETTERS}]+")


def bigrams(texts: Iterable[str]) -> str:
    """The bigrams of all runs in these texts, separated by spaces; "" if there are none."""
    joined = "\n".join(texts)
    if joined.isascii() or not joined.encode(errors="replace").translate(None, _OTHER_BYTES):
        return ""
    runs = _RUN.findall(joined)
    return " ".join(" ".join((*map(add, run, run[1:]), run[-1])) for run in runs)


def pieces(text: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is a run of letters without spaces."""
    if text.isascii():
        return [(text, False)] if text else []
    return [(piece, bool(_RUN.match(piece))) for piece in _PIECES.findall(text)]


def phrase_of(run: str) -> str:
    """The bigrams that stand one after the other wherever this run of two or more letters does."""
    return " ".join(run[at : at + 2] for at in range(len(run) - 1))
