"""A signed receipt has an effect: chunks that nobody needs any more go at once."""

import random
from datetime import UTC, datetime

import pytest

from tests.support.harness import Member, until
from tests.support.town import Town
from tests.support.transcripts import Session, lines

pytestmark = pytest.mark.memory


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member, Session]:
    """Alice and Bob share `repo`; a session of several chunks has arrived."""
    a, b = town.pair()
    long = a.write_session(random.Random(3).randbytes(600_000).hex())  # noqa: S311 does not shrink
    b.until_readable(long)
    return a, b, long


def rewrite(member: Member, session: Session, said: str) -> None:
    """Have the agent begin the session anew, in few words."""
    session.path.write_bytes(lines(session.id, member.repo, (said,), datetime.now(UTC)))


def chunks(member: Member, folder: str) -> set[str]:
    return {path.name for path in (member.paths.folder(folder) / "chunks").glob("*/*.zst")}


def test_what_a_rewrite_left_is_gone_once_every_receiver_has_confirmed(
    pair: tuple[Member, Member, Session],
) -> None:
    a, b, long = pair
    (outbox,) = a.outboxes()
    before = chunks(a, outbox.name)
    assert before
    rewrite(a, long, "short now")
    b.until_readable(long)

    for member in (a, b):
        until(
            lambda m=member: not chunks(m, outbox.name) & before,  # type: ignore[misc] # mypy cannot infer a lambda with a default
            f"the old chunks to go at {member.tag}",
        )
    b.until_readable(long)


def test_a_receiver_that_is_away_keeps_them_there(pair: tuple[Member, Member, Session]) -> None:
    a, b, _ = pair
    (outbox,) = a.outboxes()
    other = a.write_session(random.Random(4).randbytes(600_000).hex())  # noqa: S311 as above
    b.until_readable(other)
    until(lambda: a.json("status")["projects"][0]["receivers"]["bob.box"]["whole"], "B's receipt")
    before = chunks(a, outbox.name)
    b.down()
    rewrite(a, other, "short too")
    a.until_readable(other)
    a.down()
    a.up()  # it looks at all of its sessions, and for chunks to delete
    marker = a.write_session("packaged after that")
    a.until_readable(marker)

    assert before <= chunks(a, outbox.name)
