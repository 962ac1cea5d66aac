"""What a person typed, told from what the program writes into the same records.

Counted in the corpus (FILES.md section C): an editor's note stands before one prompt in seven, as
a part of its own; commands, their output and notifications are records of their own.
"""

import re

from karma_sync.domain.record import MessageContent

_NOTE = re.compile(r"\s*<(?P<tag>[a-z]+(?:[-_][a-z]+)+)>.*?</(?P=tag)>", re.DOTALL)
_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)
_ARGUMENTS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_INTERRUPTED = "[Request interrupted by user"


def typed(content: MessageContent) -> str:
    """The prompt in a user's message; "" if nobody typed one there."""
    texts = (_without_notes(text) for text in _texts(content))
    return " ".join(text for text in texts if text and not text.startswith(_INTERRUPTED))


def command(content: MessageContent) -> str:
    """The command of the program's that a user's message is, as it was typed; "" if it is none."""
    for text in _texts(content):
        if text.lstrip().startswith("<command-") and (name := _COMMAND.search(text)):
            arguments = _ARGUMENTS.search(text)
            return f"{name[1]} {arguments[1] if arguments else ''}".strip()
    return ""


def _texts(content: MessageContent) -> list[str]:
    if isinstance(content, str):
        return [content]
    found = [part.text for part in content or () if part.type == "text"]
    return [text for text in found if isinstance(text, str)]


def _without_notes(text: str) -> str:
    while note := _NOTE.match(text):
        if note[0].count("<private>") > note[0].count("</private>"):
            break  # what goes on behind the note is private too, and has to be seen so
        text = text[note.end() :]
    return text.strip()
