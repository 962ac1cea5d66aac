"""Another member's files in the metadata folder, deleted or forged by a member, come back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from karma_sync.paths import metadata_folder
from karma_sync.team.documents.stored import MEMBER, RECEIPT, ROSTER
from tests.support.memory_town import MemoryTown
from tests.support.players import Player, team_of


def file_of(at: Player, kind: str, writer: Player) -> Path:
    """The place of another member's document at a member."""
    team = at.team()
    assert team is not None
    folder = at.member.paths.folder(metadata_folder(team.id))
    return folder / kind / f"{writer.me.key}.json"


def delete(file: Path) -> None:
    file.unlink()


def forge(file: Path) -> None:
    file.write_bytes(b"{}")


@pytest.mark.parametrize("spoil", [delete, forge])
@pytest.mark.parametrize("kind", [RECEIPT, MEMBER, ROSTER])
def test_what_a_member_spoils_while_its_writer_is_away_is_back_at_all_for_a_newcomer(
    here: MemoryTown, kind: str, spoil: Callable[[Path], None]
) -> None:
    leader, other, spoiler = team_of(here, "alice", "bob", "mallory")
    leader.member.write_session("so that receipts have something to say")
    other.member.write_session("this one too")
    here.settle()
    writer = leader if kind == ROSTER else other
    rest = [p for p in (leader, other) if p is not writer]
    newcomer = Player(here.member("dan"))
    if writer is not leader:
        leader.admit(newcomer)
        here.settle()
    writer.member.down()
    here.settle()
    before = {p: file_of(p, kind, writer).read_bytes() for p in (*rest, spoiler)}
    assert len(set(before.values())) == 1
    spoiler.member.kill()  # its daemon would mend it; its Syncthing passes it on
    spoil(file_of(spoiler, kind, writer))
    spoiler.member.syncthing.start()
    here.an_hour_passes()
    spoiler.member.syncthing.shutdown()
    spoiler.member.up()
    if writer is not leader:
        newcomer.member.up()
    here.settle()

    readers = [*rest, spoiler, *([newcomer] if writer is not leader else [])]
    for reader in readers:
        assert file_of(reader, kind, writer).read_bytes() == before[spoiler], reader.member.tag
