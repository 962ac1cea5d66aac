"""Marks the text that karma-sync prints for an agent, so that packaging can cut it out again.

An agent's transcript records everything that the agent reads. If it asked karma-sync for a session
of another person, or for one that stays here, its own transcript would send the text on. So every
such answer stands in a frame: a begin mark, the text, and an end mark. A mark has random digits and
a code over them under a key of this machine, so that packaging recognises the marks of its own
machine without a database, and nobody else can make one.
"""

import hmac
import re
import secrets
from collections.abc import Iterable

# The commands that print text of others, or of sessions that stay here, be it a title.
READING_COMMANDS = frozenset(
    {
        *(
            "search",
            "who",
            "browse",
            "project list",
            "sent",
            "redact",
            "accept",
            "subscription accept",
        ),
        *("session export", "session fork", "session list", "session preview", "session purge"),
        "session continue",
        *("session share", "session show", "session stats", "mcp log"),
        *("observation list", "observation show", "observation search", "observation preview"),
        *("observation share", "observation status", "observation withhold"),
        *("observation unshare", "observation import"),
        *("project share", "subscription change"),
    }
)
# Commands that name teams, members, projects or directories, or give an invitation code: from them,
# an agent in a project of one team may learn of another team.
NAMING_COMMANDS = frozenset(
    {
        *("status", "inbox", "events", "exclude", "join", "resume", "session unshare"),
        *("invite", "invite list", "project alias", "project map", "project scan"),
        *("subscription list", "subscription reopen", "subscription resume"),
        *("team add", "team guest", "team list", "team show", "machine list"),
    }
)
# Commands that put their output into a frame by themselves.
FRAMING_COMMANDS = frozenset({"context", "mcp"})
GIVEN = "[given by karma-sync]"  # stands where a frame was
RULE = "given-by-karma-sync"  # the name under which the cuts of frames are counted

_GATE = b"[[karma-sync "  # every mark begins with it
_MARK = re.compile(rb"\[\[karma-sync (begin|end) ([0-9a-f]{16})([0-9a-f]{16})\]\]")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_DIGITS = 16

Span = tuple[int, int]


class Frames:
    """Makes frames and cuts them out; `key` is a secret of this machine."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def marks(self) -> tuple[str, str]:
        """The begin mark and the end mark of a new frame; no two frames have the same ones."""
        nonce = secrets.token_hex(_DIGITS // 2)
        code = self._code(nonce.encode()).decode()
        return f"[[karma-sync begin {nonce}{code}]]", f"[[karma-sync end {nonce}{code}]]"

    def cut_text(self, text: bytes) -> tuple[bytes, int]:
        """The text without its frames, and how many were cut.

        Where the end mark is missing, the rest of the text is cut; where the begin mark is missing,
        everything before the end mark. Marks of other machines are text.
        """
        spans = _united(self._spans(text))
        pieces, at = [], 0
        for start, end in spans:
            pieces += [text[at:start], GIVEN.encode()]
            at = end
        return b"".join([*pieces, text[at:]]), len(spans)

    def cut_strings(self, json: bytes) -> tuple[bytes, int]:
        """The same inside every string of JSON; a mark needs no escapes there."""
        cuts = 0

        def without(string: re.Match[bytes]) -> bytes:
            nonlocal cuts
            text, count = self.cut_text(string[1])
            cuts += count
            return b'"%b"' % text

        return _STRING.sub(without, json), cuts

    def _spans(self, text: bytes) -> list[Span]:
        spans: list[Span] = []
        begun: dict[bytes, int] = {}
        for mark in _MARK.finditer(text):
            nonce = mark[2]
            if not hmac.compare_digest(self._code(nonce), mark[3]):
                continue
            if mark[1] == b"begin":
                begun.setdefault(nonce, mark.start())
            else:
                spans.append((begun.pop(nonce, 0), mark.end()))
        return spans + [(start, len(text)) for start in begun.values()]

    def _code(self, nonce: bytes) -> bytes:
        return hmac.digest(self._key, nonce, "sha256").hex()[:_DIGITS].encode()


def is_marked(text: str) -> bool:
    """Whether a mark stands in a text, of whichever machine."""
    return _GATE.decode() in text and _MARK.search(text.encode("utf-8", "replace")) is not None


def is_framed(text: bytes) -> bool:
    """Whether there may be marks in a text; a quick look."""
    return _GATE in text


def _united(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, with those that touch or overlap made one."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], end)
        else:
            united.append((start, end))
    return united


_PROGRAM = re.compile(r"karma[-_]sync")
# an alias or a function may stand for the program
_SHORT = re.compile(r"\balias\s+([\w-]+)=|([\w-]+)\s*\(\)\s*\{")
# Nothing here tries twice what it took (`++`), or a long command would take for ever.
_GAP = r"(?:[\s,]|\\\n)++"
_OPTIONS = rf"""(?:(?:["']?-[^\s,]++|\d?[<>]{{1,2}}&?\s*[^\s,]++){_GAP})*+"""
_READS = rf"""["'`)}}\]]*{_GAP}{_OPTIONS}["']*(?:{
    "|".join(
        rf'''["']*{_GAP}{_OPTIONS}["']*'''.join(name.split())
        for name in sorted(READING_COMMANDS | NAMING_COMMANDS | FRAMING_COMMANDS)
    )
})\b"""
_RUNS = rf"(?:karma[-_]sync|\$\{{?\w+\}}?){_READS}"  # compiled when it is needed: it takes long
# the program's files on disk (docs/architecture.md, "Three databases")
_HOLDS = re.compile(
    r"karma-sync[/\\](?:library|folders|archive)\b|\b(?:library|archive|state|work)\.db\b"
)
_WORD = r"""("[^"]+"|'[^']+'|[^\s;&|<>()"'`]+)"""
_WRITTEN = re.compile(rf">\|?\s*{_WORD}|\btee\s+(?:-\S+\s+)*{_WORD}|\bof={_WORD}")
_COPIED = re.compile(r"\b(?:cp|mv|ln|install|rsync)\s+([^;&|\n]+)")


def runs_reading_command(command: str) -> bool:
    """Whether a shell command runs one of karma-sync's reading commands, as far as its text shows.

    The program's name may stand in a variable, an alias or a function; a script that runs the
    command is not recognised.
    """
    if _PROGRAM.search(command) is None:
        return False
    if re.search(_RUNS, command):
        return True
    names = {re.escape(name) for found in _SHORT.findall(command) for name in found if name}
    return bool(names) and bool(re.search(rf"\b(?:{'|'.join(sorted(names))}){_READS}", command))


def reads_karma_sync(text: str) -> bool:
    """Whether a shell command, or a path, reads what karma-sync holds, as far as its text shows."""
    return _PROGRAM.search(text) is not None and (
        _HOLDS.search(text) is not None or runs_reading_command(text)
    )


def files_written(command: str) -> set[str]:
    """The names, without directories, of the files to which a shell command writes or copies.

    Instead of the value of a variable, the variable's name is one of them.
    """
    words = [next(each for each in found if each) for found in _WRITTEN.findall(command)]
    for copied in _COPIED.findall(command):
        words += re.findall(_WORD, copied)[-1:]
    found = set[str]()
    for word in words:
        path = word.strip("\"'")
        name = re.split(r"[/\\]", path)[-1].strip("${}")
        if not path.startswith("/dev/") and re.search(r"\w", name):
            found.add(name)
    return found
