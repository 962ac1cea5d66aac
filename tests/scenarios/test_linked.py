"""Links in the directory of the agent: what is written behind them arrives as soon."""

from dataclasses import replace

import pytest

from tests.support.harness import Member
from tests.support.town import Town
from tests.support.transcripts import Session, encoded

pytestmark = pytest.mark.daemon  # the watcher is real


@pytest.fixture(scope="module")
def pair(town: Town) -> tuple[Member, Member]:
    return town.pair()


def kept_elsewhere(member: Member, session: Session, *, as_directory: bool) -> Session:
    """The session, whose project directory or transcript becomes a link to another place."""
    elsewhere = member.folder / f"kept-{session.id[:8]}"
    what = session.path.parent if as_directory else session.path
    if as_directory:
        what.rename(elsewhere)
        target = elsewhere
    else:
        elsewhere.mkdir()
        target = what.rename(elsewhere / what.name)
    what.symlink_to(target)
    return session


@pytest.mark.parametrize("as_directory", [True, False])
def test_lines_behind_a_link_arrive_while_they_are_written(
    pair: tuple[Member, Member], as_directory: bool
) -> None:
    a, b = pair
    place = a.repo / ("directory" if as_directory else "transcript")
    place.mkdir()
    session = a.write_session("before", cwd=place)
    assert session.path.parent.name == encoded(place)
    b.until_readable(session)

    linked = kept_elsewhere(a, session, as_directory=as_directory)
    b.until_readable(linked)
    for number in range(3):
        linked.append(f"line {number} behind the link")
        b.until_readable(linked, timeout=20)  # the regular look comes after ten minutes

    if as_directory:
        other = replace(linked, id="11111111-2222-4333-8444-555555555555")
        other = replace(other, path=linked.path.with_name(f"{other.id}.jsonl"))
        other.path.write_bytes(linked.content.replace(linked.id.encode(), other.id.encode()))
        b.until_readable(other, timeout=20)
