"""Texts of others, made fit for a screen."""

import unicodedata


def printable(text: str) -> str:
    """Text without control characters: a peer's words must not drive the terminal."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text  # as nearly all is, and this is a hundred times as fast
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else "\ufffd"
        for c in text
    )


def one_line(text: str, width: int) -> str:
    """The beginning of a text on one line of at most `width` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"
