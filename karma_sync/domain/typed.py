"""What a person typed, told from what the program writes into the same records.

Counted in the corpus (FILES.md section C): an editor's note stands before one prompt in seven, as
a part of its own; commands, their output and notifications are records of their own.
"""

import re
from collections.abc import Iterable

from karma_sync.domain.record import MessageContent

_NOTE = re.compile(r"\s*<(?P<tag>[a-z]+(?:[-_][a-z]+)+)>.*?</(?P=tag)>", re.DOTALL)
_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)
_ARGUMENTS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_INTERRUPTED = "[Request interrupted by user"


def texts_of(content: MessageContent) -> list[str]:
    """The texts in a message, as they were written."""
    if content is None or isinstance(content, str):
        return [content] if content else []
    return [part.text for part in content if part.type == "text" and part.text]


def typed(texts: Iterable[str]) -> str:
    """The prompt in the texts of a user's message; "" if nobody typed one there."""
    found = map(_without_notes, texts)
    return " ".join(text for text in found if text and not text.startswith(_INTERRUPTED))


def command(texts: Iterable[str]) -> str:
    """The command of the program's that a user's message is, as it was typed; "" if it is none."""
    for text in texts:
        if text.lstrip().startswith("<command-") and (name := _COMMAND.search(text)):
            arguments = _ARGUMENTS.search(text)
            return f"{name[1]} {arguments[1] if arguments else ''}".strip()
    return ""


def _without_notes(text: str) -> str:
    while note := _NOTE.match(text):
        if note[0].count("<private>") > note[0].count("</private>"):
            break  # what goes on behind the note is private too, and has to be seen so
        text = text[note.end() :]
    return text.strip()
