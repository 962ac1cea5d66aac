"""One session that lies in several directories of the agent reaches the others whole."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session, encoded, lines

pytestmark = pytest.mark.memory

STUB = '{{"type":"{0}","sessionId":"{1}","customTitle":"named after the move"}}\n'


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    return town.pair()


def moved(session: Session, to: str) -> Session:
    """The session after `/cd`: its file is in another directory, and a stub is in the old one."""
    path = session.path.parent.with_name(to) / session.path.name
    path.parent.mkdir(exist_ok=True)
    shutil.move(session.path, path)
    write_stub(session)
    return replace(session, path=path)


def write_stub(session: Session) -> None:
    with session.path.open("a") as out:
        out.writelines(STUB.format(kind, session.id) for kind in ("custom-title", "mode"))


def test_prompts_after_a_move_leave_although_a_stub_is_still_written(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    old = a.write_session("before the move")
    b.until_readable(old)

    new = moved(old, encoded(a.repo / "deeper"))
    new.append("after the move", cwd=a.repo / "deeper")
    write_stub(old)

    b.until_readable(new)
    [listed] = [s for s in b.sessions() if s["id"] == new.id]
    assert listed["title"] == "named after the move"
    until(lambda: a.run("status", "--check", check=False).code == 0, "nothing is stuck")


def test_a_session_that_was_moved_before_it_ever_left_leaves(pair: tuple[Member, Member]) -> None:
    a, b = pair
    session = moved(a.write_session("first and last words"), "-moved-before")
    write_stub(session)

    b.until_readable(session)


def test_what_two_terminals_wrote_in_two_directories_both_arrives(
    pair: tuple[Member, Member],
) -> None:
    a, b = pair
    one = a.write_session("together", "and on in the first", "and on")
    other = one.path.parent.with_name("-second") / one.path.name
    other.parent.mkdir()
    beginning = one.content.splitlines(keepends=True)[:3]
    more = lines(one.id, a.repo, ("and on in the second",), datetime.now(UTC))
    other.write_bytes(b"".join(beginning) + more)

    b.until_readable(one)
    until(lambda: b.peek(one.id, "copies/1.jsonl") == other.read_bytes(), "the other copy too")
