"""Says in SQL which sessions a person's filters mean: conditions on rows of `item`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from karma_sync.domain.session.query import Filter, Is, Key

Values = list[str | int]


@dataclass(frozen=True)
class SessionFilter:
    """Filters on sessions, and what their values mean here.

    `me` is the reader's tag, which `by:me` names. `teams` are the IDs of teams by name. `since` and
    `before` (UTC) limit the last activity. `ids`, if it is not None, are the only sessions that
    count, by (folder, item); those `without` do not count.
    """

    filters: Sequence[Filter] = ()
    me: str = ""
    teams: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: datetime | None = None
    before: datetime | None = None
    ids: frozenset[tuple[str, str]] | None = None
    without: frozenset[tuple[str, str]] = frozenset()

    def condition(self) -> tuple[str, Values]:
        """The condition and its values; of several filters with one key any one suffices."""
        parts: list[str] = []
        values: Values = []
        for moment, sign in ((self.since, ">="), (self.before, "<")):
            if moment is not None:
                parts.append(f"active {sign} ?")
                values.append(moment.astimezone(UTC).isoformat(timespec="microseconds"))
        if self.ids is not None:
            parts.append(f"folder || '/' || item IN {LIST}")
            values.append(_joined(self.ids))
        if self.without:
            parts.append(f"folder || '/' || item NOT IN {LIST}")
            values.append(_joined(self.without))
        # the other states are in `ids`
        known = [f for f in self.filters if f.key in _CONDITIONS]
        known = [f for f in known if f.key is not Key.IS or f.value == Is.MINE]
        known.sort(key=_order)
        for (_, unwanted), group in groupby(known, key=_order):
            alternatives = [self._one(each) for each in group]
            joined = " OR ".join(condition for condition, _ in alternatives)
            parts.append(f"NOT ({joined})" if unwanted else f"({joined})")
            values += [value for _, more in alternatives for value in more]
        return " AND ".join(parts) or "1", values

    def _one(self, each: Filter) -> tuple[str, Values]:
        if each.key is Key.TEAM:
            ids = self.teams.get(each.value, (each.value,))
            return f"team IN ({', '.join('?' for _ in ids)})", list(ids)
        if each.key is Key.IS:
            return "member = ?", [self.me]
        value = self.me if each.key is Key.BY and each.value in _ME else each.value
        if each.key is Key.AGENT and value.endswith("*"):
            return "substr(agent, 1, ?) = ?", [len(value) - 1, value[:-1]]
        condition = _CONDITIONS[each.key]
        return condition, [value.lower() if each.key in _ANY_CASE else value] * condition.count("?")


def listed(values: Iterable[str]) -> str:
    """Texts as one value, for `LIST`."""
    return json.dumps(sorted(values))


def _joined(ids: Iterable[tuple[str, str]]) -> str:
    return json.dumps(sorted("/".join(each) for each in ids))


def _order(each: Filter) -> tuple[str, bool]:
    return each.key, each.unwanted


# json_each takes a list of any length as one value
LIST = "(SELECT value FROM json_each(?))"
_ME = ("me", "you")
_ANY_CASE = (Key.PROJECT, Key.MODEL, Key.BRANCH)
_HAS = "EXISTS (SELECT 1 FROM json_each(body, '$.session.{}') WHERE instr(lower(value), ?))"
_CONDITIONS: Mapping[Key, str] = {
    Key.BY: "(member = ? OR substr(member, 1, length(?) + 1) = ? || '.')",
    Key.PROJECT: "(lower(project) = ? OR substr(lower(project), -length(?) - 1) = '/' || ?)",
    Key.TEAM: "",
    Key.AGENT: "agent = ?",
    Key.IS: "",
    Key.MODEL: _HAS.format("models"),
    Key.BRANCH: _HAS.format("branches"),
}
