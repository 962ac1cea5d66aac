"""Answers an agent's questions: finds the tool, frames its answer, and logs it."""

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from karma_sync.domain.session.frame import Frames
from karma_sync.domain.session.quoting import quoted
from karma_sync.errors import BadInput, KarmaError
from karma_sync.mcp.answers import ToolAnswer
from karma_sync.mcp.tools import TOOLS, context_of
from karma_sync.mcp.view import AgentView, Views
from karma_sync.runtime.timing import utc_now
from karma_sync.service.served_log import Served, ServedLog

_NAME_CHARS = 80
_REPLACED = (
    "Note of karma-sync itself: it was upgraded, and this server is the earlier program still. Tell"
    " the person to start the server again (in Claude Code: /mcp, then Reconnect)."
)


@dataclass(frozen=True)
class Given:
    """An answer for an agent and the marks around it; "" for both without an identity.

    `failed` is true if the answer is an error: a reason code, what happened, what to do next.
    `note` is what karma-sync itself has to say beside the answer; it holds no text of others.
    """

    answer: ToolAnswer
    begin: str = ""
    end: str = ""
    failed: bool = False
    note: str = ""

    @property
    def framed(self) -> str:
        """The text between its marks."""
        return "\n".join(each for each in (self.begin, self.answer.text, self.end) if each)


@dataclass(frozen=True)
class Desk:
    """Answers the questions of one agent.

    `is_replaced` tells whether the program on disk is another one than this.
    """

    views: Views
    log: ServedLog
    is_replaced: Callable[[], bool] = lambda: False

    def ask(self, name: str, given: Mapping[str, object]) -> Given:
        """The answer of a tool; errors are answers too.

        Only the agent can start its server again: one whose program was replaced says that each
        time, for it may know less than what others write now.
        """
        answer = self._answered(name, given)
        return replace(answer, note=_REPLACED) if self.is_replaced() else answer

    def _answered(self, name: str, given: Mapping[str, object]) -> Given:
        try:
            with self.views.opened() as view:
                return self._ask(view, name, given)
        except KarmaError as error:  # there is no identity, or no project: nothing of others
            return self._unframed(name, error)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            failed = KarmaError(f"{where}{error.strerror}", hint="karma-sync status")
            return self._unframed(name, failed)
        except Exception as error:  # noqa: BLE001 the protocol would carry its text, without a frame
            traceback.print_exc(file=sys.stderr)
            failed = KarmaError(
                f"karma-sync failed ({type(error).__name__})",
                hint="the agent's log of this server has more",
            )
            return self._unframed(name, failed)

    def context(self) -> Given | None:
        """The answer for an agent whose session begins; None if nothing is new.

        Raises:
            KarmaError: there is no identity, no project, or a database cannot be read.
        """
        with self.views.opened() as view:
            answer = context_of(view)
            if answer is None:
                return None
            given = Given(answer, *marks_around(view.frames, answer))
            self.log.append(_note(view.now, "context", view.project, given, ""))
            return given

    def _unframed(self, name: str, error: KarmaError) -> Given:
        failed = _failure(error)
        with suppress(OSError):  # of a full disk the answer tells
            self.log.append(_note(utc_now(), name, "", Given(failed), reason_of(error)))
        return Given(failed, failed=True)

    def _ask(self, view: AgentView, name: str, asked: Mapping[str, object]) -> Given:
        reason = ""
        try:
            answer = _answer(view, name, asked)
        except KarmaError as error:
            answer, reason = _failure(error), reason_of(error)
        begin, end = marks_around(view.frames, answer)
        given = Given(answer, begin, end, bool(reason))
        self.log.append(_note(view.now, name, view.project, given, reason))
        return given


def marks_around(frames: Frames, answer: ToolAnswer) -> tuple[str, str]:
    """The marks for an answer, whose digits stand nowhere in it."""
    said = "\n".join([answer.text, *answer.ids])
    while True:
        begin, end = frames.marks()
        if begin.split()[-1].rstrip("]") not in said:
            return begin, end


def reason_of(error: KarmaError) -> str:
    """The reason code of an error: its name in small letters, `not-found`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()


def _answer(view: AgentView, name: str, given: Mapping[str, object]) -> ToolAnswer:
    tool = TOOLS.get(name)
    if tool is None:
        raise BadInput(
            f"there is no tool {name[:_NAME_CHARS]!r}", hint=f"the tools are {', '.join(TOOLS)}"
        )
    return tool.answer(view, tool.asked(given))


def _failure(error: KarmaError) -> ToolAnswer:
    step = f"\nNext: {quoted(error.hint)}" if error.hint else ""
    return ToolAnswer(f"error {reason_of(error)}: {quoted(str(error))}{step}")


def _note(now: datetime, tool: str, project: str, given: Given, reason: str) -> Served:
    known = tool if tool == "context" or tool in TOOLS else "?"  # else it is text of the agent's
    return Served(
        now, known, project, reason, len(given.answer.ids), len(given.framed), given.answer.ids
    )
