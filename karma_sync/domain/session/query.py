"""Parses what a person types into a search: words, phrases, and filters such as `by:alice`.

Any text is a query. Everything but the filters is searched for as words: a URL, code, a path, a
lone quote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from karma_sync.domain.session.bigrams import phrase_of, pieces


class Key(StrEnum):
    """The keys of filters: `since` and `before` test a record's time, `tool` a call, `is` a state.

    `type` is that of an observation; no session has one.
    """

    BY = "by"
    PROJECT = "project"
    TEAM = "team"
    AGENT = "agent"
    MODEL = "model"
    BRANCH = "branch"
    FILE = "file"
    TOOL = "tool"
    SINCE = "since"
    BEFORE = "before"
    IS = "is"
    TYPE = "type"


class Is(StrEnum):
    """The states that `is:` names.

    Worked in now; the reader's own; own, deleted by the agent; own, gone on from another session;
    no session, but an observation.
    """

    LIVE = "live"
    MINE = "mine"
    KEPT = "kept"
    FORK = "fork"
    OBSERVATION = "observation"


_MOST_CHARS = 1000  # of one word or phrase: FTS5 takes more than the square of its length
_SHOWN_CHARS = 30
_MOST = 100  # words and filters: each costs time, and SQLite has limits of its own
TIMES = frozenset({Key.SINCE, Key.BEFORE})


@dataclass(frozen=True)
class Word:
    """A word or a phrase that a record must have, or must not have if it is `unwanted`.

    With `prefix`, a longer word that begins with the last one fits too.
    """

    text: str
    prefix: bool = False
    unwanted: bool = False

    def expression(self) -> str:
        """The same for FTS5; "" if it has nothing that is indexed, such as an emoji alone."""
        found = []
        parts = pieces(self.text)
        for number, (piece, is_run) in enumerate(parts):
            last = number == len(parts) - 1
            if is_run and len(piece) == 1:
                found.append(f'runs : "{piece}" *')
            elif is_run:
                found.append(f'runs : "{phrase_of(piece)}"')
            elif any(c.isalnum() for c in piece):
                star = " *" if self.prefix and last else ""
                found.append(f"{_quoted(piece)}{star}")
        return " AND ".join(found) if len(found) < 2 else f"({' AND '.join(found)})"


@dataclass(frozen=True)
class Filter:
    """A condition on sessions or records; with `unwanted` on those that do not meet it."""

    key: Key
    value: str
    unwanted: bool = False

    @property
    def of_observations(self) -> bool:
        """Whether no session meets it."""
        is_state = self.key is Key.IS and self.value == Is.OBSERVATION
        return is_state or self.key is Key.TYPE


@dataclass(frozen=True)
class Query:
    """A search: all words must fit one record, and one filter of each kind the session.

    `notes` tell a person what was read otherwise than it may have been meant.
    """

    words: tuple[Word, ...] = ()
    filters: tuple[Filter, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, now: datetime) -> "Query":
        """The query that a text means; no text is refused."""
        found: dict[Word | Filter, None] = {}  # a repeated word or filter counts once
        notes: list[str] = []
        plain = text.replace("\0", " ").encode("utf-8", "replace").decode()
        for token in _TOKEN.finditer(plain):
            if len(found) == _MOST:
                notes.append(f"only the first {_MOST} words and filters count")
                break
            each, note = _meaning(token, now)
            if note:
                notes.append(note)
            if each is not None:
                found[each] = None
        words = tuple(each for each in found if isinstance(each, Word))
        filters = tuple(each for each in found if isinstance(each, Filter))
        return cls(words, filters, tuple(notes))

    @property
    def only_observations(self) -> bool:
        """Whether no session can fit, because an observation is asked for."""
        return any(each.of_observations and not each.unwanted for each in self.filters)

    @property
    def wanted(self) -> tuple[Word, ...]:
        """The words that must be there, as far as the index knows such words."""
        return tuple(w for w in self.words if not w.unwanted and w.expression())

    def match(self) -> str:
        """The FTS5 expression for the wanted words; "" if no word is wanted."""
        return self._records(" AND ")

    def match_any(self) -> str:
        """The same for records that have any one of the wanted words."""
        return self._records(" OR ")

    def only(self, word: Word) -> "Query":
        """The same search for one of its wanted words."""
        return replace(self, words=tuple(w for w in self.words if w == word or w.unwanted))

    def _records(self, between: str) -> str:
        tools = [f for f in self.filters if f.key is Key.TOOL]
        words = between.join(w.expression() for w in self.wanted)
        named = " OR ".join(f"tool : {_quoted(f.value)}" for f in tools if not f.unwanted)
        found = " AND ".join(f"({each})" for each in (words, named) if each)
        if not found:
            return ""
        refused = [e for w in self.words if w.unwanted and (e := w.expression())]
        refused += [f"tool : {_quoted(f.value)}" for f in tools if f.unwanted]
        return f"({found}) NOT ({' OR '.join(refused)})" if refused else found

    def refused(self) -> str:
        """The FTS5 expression for unwanted words, for a query that has no wanted one."""
        return " OR ".join(e for w in self.words if w.unwanted and (e := w.expression()))


def _meaning(token: re.Match[str], now: datetime) -> tuple[Word | Filter | None, str]:
    """The word or filter that a token means, or None, and a note if another meaning is likely."""
    unwanted, note = bool(token["minus"]), ""
    value = token["quoted"] if token["quoted"] is not None else token["bare"]
    key = token["key"]
    if len(token[0]) > _MOST_CHARS:  # the rest may end within a word
        note = f"of {token[0][:_SHOWN_CHARS]}… the first {_MOST_CHARS} characters count"
        return Word(token[0].strip('-"')[:_MOST_CHARS], True, unwanted), note
    if key and value:
        wrong = _wrong(Key(key.lower()), value, now)
        if not wrong:
            return Filter(Key(key.lower()), value, unwanted), ""
        note = f"{key}:{value} is searched for as words: {wrong}"
    if key:
        return Word(f"{key}:{value}", unwanted=unwanted), note
    if token["quoted"] is None and (other := _OTHER_KEY.match(value)):
        note = f"{value} is searched for as words: {other[1]} is none of {', '.join(Key)}"
    if not value:
        return None, note
    star = token["quoted"] is None and value.endswith("*") and len(value) > 1
    return Word(value.rstrip("*") if star else value, star, unwanted), note


def joined(words: Sequence[str]) -> str:
    """The words of a command line as one query; a word with blanks in it was a phrase."""
    return " ".join(map(_as_phrase, words)) if len(words) > 1 else "".join(words)


def _as_phrase(word: str) -> str:
    key, colon, value = word.partition(":")
    if not any(c.isspace() for c in word) or '"' in word:
        return word
    return f'{key}:"{value}"' if colon and key.isalpha() else f'"{word}"'


def moment(text: str, now: datetime) -> datetime:
    """The moment (UTC) that a person means by `14d`, `2h`, `today`, `yesterday` or `2026-05-31`.

    Raises:
        ValueError: the text has another form.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in _DAYS:
        return midnight - timedelta(days=_DAYS[text])
    if span := _SPAN.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise ValueError(text) from None
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)


def _wrong(key: Key, value: str, now: datetime) -> str:
    """The reason why a filter cannot have this value; "" if it can."""
    if key in TIMES:
        try:
            moment(value, now)
        except ValueError:
            return "a moment is 2026-05-31, 14d, 2h, today or yesterday"
    if key is Key.IS and value not in set(Is):
        return f"is: knows {', '.join(Is)}"
    if key in (Key.FILE, Key.TOOL) and not any(c.isalnum() for c in value):
        return "it has no letter and no digit"
    return ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


_KEYS = "|".join(Key)
_TOKEN = re.compile(
    rf'(?P<minus>-(?=\S))?(?:(?P<key>{_KEYS}):)?(?:"(?P<quoted>[^"]*)(?:"|$)|(?P<bare>\S+))',
    re.IGNORECASE,
)
# A text that looks like a filter: no URL, no place in code, no port.
_OTHER_KEY = re.compile(r"([A-Za-z]{2,20}):(?![/\\:=\d])\S")
_SPAN = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DAYS = {"today": 0, "yesterday": 1}
