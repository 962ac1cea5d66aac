"""Makes texts of others safe to stand in a frame that an agent reads.

The frame says where the words of others begin and end. So nothing in them may look like a mark of a
frame, or like what the agent's own program puts around results, and nothing may be invisible.
"""

import re
import unicodedata

from karma_sync.domain.text import one_line, printable

# A text that may be taken for a mark: two brackets, and soon after them our name or many digits.
_MARK = re.compile(
    r"(?:\[\s?){2,}+(?=[^\[\]\n]{0,80}?(?:karma|(?:begin|end)\b[^\[\]\n]{0,8}[0-9a-f]{8}|[0-9a-f]{16}))",
    re.IGNORECASE,
)
# The tags in which programs give an agent results and instructions.
_TAG = re.compile(
    r"<(?=/?(?:antml|invoke|parameter|system[-_]\w|tool[-_]\w|function[-_]\w))", re.IGNORECASE
)
_LINE_ENDS = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\x85": "\n", "\r": "\n"})
# Invisible characters that are letters or signs to Unicode; the last two style an emoji.
_BLANKS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef"
)
_BLANK = re.compile(f"[{_BLANKS}]")
_EMOJI_STYLE = str.maketrans({"\ufe0e": None, "\ufe0f": None})
_BRACKETS = str.maketrans(
    {
        **dict.fromkeys("\u3010\u3014\u3016\u3018\u300c\u2045\u27ec\uff62", "["),
        **dict.fromkeys("\u27e6\u301a", "[["),
        **dict.fromkeys("\u2039\u27e8\u3008\u276e\u2329\u02c2", "<"),
    }
)


def quoted(text: str) -> str:
    """The text with a sign in place of invisible characters, and without look-alikes of marks.

    Control characters, also those that turn the direction of writing, become U+FFFD; the brackets
    of a look-alike become `((` or `‹`.
    """
    shown = printable(text.replace("\r\n", "\n").translate(_LINE_ENDS))
    if not shown.isascii():
        plain = unicodedata.normalize("NFKC", _BLANK.sub("", shown).translate(_EMOJI_STYLE))
        plain = plain.translate(_BRACKETS)
        shown = _BLANK.sub("\ufffd", shown)
        if _MARK.search(plain) or _TAG.search(plain):
            shown = plain
    return _TAG.sub("\u2039", _MARK.sub("((", shown))


def quoted_line(text: str, width: int) -> str:
    """The same on one line of at most `width` characters."""
    shown = quoted(one_line(text, width))
    # to write a look-alike plainly may make it longer: U+FDFA becomes eighteen letters
    return shown if len(shown) <= width else shown[: max(0, width - 1)] + "…"


def clipped(text: str, most: int) -> str:
    """The beginning of a text, of at most `most` characters, and how many are left out after it."""
    if len(text) <= most:
        return text
    return f"{text[:most]} [{len(text) - most} more characters]"
